"""Looking at a cache from outside: what it holds, and whether it is sound.

For whoever tells of a cache and works with none: takes the file of any database, of these settings or of others, and
opens it for reading only. Never makes, repairs or changes one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rosecache.database import quoted

_BUSY_SECONDS = 5
_COUNTED = ("releases", "tracks", "collages", "playlists")


class Contents(msgspec.Struct, frozen=True):
    """How much is in a cache."""

    releases: int
    tracks: int
    collages: int
    playlists: int


class Health(msgspec.Struct, frozen=True):
    """The state of a database file.

    Attributes:
        damage: What SQLite finds wrong with it; empty if nothing.
        position: The number of the last entry in the change feed.
    """

    damage: str
    position: int


class BrokenFile(msgspec.Struct, frozen=True):
    """An audio file that updates could not read, and why."""

    path: bytes
    """Below the source directory."""
    reason: str


def contents_of(database: Path) -> Contents:
    """Returns how much is in a cache. Raises sqlite3.Error if it is not there, or cannot be read."""
    with _reading(database) as connection:
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _COUNTED]
    return Contents(*counts)


def health_of(database: Path) -> Health:
    """Returns whether a database file is sound, which reads all of it.

    Raises:
        sqlite3.Error: It is not there, or so damaged that it is no database any more.
    """
    with _reading(database) as connection:
        said = [row[0] for row in connection.execute("PRAGMA quick_check(1)").fetchall()]
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return Health("" if said == ["ok"] else "; ".join(said), row[0] if row is not None else 0)


def broken_files_of(database: Path) -> list[BrokenFile]:
    """Returns the audio files that updates could not read, by path. Raises sqlite3.Error."""
    with _reading(database) as connection:
        rows = connection.execute(
            "SELECT directory, path, problem FROM files JOIN releases ON key = release_key"
            " WHERE problem IS NOT NULL ORDER BY directory, path"
        ).fetchall()
    return [BrokenFile(os.path.join(directory, path), reason) for directory, path, reason in rows]


def directories_of(database: Path) -> set[bytes]:
    """Returns the directories of all releases, below the source directory. Raises sqlite3.Error."""
    with _reading(database) as connection:
        return {row[0] for row in connection.execute("SELECT directory FROM releases").fetchall()}


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"file:{quoted(str(database))}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    try:
        yield connection
    finally:
        connection.close()
