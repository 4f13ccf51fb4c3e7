"""The change feed: what updates did to the cache, in order, for whoever keeps something that was made from it.

Every update appends to the feed in the transaction of the change itself, so a reader that has seen the feed up
to a position has missed nothing before it, whichever process wrote it. Old entries are pruned; a reader whose
position lies before what is left, or is of another database, is told to look at everything again. Reading
changes nothing.
"""

from __future__ import annotations

import sqlite3

import msgspec

from rosecache.config import Config
from rosecache.query.rows import fetch, snapshot


class Position(msgspec.Struct, frozen=True):
    """A place in the change feed.

    Attributes:
        epoch: Which database's feed; another database has another one.
        sequence: The number of the last entry that was seen; 0 before the first.
    """

    epoch: str
    sequence: int


class Change(msgspec.Struct, frozen=True):
    """An entry of the feed.

    Attributes:
        kind: ``release``, ``collage`` or ``playlist``.
        id: The release's id, or the collage's or playlist's name.
        change: ``added``, ``changed`` or ``removed``.
    """

    kind: str
    id: str
    change: str


class Changes(msgspec.Struct, frozen=True):
    """What came after a position.

    Attributes:
        position: Up to where this answer goes; what to ask for next time.
        resync: The asked position says nothing about now: anything may have changed, and ``changes`` is empty.
        changes: The entries, oldest first.
    """

    position: Position
    resync: bool
    changes: tuple[Change, ...]


# AUTOINCREMENT numbers without gaps and remembers the last number when the table is empty, so everything after
# a position is there if the next number is.
_EDGES = """
SELECT epoch,
  coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0) AS newest,
  (SELECT min(sequence) FROM changes) AS oldest
FROM meta
"""
_AFTER = "SELECT kind, id, change FROM changes WHERE sequence > :sequence ORDER BY sequence"


def current_position(c: Config) -> Position:
    """Returns the end of the feed: what is asked for from here on is what changes from now on."""
    with snapshot(c) as connection:
        return _edges(connection)[0]


def changes_since(c: Config, position: Position | None) -> Changes:
    """Returns what changed after a position.

    Args:
        c: The configuration.
        position: Where an earlier answer, or :func:`current_position`, ended. None for a reader that knows
            nothing yet, who is told to resync, as is one whose position is unknown or pruned.
    """
    with snapshot(c) as connection:
        now, oldest = _edges(connection)
        if (
            position is None
            or position.epoch != now.epoch
            or not oldest - 1 <= position.sequence <= now.sequence
        ):
            return Changes(now, resync=True, changes=())
        if position == now:
            return Changes(now, resync=False, changes=())
        rows = fetch(connection, _AFTER, {"sequence": position.sequence})
    return Changes(now, resync=False, changes=tuple(Change(*row) for row in rows))


def _edges(connection: sqlite3.Connection) -> tuple[Position, int]:
    """Returns the end of the feed and the number of its oldest entry, or of the next one if it is empty."""
    epoch, newest, oldest = fetch(connection, _EDGES)[0]
    return Position(epoch, newest), newest + 1 if oldest is None else oldest


def prune_changes(connection: sqlite3.Connection, keep: int = 100_000) -> None:
    """Removes the oldest entries of the feed, all but the newest ``keep``; in the caller's transaction."""
    connection.execute(
        "DELETE FROM changes WHERE sequence <="
        " (SELECT seq FROM sqlite_sequence WHERE name = 'changes') - :keep",
        {"keep": keep},
    )
