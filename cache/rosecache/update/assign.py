"""Giving a release and its tracks their ids, and writing those that are not on the disk yet.

First everything is decided, then the datafile is written, then the tags: a datafile without tags is finished
by the next update, while tags without a datafile would look like a directory that somebody is still copying.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

import msgspec
from msgspec.structs import replace

from rosecache.boundary import may_write
from rosecache.database import connect
from rosecache.datafiles import (
    ReleaseDatafile,
    datafile_name,
    parse_datafile_name,
    read_release_datafile,
    writing_release_datafile,
)
from rosecache.errors import InvalidDatafileError, TagWriteError
from rosecache.flushing import Flushing, flushed
from rosecache.newid import new_id
from rosecache.tags import IdWrite, writing_ids
from rosecache.update.content import Request, is_unchanged
from rosecache.update.identity import (
    choose_release_id,
    derived_release_id,
    derived_track_id,
    ids_held_elsewhere,
    is_copy,
    is_known,
)
from rosecache.update.report import Problem, problem, reason_of
from rosecache.update.track_ids import kept_ids, table_of, without_carried
from rosecache.update.walk import FoundFile, Listing

logger = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""A new file in a known release gets no id before it has been left alone for so long."""

_MOST_TOGETHER = 40
"""A release of more files waits for the disk by itself: while several wait together, all of their files are open."""


class Verdict(Enum):
    """Whether a release can be stored now."""

    READY = auto()
    SKIP = auto()
    DEFER = auto()
    FAILED = auto()


class Assigned(msgspec.Struct):
    """The ids that a release and its tracks have from now on, and what was written for that."""

    verdict: Verdict = Verdict.READY
    release_id: str = ""
    is_new_id: bool = False
    """Nothing on the disk or in the cache has the release's id yet."""
    added_at: str = ""
    new: bool = True
    tracks: dict[bytes, str] = msgspec.field(default_factory=dict)
    """Track ids by path below the release directory."""
    pending: set[bytes] = msgspec.field(default_factory=set)
    """Files that get no id yet, since they may still be being written."""
    written: set[bytes] = msgspec.field(default_factory=set)
    """Audio files whose tags were written."""
    datafiles: set[bytes] = msgspec.field(default_factory=set)
    """Names of datafiles that were written or renamed."""
    complete: bool = True
    """False if the next update has to look again, whatever the stamp says."""
    problems: list[Problem] = msgspec.field(default_factory=list)

    @property
    def datafile_name(self) -> str:
        return datafile_name(self.release_id)

    @property
    def wrote_datafile(self) -> bool:
        return bool(self.datafiles)


def datafile_names(listing: Listing) -> dict[str, bytes]:
    """Returns the names of the datafiles of a directory by the release ids that they name, sorted by id."""
    names: dict[str, bytes] = {}
    for file in listing.files:
        identifier = parse_datafile_name(file.path) if b"/" not in file.path else None
        if identifier is not None and names.get(identifier) != os.fsencode(datafile_name(identifier)):
            names[identifier] = file.path
    return dict(sorted(names.items()))


def datafile_ids(listing: Listing) -> list[str]:
    """Returns the release ids that the datafiles of a directory name, sorted."""
    return list(datafile_names(listing))


def assigning_ids(request: Request) -> Flushing[Assigned]:
    """Decides all ids of a release and writes the missing ones, if nothing speaks against it now.

    While it waits for the disk others may be judged: it does so only if none of its ids can be anybody else's.

    In a library that is read-only, and where a link leads out of it, nothing is written, and what has no id gets one
    that is derived from its path. A datafile that is not valid gives the verdict FAILED, and nothing is touched.
    """
    assigned = Assigned()
    with connect(request.c) as connection:
        found_id = _settle_release_id(request, connection, assigned)
        if assigned.verdict is not Verdict.READY:
            return assigned
        datafile = _read_datafile(request, found_id, assigned)
        if datafile is None:
            assigned.verdict = Verdict.FAILED
            return assigned
        if request.defer and _has_strangers(request, connection, assigned.release_id):
            assigned.verdict = Verdict.DEFER
            return assigned
        kept = kept_ids(request, connection, assigned.release_id, datafile.tracks)
        fresh = _new_track_ids(request, assigned, kept)
        assigned.tracks = {**kept, **fresh}
        if not may_write(request.c, request.directory):
            _settle_datafile(request, datafile, assigned)
            _derive_release_id(request, connection, assigned)
            _derive_ids(request, connection, assigned, fresh)
            return assigned
        writing = _writing(request, connection, found_id, datafile, fresh, assigned)
        is_small = len(request.content.paths) <= _MOST_TOGETHER
        if is_small and found_id is None and assigned.is_new_id and not kept:
            yield from writing
        else:
            flushed(writing)
    return assigned


def _writing(
    request: Request,
    connection: sqlite3.Connection,
    found_id: str | None,
    datafile: ReleaseDatafile,
    fresh: Mapping[bytes, str],
    assigned: Assigned,
) -> Flushing[None]:
    """Writes what is to be on the disk: the datafile first, then the tags."""
    has_datafile = yield from _storing_datafile(request, connection, found_id, datafile, assigned)
    if not request.c.write_ids_to_tags:
        return
    if not has_datafile:
        _derive_ids(request, connection, assigned, fresh)
        return
    yield from _writing_tags(request, connection, fresh, assigned)
    yield from _clearing_table(request, datafile, assigned)


def _settle_release_id(request: Request, connection: sqlite3.Connection, assigned: Assigned) -> str | None:
    """Sets the release's id. Returns the id in the name of the datafile that is there, or None."""
    datafiles = datafile_ids(request.listing)
    first = request.content.paths[0]
    tags = request.content.read.get(first)
    tagged = tags.release_id if tags is not None else None
    cached = request.known.id if request.known is not None else None
    if not datafiles and tagged is not None:
        if not request.force:
            logger.info(
                "skipped %s: its files name a release, but there is no datafile: somebody seems to be copying it",
                os.fsdecode(request.path),
            )
            assigned.verdict = Verdict.SKIP
            return None
        if request.defer:
            assigned.verdict = Verdict.DEFER
            return None
    found = choose_release_id(datafiles, tagged, cached)
    for other in datafiles:
        if other != found:
            name = datafile_names(request.listing)[other]
            assigned.problems.append(
                problem(os.path.join(request.path, name), f"another datafile; {found} counts")
            )
    claimed = found or tagged or cached
    if claimed is not None:
        request.store_first([claimed])
    if claimed is None or is_copy(request.c, connection, request.directory, claimed):
        assigned.release_id, assigned.is_new_id = new_id(), True
    else:
        assigned.release_id = claimed
    return found


def _read_datafile(request: Request, found_id: str | None, assigned: Assigned) -> ReleaseDatafile | None:
    if found_id is None:
        return ReleaseDatafile()
    path = Path(os.fsdecode(os.path.join(request.path, datafile_names(request.listing)[found_id])))
    try:
        return read_release_datafile(path)
    except InvalidDatafileError as error:
        assigned.problems.append(Problem(path, error.reason))
    except OSError as error:
        assigned.problems.append(Problem(path, reason_of(error)))
    return None


def _has_strangers(request: Request, connection: sqlite3.Connection, release_id: str) -> bool:
    """Tells whether files claim another release and ids that the cache has not seen: moved, or copied?"""
    return any(
        tags.id is not None
        and tags.release_id not in (None, release_id)
        and not is_known(connection, tags.id)
        for tags in request.content.read.values()
    )


def _new_track_ids(request: Request, assigned: Assigned, kept: Mapping[bytes, str]) -> dict[bytes, str]:
    fresh = {}
    in_writing = _in_writing(request) if request.c.write_ids_to_tags else set()
    for path in request.content.paths:
        if path in kept:
            continue
        if path in request.content.kept:
            # Another release took its id a moment ago: to be read first, by the next update.
            assigned.pending.add(path)
            assigned.complete = False
        elif path in in_writing:
            assigned.pending.add(path)
            assigned.complete = False
            logger.info("left %s for later: it may still be being written", _full(request, path))
        else:
            fresh[path] = new_id()
    return fresh


def _in_writing(request: Request) -> set[bytes]:
    """Returns the files of a release that the cache knows which have changed, and not been left alone since."""
    known = request.known
    if request.force or known is None or known.directory != request.directory:
        return set()
    stored = {track.path: track for track in known.tracks}
    return {
        file.path
        for file in request.listing.files
        if not (file.path in stored and is_unchanged(file, stored[file.path]))
        and not _is_quiet(file, request.now)
    }


def _is_quiet(file: FoundFile, now: float) -> bool:
    age = now - max(file.mtime, file.ctime) / 1e9
    return not 0 <= age < QUIET_SECONDS  # a time in the future says nothing about now


def _settle_datafile(request: Request, datafile: ReleaseDatafile, assigned: Assigned) -> None:
    """Sets what else a datafile says of a release, by what it says already."""
    assigned.new = True if datafile.new is None else datafile.new
    known_added_at = request.known.added_at if request.known is not None else None
    assigned.added_at = (
        datafile.added_at
        or known_added_at
        or datetime.fromtimestamp(request.now).astimezone().isoformat(timespec="seconds")
    )


def _derive_release_id(request: Request, connection: sqlite3.Connection, assigned: Assigned) -> None:
    """Gives a release that can get no datafile an id that is the same every time, unless it has one."""
    if assigned.is_new_id:
        assigned.release_id = derived_release_id(
            request.directory,
            lambda identifier: is_copy(request.c, connection, request.directory, identifier),
        )


def _storing_datafile(
    request: Request,
    connection: sqlite3.Connection,
    found_id: str | None,
    datafile: ReleaseDatafile,
    assigned: Assigned,
) -> Flushing[bool]:
    """Writes what the datafile lacks. Returns False, with a problem noted, if there is none and cannot be."""
    _settle_datafile(request, datafile, assigned)
    wanted = replace(datafile, new=assigned.new, added_at=assigned.added_at)
    if not request.c.write_ids_to_tags:
        wanted = replace(wanted, tracks=table_of(request, assigned.tracks, datafile.tracks))
    path = Path(os.fsdecode(request.path), assigned.datafile_name)
    old = path if found_id is None else path.with_name(os.fsdecode(datafile_names(request.listing)[found_id]))
    if wanted == datafile and found_id is not None and old == path:
        return True
    try:
        if old != path:
            os.rename(old, path)  # a copied directory: the copy's datafile becomes its own
            assigned.datafiles.add(os.fsencode(old.name))
        yield from writing_release_datafile(path, wanted)
    except (OSError, InvalidDatafileError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error.reason
        assigned.problems.append(Problem(path, f"cannot be written: {reason}"))
        assigned.complete = False if os.access(request.path, os.W_OK) else assigned.complete
        if path.exists():
            return True
        _derive_release_id(request, connection, assigned)
        return False
    assigned.datafiles.add(os.fsencode(path.name))
    return True


def _writing_tags(
    request: Request, connection: sqlite3.Connection, fresh: Mapping[bytes, str], assigned: Assigned
) -> Flushing[None]:
    writes = {}
    in_writing = _in_writing(request)
    for path, tags in request.content.read.items():
        identifier = assigned.tracks.get(path)
        if identifier is None or (tags.id, tags.release_id) == (identifier, assigned.release_id):
            continue
        if path not in fresh and path in in_writing:
            assigned.complete = False  # it came with an id, so it can be shown; its release id can wait
        else:
            writes[path] = IdWrite(
                _full(request, path), identifier, assigned.release_id, request.content.readings.get(path)
            )
    if not writes:
        return
    failed = yield from writing_ids(Path(os.fsdecode(request.path)), list(writes.values()))
    failures = {error.path: error for error in failed}
    for path, write in writes.items():
        error = failures.get(write.path)
        if error is None:
            assigned.written.add(path)
            continue
        assigned.problems.append(Problem(write.path, f"no id written: {error.reason}"))
        if not _is_lasting(error):
            assigned.complete = False  # a full disk, say, or a program at work: it can be better next time
    _derive_ids(request, connection, assigned, fresh.keys() - assigned.written)


def _is_lasting(error: TagWriteError) -> bool:
    """Tells whether a file will refuse ids until it is changed itself, so that trying again is no use."""
    if error.path.is_symlink() or not os.access(error.path, os.W_OK):
        return True
    # What the system refused can be granted later; what the file's own content refused cannot.
    return error.__cause__ is not None and not isinstance(error.__cause__, OSError)


def _clearing_table(request: Request, datafile: ReleaseDatafile, assigned: Assigned) -> Flushing[None]:
    """Removes from the datafile's table what the tags say now, so that it cannot contradict them later."""
    left = without_carried(request, assigned.written, datafile.tracks)
    if left == datafile.tracks:
        return
    path = Path(os.fsdecode(request.path), assigned.datafile_name)
    try:
        values = ReleaseDatafile(new=assigned.new, added_at=assigned.added_at, tracks=left)
        yield from writing_release_datafile(path, values)
    except (OSError, InvalidDatafileError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error.reason
        assigned.problems.append(Problem(path, f"cannot be written: {reason}"))
        return
    assigned.datafiles.add(os.fsencode(path.name))


def _derive_ids(
    request: Request, connection: sqlite3.Connection, assigned: Assigned, paths: Iterable[bytes]
) -> None:
    """Gives files that cannot be written ids that are the same every time."""
    paths = sorted(paths)
    for path in paths:
        del assigned.tracks[path]
    taken = set(assigned.tracks.values())

    def is_taken(identifier: str) -> bool:
        wanted = {b"": identifier}
        return identifier in taken or bool(
            ids_held_elsewhere(request.c, connection, request.directory, wanted)
        )

    for path in paths:
        assigned.tracks[path] = derived_track_id(assigned.release_id, path, is_taken)
        taken.add(assigned.tracks[path])


def _full(request: Request, path: bytes) -> Path:
    return Path(os.fsdecode(os.path.join(request.path, path)))
