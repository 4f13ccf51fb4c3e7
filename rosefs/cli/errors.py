"""Which errors are expected, and what is said of each: one message that tells what to do, and no traceback."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping

import click

from rosecache.errors import RosecacheError
from rosefs.cli.output import one_line
from rosefs.fuse.errors import MountError, UnmountError
from rosefs.rules.errors import RuleSyntaxError

EXPECTED: tuple[type[Exception], ...] = (RosecacheError, MountError, OSError, sqlite3.Error)
"""What a user's files, disk or system can cause. Anything else is a mistake in the program."""


def text_of(error: Exception) -> str:
    """Returns what to tell the user of an expected error."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{one_line(_path_text(error.filename))}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, sqlite3.Error):
        return f"the cache cannot be used: {error}; {_advice(error)}"
    if isinstance(error, RuleSyntaxError) or isinstance(error.__cause__, RuleSyntaxError):
        return "\n".join(map(one_line, str(error).splitlines()))  # its lines show the place
    return one_line(str(error)) if isinstance(error, RosecacheError) else str(error)


_ADVICE: Mapping[int, str] = {
    sqlite3.SQLITE_FULL: "make room on the disk of cache_dir",
    sqlite3.SQLITE_IOERR: "look for room on the disk of cache_dir, and for its health",
    sqlite3.SQLITE_READONLY: "cache_dir, and what is in it, has to be writable",
    sqlite3.SQLITE_CANTOPEN: "cache_dir, and what is in it, has to be writable",
    sqlite3.SQLITE_BUSY: "another program is writing to it; try again",
}
"""What to do about a failure, by the codes of https://www.sqlite.org/rescode.html."""


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", None)  # errors of the binding itself have none
    primary = code & 0xFF if isinstance(code, int) else None
    return _ADVICE.get(primary or 0, "it may be deleted, and is then built anew")


def _path_text(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)


def status_of(error: click.ClickException) -> int:
    """Returns the exit status for an error: that of the program that failed for us, if there was one."""
    cause = error.__cause__
    return cause.status if isinstance(cause, UnmountError) else error.exit_code
