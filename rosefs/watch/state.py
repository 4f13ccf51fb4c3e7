"""What a watcher says of itself, for whoever shows it: a value, made anew at every question."""

from __future__ import annotations

from typing import Literal

import msgspec

from rosecache.update import Problem

Mode = Literal["events", "polling", "off", "waiting"]
"""By events, by looking again and again, not at all, or not now, since the source directory is not there."""


class WatchState(msgspec.Struct, frozen=True):
    """How the source is followed at present. Times are seconds since the epoch.

    Attributes:
        mode: How.
        reason: Why it is polled, or not followed; empty where that is as usual.
        since: When that began.
        last_event: When something was last seen to happen in the source; None if nothing yet.
        last_update: When the cache was last brought up to date by the watcher; None if never.
        updates: How often it was.
        failures: How often in a row that has failed.
        pending: How many places wait to be looked at, or are being looked at.
        problems: What could not be used, each with its reason.
    """

    mode: Mode
    reason: str
    since: float
    last_event: float | None = None
    last_update: float | None = None
    updates: int = 0
    failures: int = 0
    pending: int = 0
    problems: tuple[Problem, ...] = ()
