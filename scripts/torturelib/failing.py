"""Making a failure of a part's task of what a check says, so that the part goes on."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rosecache.database import close_connections
from rosecache.errors import RosecacheError
from scripts.torturelib.task import Task


@contextmanager
def noting(task: Task, what: str) -> Iterator[None]:
    """Notes what the block raises as a failure, with what it was about."""
    try:
        yield
    except (AssertionError, OSError, ValueError, RosecacheError, sqlite3.Error) as error:
        close_connections()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        task.fail(f"{what}: {error!r:.2000} at {frame.name}: {frame.line}")
