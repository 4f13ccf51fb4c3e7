"""Which errors are expected, and what is said of each: one message that tells what to do, and no traceback."""

from __future__ import annotations

import os
import sqlite3

import click

from rosecache.errors import RosecacheError
from rosefs.cli.output import one_line
from rosefs.fuse.errors import MountError, UnmountError

EXPECTED: tuple[type[Exception], ...] = (RosecacheError, MountError, OSError, sqlite3.Error)
"""What a user's files, disk or system can cause. Anything else is a mistake in the program."""


def text_of(error: Exception) -> str:
    """Returns what to tell the user of an expected error."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{one_line(_path_text(error.filename))}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, sqlite3.Error):
        return f"the cache cannot be used: {error}; it may be deleted, and is then built anew"
    return one_line(str(error)) if isinstance(error, RosecacheError) else str(error)


def _path_text(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)


def status_of(error: click.ClickException) -> int:
    """Returns the exit status for an error: that of the program that failed for us, if there was one."""
    cause = error.__cause__
    return cause.status if isinstance(cause, UnmountError) else error.exit_code
