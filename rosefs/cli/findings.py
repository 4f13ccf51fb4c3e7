"""What ``rosefs doctor`` finds: one value for each thing that was looked at, and how to make it well."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not all of it, or not for long."""
    ERROR = "error"
    """Something does not work until it is made well."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        check: What it is, in a word or two.
        level: How bad it is.
        found: How it is.
        remedy: What to do about it; empty if nothing has to be done.
    """

    check: str
    level: Level
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Makes a finding of something that is well."""
    return Finding(check, Level.OK, found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Makes a finding of something that is not well and does not stop anything."""
    return Finding(check, Level.WARNING, found, remedy)


def error(check: str, found: str, remedy: str) -> Finding:
    """Makes a finding of something that does not work."""
    return Finding(check, Level.ERROR, found, remedy)
