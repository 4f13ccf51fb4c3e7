"""Which errors are expected, and what is said of each: one message that tells what to do, and no traceback."""

from __future__ import annotations

import sqlite3

import click

from rosecache.errors import RosecacheError
from rosefs.fuse.errors import MountError, UnmountError

EXPECTED: tuple[type[Exception], ...] = (RosecacheError, MountError, OSError, sqlite3.Error)
"""What a user's files, disk or system can cause. Anything else is a mistake in the program."""


def text_of(error: Exception) -> str:
    """Returns what to tell the user of an expected error."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, sqlite3.Error):
        return f"the cache cannot be used: {error}; it may be deleted, and is then built anew"
    return str(error)


def status_of(error: click.ClickException) -> int:
    """Returns the exit status for an error: that of the program that failed for us, if there was one."""
    cause = error.__cause__
    return cause.status if isinstance(cause, UnmountError) else error.exit_code
