"""Counting what a query costs SQLite, whatever else the machine does."""

from __future__ import annotations

from collections.abc import Callable

from rosecache.config import Config
from rosecache.database import connect


def count_steps(c: Config, query: Callable[[Config], object]) -> int:
    """Returns how many instructions SQLite's virtual machine runs for a query. The first run fills caches."""
    query(c)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with connect(c) as connection:
        connection.set_progress_handler(count, 1)
        try:
            query(c)
        finally:
            connection.set_progress_handler(None, 1)
    return steps
