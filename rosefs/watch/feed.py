"""Following the change feed on trio, for whoever does something after a change, whichever process made it.

Asks the cache now and then, which costs two small queries, and never the library.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator

import trio

from rosecache.changes import Changes, Position, changes_since, current_position
from rosecache.config import Config
from rosecache.errors import RosecacheError

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two questions."""


async def follow_feed(c: Config, position: Position | None = None) -> AsyncIterator[Changes]:
    """Yields what changed, or that anything may have, as it comes; never nothing.

    Args:
        c: The settings of the library.
        position: From where on; None for what changes from now on.
    """
    while True:
        try:
            if position is None:
                position = await trio.to_thread.run_sync(current_position, c)
            changes = await trio.to_thread.run_sync(changes_since, c, position)
        except (RosecacheError, OSError, sqlite3.Error) as error:
            log.info("the cache cannot be asked for changes, which is tried again: %s", error)
        else:
            position = changes.position
            if changes.resync or changes.changes:
                yield changes
        await trio.sleep(INTERVAL)
