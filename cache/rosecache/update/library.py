"""Updates of the whole cache: which releases to look at, in which order, and what is gone.

Finding is one directory walk with a ``stat`` per file, compared with the stored stamps; only releases whose
stamp differs go on to be read.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from rosecache.changes import prune_changes
from rosecache.config import Config
from rosecache.database import (
    connect,
    is_damage,
    maybe_invalidate_cache_database,
    replace_damaged_database,
    transaction,
)
from rosecache.errors import SourceDirectoryError
from rosecache.in_force import in_force
from rosecache.naming import naming_of
from rosecache.update.assign import datafile_names
from rosecache.update.content import audio_files
from rosecache.update.job import Options, own_genres
from rosecache.update.lists import COLLAGES, PLAYLISTS, update_lists
from rosecache.update.pool import update_releases
from rosecache.update.refill import fill_names
from rosecache.update.report import Problem, Progress, Report, problem, reason_of
from rosecache.update.walk import list_files, list_release_directories, may_be_release, release_stamp

logger = logging.getLogger(__name__)

T = TypeVar("T")


def update_cache(c: Config, force: bool = False, *, progress: Progress | None = None) -> Report:
    """Makes the cache match the disk: releases, collages, playlists; evicts what is gone.

    Args:
        c: The settings.
        force: Read every file again, and believe an empty or missing source directory.
        progress: Told how far the releases are.

    Returns:
        Counts, and a problem for everything that could not be used.

    Raises:
        SourceDirectoryError: The source directory is missing or cannot be read; nothing was changed.
        OSError, sqlite3.Error: The cache cannot be written.
    """
    report = update_cache_for_releases(c, None, force, progress=progress)
    # Without releases nothing can be said of the members of lists either; see _find_all.
    if report.seen or force:
        report.add(update_cache_for_collages(c, None, force))
        report.add(update_cache_for_playlists(c, None, force))
    with connect(c) as connection, transaction(connection):
        prune_changes(connection)
    return report


def update_cache_for_collages(
    c: Config, collage_names: Collection[str] | None = None, force: bool = False
) -> Report:
    """Makes the cache match some collages, or all. See :func:`update_cache`."""
    return _repairing(c, lambda: update_lists(c, COLLAGES, collage_names, force=force))


def update_cache_for_playlists(
    c: Config, playlist_names: Collection[str] | None = None, force: bool = False
) -> Report:
    """Makes the cache match some playlists, or all. See :func:`update_cache`."""
    return _repairing(c, lambda: update_lists(c, PLAYLISTS, playlist_names, force=force))


def _repairing(c: Config, update: Callable[[], T], update_all: Callable[[], T] | None = None) -> T:
    """Runs an update on a database that is there and whole.

    Damage that only shows while it runs costs the cache what it holds: it is begun anew, by ``update_all``
    where that is another update.
    """
    maybe_invalidate_cache_database(c)
    try:
        return update()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        logger.warning("the cache is damaged, and is built anew: %s", error)
    replace_damaged_database(c)
    return (update_all or update)()


def update_cache_for_releases(
    c: Config,
    release_dirs: Sequence[Path] | None = None,
    force: bool = False,
    *,
    progress: Progress | None = None,
) -> Report:
    """Makes the cache match some release directories, or all; one transaction per release.

    From 50 changed releases on worker processes do it.

    Args:
        c: The settings.
        release_dirs: Directories directly below the source directory; None for all.
        force: Read every file again.
        progress: Told how many releases are done, of how many.

    Raises:
        As :func:`update_cache`.
    """
    return _repairing(
        c,
        lambda: _update_releases(c, release_dirs, force, progress),
        lambda: _update_releases(c, None, force, progress),
    )


def _update_releases(
    c: Config, release_dirs: Sequence[Path] | None, force: bool, progress: Progress | None
) -> Report:
    c = in_force(c)
    naming, report = naming_of(c), Report()
    found = (
        _find_all(c, force, report) if release_dirs is None else _find_some(c, release_dirs, force, report)
    )
    total = len(found.first) + len(found.later)
    done = 0

    def run(directories: Sequence[bytes], *, defer: bool) -> list[bytes]:
        nonlocal done
        deferred = []
        options = Options(c, force, defer, logger.getEffectiveLevel(), own_genres(c))
        # Closed at once when the progress callback raises, or somebody presses Ctrl-C.
        with closing(update_releases(options, directories)) as results:
            for directory, outcome in results:
                report.problems += outcome.problems
                report.changed += outcome.changed
                report.evicted += outcome.evicted
                report.skipped += outcome.skipped
                if outcome.deferred:
                    deferred.append(directory)
                    continue
                done += 1
                if progress is not None:
                    progress(done, total)
        return deferred

    if progress is not None:
        progress(0, total)
    again = run(found.first, defer=True)
    run([*again, *found.later], defer=False)
    # Last, so that a release whose directory was renamed is found under its new name, and keeps its rows.
    run(found.gone, defer=False)
    c = in_force(c)
    if release_dirs is None or naming_of(c) != naming:  # other settings were taken up meanwhile
        fill_names(c)
    report.problems.sort()
    return report


class _Found(msgspec.Struct):
    """The directories to look at, in the order of their groups."""

    first: list[bytes] = msgspec.field(default_factory=list)
    later: list[bytes] = msgspec.field(default_factory=list)
    """Copies, as far as datafiles tell: whoever has the older one keeps the id."""
    gone: list[bytes] = msgspec.field(default_factory=list)


def _find_all(c: Config, force: bool, report: Report) -> _Found:
    with connect(c) as connection:
        stamps = _stamps(connection)
    names = _list_source(c, force)
    found = _compare(c, names, stamps, force, report)
    found.gone = sorted(stamps.keys() - set(names))
    if not report.seen and stamps and not force:
        report.problems.append(problem(c.music_source_dir, _SUDDENLY_EMPTY))
        return _Found()
    report.problems += _known_problems(
        c, stamps.keys() - set(found.first) - set(found.later) - set(found.gone)
    )
    return found


_SUDDENLY_EMPTY = "holds no release, although the cache knows some: nothing was removed (force to believe it)"


def _list_source(c: Config, force: bool) -> list[bytes]:
    try:
        return list_release_directories(c)
    except FileNotFoundError as error:
        if force:
            return []
        raise SourceDirectoryError(
            f"{c.music_source_dir} does not exist. If it is on a disk that is not mounted, mount it; "
            "nothing was removed from the cache"
        ) from error
    except OSError as error:
        raise SourceDirectoryError(f"{c.music_source_dir} cannot be read: {reason_of(error)}") from error


def _find_some(c: Config, release_dirs: Iterable[Path], force: bool, report: Report) -> _Found:
    names = []
    for directory in release_dirs:
        path = c.music_source_dir / directory
        if path.parent != c.music_source_dir:
            raise ValueError(f"{directory} is not directly below {c.music_source_dir}")
        names.append(os.fsencode(path.name))
    names = [name for name in names if may_be_release(c, name)]
    with connect(c) as connection:
        stamps = _stamps_of(connection, names)
    existing = [
        name for name in names if os.path.lexists(os.path.join(os.fsencode(c.music_source_dir), name))
    ]
    found = _compare(c, sorted(set(existing)), stamps, force, report)
    found.gone = sorted(set(names) - set(existing))
    if found.gone and not force and not _list_source(c, force) and _knows_more_than(c, len(stamps)):
        found.gone = []
        report.problems.append(problem(c.music_source_dir, _SUDDENLY_EMPTY))
    return found


def _stamps(connection: sqlite3.Connection) -> dict[bytes, bytes]:
    return dict(connection.execute("SELECT directory, stamp FROM releases").fetchall())


def _stamps_of(connection: sqlite3.Connection, names: Iterable[bytes]) -> dict[bytes, bytes]:
    return {
        row["directory"]: row["stamp"]
        for name in names
        for row in connection.execute("SELECT directory, stamp FROM releases WHERE directory = ?", (name,))
    }


def _knows_more_than(c: Config, number: int) -> bool:
    with connect(c) as connection:
        known: int = connection.execute("SELECT count(*) FROM releases").fetchone()[0]
    return known > number


def _compare(
    c: Config, names: Sequence[bytes], stamps: dict[bytes, bytes], force: bool, report: Report
) -> _Found:
    """Returns the directories whose stamps differ from the cache's."""
    source = os.fsencode(c.music_source_dir)
    found = _Found()
    newcomers: dict[str, list[bytes]] = {}
    for name in names:
        path = os.path.join(source, name)
        known = stamps.get(name)
        try:
            # What is new has no stamp to be compared with, and is looked at once more when it is locked.
            listing = list_files(path, names_only=known is None)
        except (FileNotFoundError, NotADirectoryError):
            found.first.append(name)  # no directory any more: the update of the release finds out
            continue
        except OSError as error:
            report.seen += 1
            report.problems.append(problem(error.filename or path, reason_of(error)))
            continue
        if known is None and not audio_files(listing):
            continue
        report.seen += 1
        if not force and not listing.leftovers and known == release_stamp(c, listing):
            continue
        identifiers = datafile_names(listing)
        if known is None and identifiers:
            newcomers.setdefault(min(identifiers), []).append(name)
        else:
            found.first.append(name)
    for claimants in newcomers.values():
        if len(claimants) > 1:
            claimants.sort(key=lambda name: (_datafile_age(os.path.join(source, name)), name))
        found.first.append(claimants[0])
        found.later += claimants[1:]
    found.first.sort()
    return found


def _datafile_age(directory: bytes) -> int:
    """Returns the time of a directory's oldest datafile, 0 if that cannot be seen any more."""
    with suppress(OSError):
        listing = list_files(directory)
        names = datafile_names(listing).values()
        return min((file.ctime for file in listing.files if file.path in names), default=0)
    return 0


def _known_problems(c: Config, unchanged: Collection[bytes]) -> list[Problem]:
    """Returns the problems of files that were found broken before and did not change since."""
    with connect(c) as connection:
        rows = connection.execute(
            "SELECT directory, path, problem FROM files JOIN releases ON key = release_key"
            " WHERE problem IS NOT NULL"
        ).fetchall()
    return [
        problem(os.path.join(os.fsencode(c.music_source_dir), directory, path), reason)
        for directory, path, reason in rows
        if directory in unchanged
    ]
