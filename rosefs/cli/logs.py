"""Log records as lines for the user: on stderr, or in a file once there is no terminal any more.

Decides only how they look, where they go and which are shown.
"""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import click

from rosecache.temporary import make_private_directory, private
from rosefs.fuse.library_logs import LOGGERS

PACKAGES = ("rosecache", "rosefs", *LOGGERS)
"""Whose log records are shown."""

COMMANDS_LOGGER = "rosefs.cli"
"""The logger of lines that a user gets to see without asking: how far an update is."""

_MAX_BYTES = 1 << 20
_OLD_FILES = 3


class _StderrHandler(logging.Handler):
    """Writes records as lines of their own, to what is stderr at that time: a progress bar may have taken it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            click.echo(self.format(record), err=True)
        except OSError:  # the terminal is gone, say: no reason to fail what was going to be told
            self.handleError(record)


class _Formatter(logging.Formatter):
    def __init__(self, *, detailed: bool) -> None:
        super().__init__("%(name)s: %(message)s" if detailed else "%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return f"rosefs: {level}{super().format(record)}"


class LogFile(RotatingFileHandler):
    """A file of log records, of which old parts are kept for a while under ``….1``, ``….2`` …"""

    def __init__(self, path: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        """Opens the file, to append to it. Raises OSError."""
        make_private_directory(path.parent)
        super().__init__(path, maxBytes=max_bytes, backupCount=_OLD_FILES, encoding="utf-8", errors="replace")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._is_output = False

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", errors="replace", opener=private)

    def become_output(self) -> None:
        """Has this process write here what it would write to stdout and stderr, which libraries in C do."""
        self._is_output = True
        self._redirect()

    def doRollover(self) -> None:  # noqa: N802 - the name is logging's
        super().doRollover()
        if self._is_output:
            self._redirect()

    def _redirect(self) -> None:
        stream = self.stream or self._open()
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)


def set_up_logging(verbosity: int) -> None:
    """Shows warnings and errors on stderr, and with a verbosity of 1 or 2 also information or every detail."""
    handler = _StderrHandler()
    handler.setFormatter(_Formatter(detailed=verbosity > 1))
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    for package in PACKAGES:
        logger = logging.getLogger(package)
        for old in [old for old in logger.handlers if isinstance(old, _StderrHandler)]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level)
    logging.getLogger(COMMANDS_LOGGER).setLevel(min(level, logging.INFO))


def log_also_to(file: LogFile) -> None:
    """Writes to a file what is shown on stderr."""
    for package in PACKAGES:
        logging.getLogger(package).addHandler(file)


def log_only_to(file: LogFile) -> None:
    """Writes to a file what was shown on stderr, together with information, and nothing to stderr any more."""
    file.become_output()
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, _StderrHandler)]
        logger.setLevel(min(logger.level, logging.INFO))
