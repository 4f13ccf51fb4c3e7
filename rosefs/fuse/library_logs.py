"""What the two FUSE libraries log, and the one record of theirs that nobody needs to see.

Knows nothing of where log records go: that is set up by whoever runs a mount.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("pyfuse3", "llfuse")
"""The loggers of the libraries."""

_REPLY_FAILED = "fuse_reply_* failed with"
_DROPPED = os.strerror(errno.ENOENT)


@contextmanager
def quiet_about_dropped_requests() -> Iterator[None]:
    """Has the libraries log as a detail, within the block, that the kernel did not wait for an answer.

    It says so by ``ENOENT`` (fuse_dev_do_write in the kernel) when somebody unmounts, or interrupts a program, while
    its request is being worked on. The libraries take every answer that cannot be given for an error.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(_as_detail)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_as_detail)


def _as_detail(record: logging.LogRecord) -> bool:
    """Lowers the level of the record about a dropped request; every other one passes as it is."""
    if not (_REPLY_FAILED in str(record.msg) and record.args == (_DROPPED,)):
        return True
    record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
