"""The tree's errors as the system's error numbers: one table for both bindings.

Every class of ``FileSystemError`` has its own line, a test sees to that. What is no such error is a mistake
in the program: it is logged with its traceback and answered with ``EIO``, so that one bad request fails and
the mount goes on. So it does when no more files can be opened, which can come up anywhere.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import sqlite3
import time
from collections.abc import Mapping

from rosefs.vfs.errors import (
    AbsentError,
    AccessDeniedError,
    BadHandleError,
    BusyError,
    ExistsError,
    FileSystemError,
    InvalidRequestError,
    IsADirectoryFsError,
    NameTooLongError,
    NoAttributeError,
    NoEntryError,
    NotADirectoryFsError,
    NotEmptyError,
    NotPermittedError,
    NotSupportedError,
    ReadOnlyError,
    SourceIOError,
    SourceWriteError,
    StaleError,
)

log = logging.getLogger(__name__)

ERRNOS: Mapping[type[FileSystemError], int] = {
    FileSystemError: errno.EIO,
    NoEntryError: errno.ENOENT,
    AbsentError: errno.ENOENT,
    NotADirectoryFsError: errno.ENOTDIR,
    IsADirectoryFsError: errno.EISDIR,
    ReadOnlyError: errno.EROFS,
    NoAttributeError: errno.ENODATA,
    NotSupportedError: errno.EOPNOTSUPP,
    BadHandleError: errno.EBADF,
    AccessDeniedError: errno.EACCES,
    StaleError: errno.ESTALE,
    SourceIOError: errno.EIO,
    NotPermittedError: errno.EPERM,
    ExistsError: errno.EEXIST,
    NotEmptyError: errno.ENOTEMPTY,
    InvalidRequestError: errno.EINVAL,
    BusyError: errno.EBUSY,
    NameTooLongError: errno.ENAMETOOLONG,
    SourceWriteError: errno.EIO,
}
"""What each error of the tree is to the kernel."""

_TOLD = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
)
"""What the disk says of a change that programs know what to do about; anything else is ``EIO``."""

_OF_THE_SOURCE = (AccessDeniedError, SourceIOError, SourceWriteError)
"""Errors that are about the user's disk, and that the user should find in the log."""

_LACK = (errno.EMFILE, errno.ENFILE)
_SELDOM = 60.0
"""Seconds between two lines of the log that say the same."""


def errno_for(error: Exception, operation: str) -> int:
    """Returns the error number to answer with, after logging what somebody has to know.

    Args:
        error: What the tree raised.
        operation: The request's name, for the log.
    """
    if _lacks_files(error):
        _tell_of_lack()
        return errno.EMFILE
    number = ERRNOS.get(type(error)) if isinstance(error, FileSystemError) else None
    if number is None:
        log.error("%s failed unexpectedly; answered with EIO", operation, exc_info=error)
        return errno.EIO
    if isinstance(error, _OF_THE_SOURCE):
        log.warning("%s: %s", operation, error)
    if isinstance(error, SourceWriteError) and error.errno in _TOLD:
        return error.errno
    return number


# Too many open files ----------------------------------------------------------------------------------------


class _Told:
    """When it was said last that no more files can be opened."""

    at = -_SELDOM


def _lacks_files(error: Exception) -> bool:
    if isinstance(error, OSError | SourceIOError | SourceWriteError):
        return error.errno in _LACK
    return isinstance(error, sqlite3.Error) and not _can_open()  # SQLite says only that it cannot open a file


def _can_open() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno not in _LACK
    return True


def _tell_of_lack() -> None:
    now = time.monotonic()
    if now - _Told.at < _SELDOM:
        return
    _Told.at = now
    log.warning(
        "no more files can be opened until programs close some: this process may have %d open; "
        "raise its limit (ulimit -Hn, or LimitNOFILE= of a systemd unit) and mount again if that is too few",
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )  # fmt: skip
