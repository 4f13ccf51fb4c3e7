"""Which id a release and its tracks have: decided from datafile, tags and cache, before anything is written.

An id stays with its file for good, across renames, moves and rebuilds. When two files or directories carry
the same one, somebody made a copy, and exactly one of them keeps it. Nothing here writes anything.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from uuid import UUID, uuid5

import msgspec

from rosecache.config import Config
from rosecache.datafiles import datafile_name
from rosecache.errors import UnreadableAudioError
from rosecache.tags import read_ids
from rosecache.update.content import audio_files
from rosecache.update.rows import rows_among
from rosecache.update.walk import list_files

_UNWRITTEN = UUID("0b9ad3a6-6e0b-5e0c-9d7e-51f5a2f4a8c3")
"""Namespace of the ids that are derived from paths, where none can be written to the disk."""


def derived_release_id(directory: bytes, is_taken: Callable[[str], bool]) -> str:
    """Returns the id of a release whose directory cannot be written: the same one every time."""
    return _derived(_UNWRITTEN, directory, is_taken)


def derived_track_id(release_id: str, path: bytes, is_taken: Callable[[str], bool]) -> str:
    """Returns the id of a track whose file cannot be written: the same one every time."""
    return _derived(UUID(release_id), path, is_taken)


def _derived(namespace: UUID, name: bytes, is_taken: Callable[[str], bool]) -> str:
    # An id that was derived from a name once may have gone away with its file.
    texts = (name.hex() + "." * number for number in count())
    return next(found for text in texts if not is_taken(found := str(uuid5(namespace, text))))


def choose_release_id(datafiles: Sequence[str], tagged: str | None, cached: str | None) -> str | None:
    """Returns the datafile that counts: the one that the tags name, else the cache, else the first."""
    for candidate in (tagged, cached):
        if candidate in datafiles:
            return candidate
    return min(datafiles, default=None)


def is_copy(c: Config, connection: sqlite3.Connection, directory: bytes, release_id: str) -> bool:
    """Tells whether another directory, which the cache knows under this id, still has it, or may have."""
    row = connection.execute("SELECT directory FROM releases WHERE id = ?", (release_id,)).fetchone()
    if row is None or row["directory"] == directory:
        return False
    other = os.path.join(os.fsencode(c.music_source_dir), row["directory"])
    try:
        os.stat(os.path.join(other, os.fsencode(datafile_name(release_id))))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # what cannot be seen is not gone
    return True


class Claim(msgspec.Struct, frozen=True):
    """An audio file and the track id that it claims by its tags, the datafile or the cache."""

    path: bytes
    """Below the release directory."""
    id: str
    at_home: bool
    """Its tags name this release, or the cache knows it here."""
    known: bool
    """The cache knows this id under this path."""
    full: bytes = b""
    """The file's whole path."""

    @property
    def linked(self) -> bool:
        """The file is a symbolic link, whose tags are another file's. Only of two with one id it matters."""
        return os.path.islink(self.full)


def settle_claims(claims: Sequence[Claim]) -> dict[bytes, str]:
    """Returns which file of one release keeps which id, by path; who loses its claim is not in it.

    Of several files with one id the one that the cache knows under its path keeps it, else the one that is no
    link, else the one whose tags name this release, else the first by path.
    """
    best: dict[str, Claim] = {}
    for claim in claims:
        other = best.get(claim.id)
        if other is None or _rank(claim) < _rank(other):
            best[claim.id] = claim
    return {claim.path: claim.id for claim in best.values()}


def _rank(claim: Claim) -> tuple[bool, bool, bool, bytes]:
    return (not claim.known, claim.linked, not claim.at_home, claim.path)


def ids_held_elsewhere(
    c: Config, connection: sqlite3.Connection, directory: bytes, wanted: Mapping[bytes, str]
) -> set[str]:
    """Returns those of the wanted ids that a file of another release has, and so keeps."""
    rows = rows_among(
        connection,
        "SELECT tracks.id, release_key, directory, path, size, tracks.mtime, ctime FROM tracks"
        " JOIN releases ON releases.key = release_key WHERE tracks.id IN ({}) AND directory != ?",
        list(wanted.values()),
        directory,
    )
    return {row[0] for row in rows if _still_has(c, connection, *row)}


def is_known(connection: sqlite3.Connection, track_id: str) -> bool:
    """Tells whether the cache has a track of this id."""
    return connection.execute("SELECT 1 FROM tracks WHERE id = ?", (track_id,)).fetchone() is not None


def _still_has(
    c: Config,
    connection: sqlite3.Connection,
    identifier: str,
    release_key: int,
    name: bytes,
    path: bytes,
    *stored: int,
) -> bool:
    """Tells whether another release has the file of an id, under the path that the cache knows or a new one."""
    directory = os.path.join(os.fsencode(c.music_source_dir), name)
    try:
        if _has_id(directory, path, stored, identifier):
            return True
        return _has_renamed(connection, directory, release_key, identifier)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # what cannot be seen is not gone


def _has_id(directory: bytes, path: bytes, stored: tuple[int, ...] | None, identifier: str) -> bool:
    full = os.path.join(directory, path)
    try:
        status = os.stat(full)
        if (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == stored:
            return True
        return read_ids(Path(os.fsdecode(full)))[0] == identifier
    except (FileNotFoundError, NotADirectoryError, UnreadableAudioError):
        return False


def _has_renamed(connection: sqlite3.Connection, directory: bytes, release_key: int, identifier: str) -> bool:
    """Tells whether one of the files that are new to the cache, or changed, carries an id."""
    rows = connection.execute(
        "SELECT path, size, mtime, ctime FROM tracks WHERE release_key = ?", (release_key,)
    ).fetchall()
    stored = {row["path"]: tuple(row)[1:] for row in rows}
    return any(
        _has_id(directory, file.path, None, identifier)
        for file in audio_files(list_files(directory))
        if stored.get(file.path) != (file.size, file.mtime, file.ctime)
    )
