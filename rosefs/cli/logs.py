"""Log records as lines for the user, on stderr. Decides only how they look and which are shown."""

from __future__ import annotations

import logging

import click

from rosefs.fuse.library_logs import LOGGERS

PACKAGES = ("rosecache", "rosefs", *LOGGERS)
"""Whose log records are shown."""

COMMANDS_LOGGER = "rosefs.cli"
"""The logger of lines that a user gets to see without asking: how far an update is."""


class _StderrHandler(logging.Handler):
    """Writes records as lines of their own, to what is stderr at that time: a progress bar may have taken it."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


class _Formatter(logging.Formatter):
    def __init__(self, *, detailed: bool) -> None:
        super().__init__("%(name)s: %(message)s" if detailed else "%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return f"rosefs: {level}{super().format(record)}"


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
