"""Making the names of releases that were stored under other templates or settings, of what the cache holds of them.

No file is read for that, and nobody who looks sees a difference: a name that is not stored is made when it is shown.
"""

from __future__ import annotations

from rosecache.config import Config
from rosecache.database import connect, transaction
from rosecache.naming import naming_of
from rosecache.update.naming import names_of
from rosecache.update.rows import load_release
from rosecache.update.store import replace_names

_AT_ONCE = 100
"""Releases in one transaction, in which others who write have to wait."""

# In two parts, which the index answers.
_IS_ANY = "SELECT 1 FROM releases WHERE naming < :number OR naming > :number LIMIT 1"

# Each release once: where two configurations share a cache, the other one may be making its names of them just now.
_NEXT = "SELECT key, id FROM releases WHERE key > :after AND naming != :number ORDER BY key LIMIT :limit"


def fill_names(c: Config) -> None:
    """Stores the names of all releases that have none, or others, under a configuration."""
    values = {"number": naming_of(c).number, "limit": _AT_ONCE, "after": 0}
    with connect(c) as connection:
        if connection.execute(_IS_ANY, values).fetchone() is None:
            return
        while True:
            with transaction(connection):
                found = connection.execute(_NEXT, values).fetchall()
                for key, release_id in found:
                    row = load_release(connection, release_id=release_id)
                    assert row is not None  # in the same transaction
                    replace_names(connection, key, names_of(c, row))
            if len(found) < _AT_ONCE:
                return
            values["after"] = found[-1]["key"]
