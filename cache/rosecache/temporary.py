"""Files and directories that are being written: their names, and the locks that show that somebody writes them.

For whoever makes one, and whoever cleans up after a crash. Nothing here removes what somebody has written.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import secrets
from pathlib import Path

IN_PROGRESS_PREFIX = ".in-progress."
"""Whatever starts with this is being written by somebody, not only by us: never scanned, never shown."""

TEMPORARY_PREFIX = IN_PROGRESS_PREFIX + "rosefs."
"""Starts our own names; they are completed or removed at the next start after a crash."""

SPOOL_PREFIX = TEMPORARY_PREFIX + "spool."
"""Starts the name of a private copy of a file that a program is writing to through a mount."""

HOLD_PREFIX = TEMPORARY_PREFIX + "hold."
"""Starts the name of a directory in the source directory, of files that nobody is to lose."""


def make_private_directory(path: Path) -> None:
    """Creates a directory that only the user can enter, and those above it likewise, where there are none yet.

    Raises OSError.
    """
    missing = itertools.takewhile(lambda each: not each.is_dir(), (path, *path.parents))
    for each in reversed(list(missing)):
        each.mkdir(mode=0o700, exist_ok=True)


def private(path: str, flags: int) -> int:
    """Opens a file, which only the user can read if it is made by this: an ``opener`` for :func:`open`."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def make_temporary(directory: Path, prefix: str, suffix: str, mode: int) -> tuple[Path, int]:
    """Makes an empty file that is locked as long as it is open, which shows recovery that its writer lives.

    Args:
        directory: Where.
        prefix: Starts its name.
        suffix: Ends its name.
        mode: Its permissions, less those of the umask.

    Returns:
        Its path, and a descriptor to read and write it by.

    Raises:
        OSError: It cannot be made.
    """
    while True:
        path = directory / f"{prefix}{secrets.token_hex(8)}{suffix}"
        descriptor = create_claimed(path, mode)
        if descriptor is not None:
            return path, descriptor


def create_claimed(path: Path, mode: int) -> int | None:
    """Makes an empty file that is locked as long as it is open.

    Returns:
        A descriptor to read and write it by; None if recovery took it for an abandoned one before it was locked.

    Raises:
        OSError: It cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        claim(descriptor)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass  # recovery is just about to remove it
    except BaseException:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def claim(descriptor: int) -> None:
    """Locks an open temporary file or directory, as long as it is open, which shows that its writer lives.

    Raises BlockingIOError if somebody else has it. Where a disk has no such locks, the release's must do.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS):
            raise
