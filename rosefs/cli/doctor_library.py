"""What ``rosefs doctor`` looks at of a library: its directory and disk, what crashes left, and its cache.

Which audio files of releases cannot be used, the cache and the running mounts know from the last update. Those of
directories that are no releases are read, since no cache knows of them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import msgspec

from rosecache.boundary import leads_to
from rosecache.config import Config
from rosecache.database import database_path
from rosecache.inspection import broken_files_of, contents_of, directories_of, health_of
from rosecache.temporary import IN_PROGRESS_PREFIX, TEMPORARY_PREFIX
from rosecache.update.unused import find_unused
from rosefs.cli.findings import Finding, error, ok, warning
from rosefs.cli.mounts import told_from
from rosefs.library.errors import TrashError
from rosefs.library.files import can_reflink
from rosefs.library.journal import Journal
from rosefs.library.trash import trash_of
from rosefs.settings import Settings
from rosefs.watch.limits import file_system_of, lacks_events

_MIB = 2**20
_ROOM = {"music_source_dir": 1024 * _MIB, "cache_dir": 256 * _MIB, "state_dir": 256 * _MIB}
"""How much should be free: for a private copy of what is edited, for the cache of a large library, for the journal."""
_SEE_TO = "rosefs cache update or mount: they finish or undo it; look into what stays before you move it away"
_WITHOUT_HARD_LINKS = frozenset({"vfat", "msdos", "exfat"})
_INOTIFY = Path("/proc/sys/fs/inotify")


def library_findings(settings: Settings) -> Iterator[Finding]:
    """Looks at everything that a configuration names."""
    c = settings.cache
    yield from _source(c)
    if c.music_source_dir.is_dir():
        yield from _disk(c.music_source_dir)
        walked = _walk(c.music_source_dir)
        yield from _leftovers(c, walked)
        yield from _watches(c, walked)
    for name, directory in (
        ("music_source_dir", c.music_source_dir), ("cache_dir", c.cache_dir), ("state_dir", settings.state_dir),
    ):  # fmt: skip
        yield from _room(name, directory)
    yield from _cache(c)
    yield from _edits(Journal(settings.state_dir))


# The music directory and its disk -----------------------------------------------------------------------


def _source(c: Config) -> Iterator[Finding]:
    source = c.music_source_dir
    if not source.is_dir():
        found = "is no directory" if os.path.lexists(source) else "does not exist"
        yield error(
            "music", f"{source} {found}", "mount its disk, or correct music_source_dir in the configuration"
        )
    elif not os.access(source, os.R_OK | os.X_OK):
        yield error(
            "music",
            f"{source} may not be read by this user",
            f"as its owner: chmod u+rx {quote(str(source))}",
        )
    elif not os.access(source, os.W_OK):
        found = f"{source} cannot be written: nothing can be edited, and what has no identifiers gets none"
        yield warning(
            "music", found, "as it is meant, maybe; if not, make the disk or the directory writable"
        )
    else:
        yield ok("music", f"{source} can be read and written")
    if source.is_dir() and os.access(source, os.R_OK | os.X_OK):
        yield from _links(c)


def _links(c: Config) -> Iterator[Finding]:
    """Looks for links through which nothing is written."""
    for entry in sorted(c.music_source_dir.iterdir()):
        if (real := leads_to(c, os.fsencode(entry.name))) is not None:
            remedy = "to have it written to, name that directory, or one above it, in follow_links_to"
            yield warning("links", f"{entry} leads to {real}: it is shown, and not written to", remedy)
    for directory in (c.collages_dir, c.playlists_dir):
        for entry in sorted(directory.glob("*.toml")):
            if entry.is_symlink():
                remedy = "put a copy of what it leads to in its place, to be able to edit it"
                yield warning("links", f"{entry} is a link: it is shown, and not written to", remedy)


def _disk(source: Path) -> Iterator[Finding]:
    kind = file_system_of(source)
    if lacks_events(kind):
        yield ok(
            "disk", f"{kind}: changes by other machines make no events, so it is looked at again and again"
        )
    else:
        yield ok("disk", f"{kind}: changes can be followed")
    if kind in _WITHOUT_HARD_LINKS:
        yield ok("disk", "has no hard links: what must be held for a moment is copied")
    match can_reflink(source):
        case True:
            yield ok("disk", "copies share their space, so editing large files takes none")
        case False:
            yield ok("disk", "copies take space: a file that is being edited is there twice")
        case None:
            yield ok("disk", "whether copies take space cannot be told")
    try:
        yield ok("trash", str(trash_of(source)))
    except (TrashError, OSError) as failure:
        remedy = "make one of these directories, writable for this user; until then nothing can be deleted"
        yield warning("trash", str(failure), remedy)


def _room(name: str, directory: Path) -> Iterator[Finding]:
    existing = next((each for each in (directory, *directory.parents) if each.is_dir()), None)
    if existing is None or (name == "music_source_dir" and existing != directory):
        return
    status = os.statvfs(existing)
    free = status.f_bavail * status.f_frsize
    shown = f"{free // _MIB:,} MiB are free on the disk of {directory}"
    if free < _ROOM[name] // 16:
        yield error(name, shown, "make room there: nothing can be written soon")
    elif free < _ROOM[name]:
        yield warning(name, shown, "make room there")
    else:
        yield ok(name, shown)
    if name != "music_source_dir" and not os.access(existing, os.W_OK | os.X_OK):
        yield error(name, f"{existing} cannot be written by this user", f"make it writable, or set {name}")


# What is in it ------------------------------------------------------------------------------------------


class _Walked(msgspec.Struct):
    directories: int = 0
    leftovers: list[Path] = msgspec.field(default_factory=list)
    unreadable: list[Path] = msgspec.field(default_factory=list)


def _walk(source: Path) -> _Walked:
    """Goes through all directories, and looks at names alone."""
    walked = _Walked()
    for directory, below, names in os.walk(
        source, onerror=lambda failure: walked.unreadable.append(Path(failure.filename))
    ):
        walked.directories += 1
        walked.leftovers += [Path(directory, n) for n in (*below, *names) if n.startswith(TEMPORARY_PREFIX)]
        below[:] = [name for name in below if not name.startswith(IN_PROGRESS_PREFIX)]
    walked.leftovers.sort()
    return walked


def _leftovers(c: Config, walked: _Walked) -> Iterator[Finding]:
    for path in walked.unreadable:
        yield warning("music", f"{path} cannot be read, nor what is in it", "make it readable for this user")
    if told_from(c.music_source_dir):
        if walked.leftovers:
            yield ok("crashes", f"{len(walked.leftovers)} files in progress, for a mount that is at work")
        return
    for path in walked.leftovers:
        yield warning("crashes", f"{path} was left behind, or is being written now", _SEE_TO)
    if not walked.leftovers:
        yield ok("crashes", "nothing was left behind")


def _edits(journal: Journal) -> Iterator[Finding]:
    abandoned = set(journal.abandoned())
    entries = (
        [each for each in journal.entries() if each.id in abandoned and not each.undone] if abandoned else []
    )
    for entry in entries:
        yield warning(
            "crashes",
            f"an edit was not finished: {entry.title}, {entry.time}",
            f"the next edit takes back what was done of it; to do it now: rosefs undo {entry.id}",
        )


def _watches(c: Config, walked: _Walked) -> Iterator[Finding]:
    if lacks_events(file_system_of(c.music_source_dir)):
        return
    for name, used, what in (
        ("max_user_watches", walked.directories, "directories"),
        ("max_user_instances", _watchers(), "watchers in use"),
    ):
        try:
            limit = int((_INOTIFY / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        found = f"{used:,} {what}, of {limit:,} that a user may have"
        remedy = (
            f"put 'fs.inotify.{name} = {max(2 * used, 4 * limit)}' into /etc/sysctl.d/90-inotify.conf, "
            "and run sysctl --system"
        )
        if used > limit:
            yield error("watches", found, remedy)
        elif used >= limit * 3 // 4:  # other programs want some too
            yield warning("watches", found, remedy)
        else:
            yield ok("watches", found)


def _watchers() -> int:
    """Returns how many watchers this user's processes have, as far as they may be seen."""
    count = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if process.stat().st_uid == os.getuid():
                count += sum(os.readlink(link) == "anon_inode:inotify" for link in (process / "fd").iterdir())
        except OSError:
            continue  # it has ended, or may not be looked into
    return count


# The cache ----------------------------------------------------------------------------------------------


def _cache(c: Config) -> Iterator[Finding]:
    """Looks at the cache of the configuration, and at those that mounts with other settings use."""
    told = told_from(c.music_source_dir)
    used = dict.fromkeys([database_path(c), *(Path(each.database) for each in told)])
    existing = [database for database in used if database.exists()]
    if not existing:
        yield warning("cache", f"there is none of this library in {c.cache_dir} yet", "rosefs cache update")
        return
    problems = {os.fsencode(problem.path): problem.reason for each in told for problem in each.problems}
    known: set[bytes] = set()
    sound = 0
    for database in existing:
        try:
            yield _sound(database)
            broken = broken_files_of(database)
            known |= directories_of(database)
        except sqlite3.Error as failure:
            remedy = f"remove it, nothing is lost: rm {quote(str(database))}*; rosefs cache update"
            yield error("cache", f"{database}: {failure}", remedy)
        else:
            sound += 1
            problems |= {
                os.path.join(os.fsencode(c.music_source_dir), each.path): each.reason for each in broken
            }
    others = [path for path in c.cache_dir.glob("rosecache.*.sqlite3") if path not in existing]
    if others:
        yield ok("cache", f"{len(others)} of other settings or versions, removed when unused for two months")
    if sound:
        if c.music_source_dir.is_dir():
            # A mount has said the same of some of them, when it looked.
            problems = {os.fsencode(each.path): each.reason for each in find_unused(c, known)} | problems
        yield from _problems({os.fsdecode(path): reason for path, reason in problems.items()})


def _sound(database: Path) -> Finding:
    """Makes the finding of a cache that is sound. Raises sqlite3.Error if it is not."""
    health = health_of(database)
    if health.damage:
        raise sqlite3.DatabaseError(health.damage)
    contents = contents_of(database)
    return ok(
        "cache",
        f"{database}: sound, {contents.releases:,} releases, {contents.tracks:,} tracks, "
        f"{database.stat().st_size // _MIB:,} MiB, change {health.position}",
    )


def _problems(problems: dict[str, str]) -> Iterator[Finding]:
    for path, reason in sorted(problems.items()):
        yield warning("files", f"{path}: {reason}", "replace or remove it; the rest is shown without it")
    if not problems:
        yield ok("files", "the last update could use all")
