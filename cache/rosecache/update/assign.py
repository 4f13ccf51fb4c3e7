"""Giving a release and its tracks their ids, and writing those that are not on the disk yet.

First everything is decided, then the datafile is written, then the tags: a datafile without tags is finished
by the next update, while tags without a datafile would look like a directory that somebody is still copying.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

from rosecache.config import Config
from rosecache.database import connect
from rosecache.datafiles import (
    ReleaseDatafile,
    datafile_name,
    parse_datafile_name,
    read_release_datafile,
    write_release_datafile,
)
from rosecache.errors import InvalidDatafileError
from rosecache.tags import IdWrite, write_ids
from rosecache.update.content import Content
from rosecache.update.identity import (
    Claim,
    choose_release_id,
    derived_release_id,
    derived_track_id,
    ids_held_elsewhere,
    is_copy,
    is_known,
    new_id,
    settle_claims,
)
from rosecache.update.report import Problem, problem, reason_of
from rosecache.update.rows import ReleaseRow
from rosecache.update.walk import FoundFile, Listing

logger = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""A new file in a known release gets no id before it has been left alone for so long."""


class Verdict(Enum):
    """Whether a release can be stored now."""

    READY = auto()
    SKIP = auto()
    DEFER = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """One release as it was found and read."""

    c: Config
    directory: bytes
    path: bytes
    listing: Listing
    content: Content
    known: ReleaseRow | None
    force: bool
    defer: bool
    now: float


@dataclass(slots=True)
class Assigned:
    """The ids that a release and its tracks have from now on, and what was written for that."""

    verdict: Verdict = Verdict.READY
    release_id: str = ""
    added_at: str = ""
    new: bool = True
    tracks: dict[bytes, str] = field(default_factory=dict)
    """Track ids by path below the release directory."""
    pending: set[bytes] = field(default_factory=set)
    """Files that get no id yet, since they may still be being written."""
    written: set[bytes] = field(default_factory=set)
    """Audio files whose tags were written."""
    datafiles: set[bytes] = field(default_factory=set)
    """Names of datafiles that were written or renamed."""
    complete: bool = True
    """False if the next update has to look again, whatever the stamp says."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def datafile_name(self) -> str:
        return datafile_name(self.release_id)

    @property
    def wrote_datafile(self) -> bool:
        return bool(self.datafiles)


def datafile_ids(listing: Listing) -> list[str]:
    """Returns the release ids that the datafiles of a directory name, sorted."""
    parsed = (parse_datafile_name(file.path) for file in listing.files if b"/" not in file.path)
    return sorted(identifier for identifier in parsed if identifier is not None)


def assign_ids(request: Request) -> Assigned:
    """Decides all ids of a release and writes the missing ones, if nothing speaks against it now.

    A datafile that is not valid gives the verdict FAILED, and nothing is touched.
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
        kept = _settle_track_ids(request, connection, assigned.release_id, datafile)
    fresh = _new_track_ids(request, assigned, kept)
    assigned.tracks = {**kept, **fresh}
    if _store_datafile(request, found_id, datafile, assigned) and request.c.write_ids_to_tags:
        _write_tags(request, fresh, assigned)
    elif request.c.write_ids_to_tags:
        _derive_ids(request, fresh, assigned)
    return assigned


def _settle_release_id(request: Request, connection: sqlite3.Connection, assigned: Assigned) -> str | None:
    """Sets the release's id. Returns the id in the name of the datafile that is there, or None."""
    datafiles = datafile_ids(request.listing)
    first = request.content.paths[0]
    tags = request.content.read.get(first)
    tagged = tags.release_id if tags is not None else None
    cached = request.known.id if request.known is not None else None
    if not datafiles and tagged is not None:
        if request.defer:
            assigned.verdict = Verdict.DEFER
            return None
        if not request.force:
            logger.info(
                "skipped %s: its files name a release, but there is no datafile: somebody seems to be copying it",
                os.fsdecode(request.path),
            )
            assigned.verdict = Verdict.SKIP
            return None
    found = choose_release_id(datafiles, tagged, cached)
    for other in datafiles:
        if other != found:
            name = datafile_name(other)
            assigned.problems.append(
                problem(os.path.join(request.path, os.fsencode(name)), f"another datafile; {found} counts")
            )
    assigned.release_id = found or tagged or cached or new_id()
    if is_copy(request.c, connection, request.directory, assigned.release_id):
        assigned.release_id = new_id()
    return found


def _read_datafile(request: Request, found_id: str | None, assigned: Assigned) -> ReleaseDatafile | None:
    if found_id is None:
        return ReleaseDatafile()
    path = Path(os.fsdecode(request.path), datafile_name(found_id))
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


def _settle_track_ids(
    request: Request, connection: sqlite3.Connection, release_id: str, datafile: ReleaseDatafile
) -> dict[bytes, str]:
    """Returns the files that keep the id that they claim, by path."""
    stored = {track.path: track.id for track in request.known.tracks} if request.known else {}
    claims = []
    for path in request.content.paths:
        if path in request.content.kept:
            claims.append(Claim(path, request.content.kept[path].id, at_home=True, known=True))
            continue
        tags = request.content.read[path]
        in_table = datafile.tracks.get(_table_key(path))
        claimed = (tags.id or in_table) if request.c.write_ids_to_tags else (in_table or tags.id)
        if claimed is not None:
            known = stored.get(path) == claimed
            claims.append(Claim(path, claimed, at_home=tags.release_id == release_id, known=known))
    kept = settle_claims(claims)
    held = ids_held_elsewhere(request.c, connection, request.directory, kept)
    kept = {path: identifier for path, identifier in kept.items() if identifier not in held}
    return kept | _known_by_place(request, stored, kept)


def _known_by_place(
    request: Request, stored: Mapping[bytes, str], kept: Mapping[bytes, str]
) -> dict[bytes, str]:
    """Returns ids of files that carry none: the cache knows the path or, without ids in tags, the file."""
    free = {path: identifier for path, identifier in stored.items() if identifier not in kept.values()}
    found = {}
    files = {file.path: file for file in request.listing.files}
    for path in request.content.paths:
        if path in kept:
            continue
        if path in free and request.content.read[path].id is None:
            found[path] = free.pop(path)
        elif not request.c.write_ids_to_tags and request.known is not None:
            for track in request.known.tracks:
                same = (track.size, track.mtime) == (files[path].size, files[path].mtime)
                if track.path in free and track.path not in files and same:
                    found[path] = free.pop(track.path)
                    break
    return found


def _new_track_ids(request: Request, assigned: Assigned, kept: Mapping[bytes, str]) -> dict[bytes, str]:
    files = {file.path: file for file in request.listing.files}
    fresh = {}
    known_here = request.known is not None and request.known.directory == request.directory
    for path in request.content.paths:
        if path in kept:
            continue
        waits = request.c.write_ids_to_tags and known_here and not request.force
        if waits and not _is_quiet(files[path], request.now):
            assigned.pending.add(path)
            assigned.complete = False
            logger.info("left %s for later: it may still be being written", _full(request, path))
        else:
            fresh[path] = new_id()
    return fresh


def _is_quiet(file: FoundFile, now: float) -> bool:
    age = now - max(file.mtime, file.ctime) / 1e9
    return not 0 <= age < QUIET_SECONDS  # a time in the future says nothing about now


def _store_datafile(
    request: Request, found_id: str | None, datafile: ReleaseDatafile, assigned: Assigned
) -> bool:
    """Writes what the datafile lacks. Returns False, with a problem noted, if there is none and cannot be."""
    assigned.new = True if datafile.new is None else datafile.new
    known_added_at = request.known.added_at if request.known is not None else None
    assigned.added_at = (
        datafile.added_at
        or known_added_at
        or datetime.fromtimestamp(request.now).astimezone().isoformat(timespec="seconds")
    )
    wanted = replace(datafile, new=assigned.new, added_at=assigned.added_at)
    if not request.c.write_ids_to_tags:
        wanted = replace(wanted, tracks=_table(request, assigned))
    if wanted == datafile and found_id == assigned.release_id:
        return True
    path = Path(os.fsdecode(request.path), assigned.datafile_name)
    try:
        if found_id is not None and found_id != assigned.release_id:
            old = path.with_name(datafile_name(found_id))
            os.rename(old, path)  # a copied directory: the copy's datafile becomes its own
            assigned.datafiles.add(os.fsencode(old.name))
        write_release_datafile(path, wanted)
    except OSError as error:
        assigned.problems.append(Problem(path, f"cannot be written: {reason_of(error)}"))
        assigned.complete = False if os.access(request.path, os.W_OK) else assigned.complete
        if not path.exists():
            assigned.release_id = derived_release_id(request.directory)
            return False
        return True
    assigned.datafiles.add(os.fsencode(path.name))
    return True


def _table(request: Request, assigned: Assigned) -> dict[str, str]:
    """Returns the ids for the datafile's table: of every file whose own tags do not carry it."""
    table = {}
    for path, identifier in assigned.tracks.items():
        tags = request.content.read.get(path)
        if tags is None or tags.id != identifier:
            table[_table_key(path)] = identifier
    return table


def _table_key(path: bytes) -> str:
    """Returns a path as TOML can hold it; bytes that are no UTF-8 are written as escapes."""
    return path.decode("utf-8", "backslashreplace")


def _write_tags(request: Request, fresh: Mapping[bytes, str], assigned: Assigned) -> None:
    writes = {}
    for path, tags in request.content.read.items():
        identifier = assigned.tracks.get(path)
        if identifier is not None and (tags.id, tags.release_id) != (identifier, assigned.release_id):
            writes[path] = IdWrite(_full(request, path), identifier, assigned.release_id)
    if not writes:
        return
    failures = {
        error.path: error.reason
        for error in write_ids(Path(os.fsdecode(request.path)), list(writes.values()))
    }
    for path, write in writes.items():
        reason = failures.get(write.path)
        if reason is None:
            assigned.written.add(path)
            continue
        assigned.problems.append(Problem(write.path, f"no id written: {reason}"))
        if os.access(write.path, os.W_OK):
            assigned.complete = False  # a full disk, say, or a program at work: it can be better next time
        if path in fresh:
            assigned.tracks[path] = derived_track_id(assigned.release_id, path)


def _derive_ids(request: Request, fresh: Mapping[bytes, str], assigned: Assigned) -> None:
    for path in fresh:
        assigned.tracks[path] = derived_track_id(assigned.release_id, path)


def _full(request: Request, path: bytes) -> Path:
    return Path(os.fsdecode(os.path.join(request.path, path)))
