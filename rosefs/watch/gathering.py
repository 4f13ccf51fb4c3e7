"""When to look at what: events are gathered until their place is quiet, so that a copy is looked at once and whole.

A place is due when nothing has happened in it for a moment, or, so that a long series of changes shows too, when
the first of them is long enough ago. It never looks at the time or at the disk itself: times are arguments, in
seconds from any start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from rosefs.watch.places import EVERYTHING, Place

QUIET = 0.3
"""Seconds without an event after which a place is looked at."""
QUIET_NEW = 0.6
"""The same for a directory that the cache does not know: the next file of a copy may be a moment in coming."""
CAP = 2.0
"""Seconds after the first event when a place is looked at in any case."""
BUSY = 1.0
"""Seconds until a directory is looked at again in which some program still has a file open for writing."""
AGAIN = (5.5, 60.0)
"""Seconds until a place is looked at once more, and once again, that an update left for later or had a problem with.
The engine takes a file for whole that has been left alone for five seconds."""
BACKOFF = (5.0, 300.0)
"""Seconds until an update that failed is tried again: at first, and at most, doubling in between."""
BURST = 200
"""More places than this at once: events may have been lost, so everything is looked at when it is over."""
BURST_QUIET, BURST_CAP = 1.0, 60.0


class _Pending(msgspec.Struct):
    first: float
    last: float
    due: float
    patient: bool = False
    """Somebody is still writing it: the cap does not count."""
    looks: int = 0
    """How often it was looked at since the last event."""


class Ripe(msgspec.Struct, frozen=True):
    """A place to look at now.

    Attributes:
        place: What it is.
        quiet: Nothing has happened in it for as long as a new release has to be left alone.
        looks: How often it was looked at since anything happened in it.
    """

    place: Place
    quiet: bool
    first: float
    last: float
    looks: int


class Gatherer:
    """The places that something happened in, and when each is due."""

    def __init__(self) -> None:
        self._pending: dict[Place, _Pending] = {}
        self._burst = False
        self.set_pace(0.0)

    def set_pace(self, interval: float) -> None:
        """Adapts to how often somebody looks who brings the events; 0 for events that come by themselves."""
        self._quiet = QUIET + 1.5 * interval
        self._quiet_new = QUIET_NEW + 1.5 * interval
        self._cap = CAP + 6 * interval

    def __len__(self) -> int:
        return len(self._pending)

    def touch(self, place: Place, now: float) -> None:
        """Notes that something happened in a place."""
        pending = self._pending.get(place)
        if pending is None or pending.looks:
            pending = self._pending[place] = _Pending(now, now, now, pending is not None and pending.patient)
        pending.last = now
        pending.due = now + self._quiet
        if not pending.patient:
            pending.due = min(pending.due, pending.first + self._cap)
        if len(self._pending) > BURST:
            self._burst = True
        if self._burst:
            everything = self._pending.setdefault(EVERYTHING, _Pending(now, now, now))
            everything.due = min(now + BURST_QUIET, everything.first + BURST_CAP)

    def check_everything(self, now: float) -> None:
        """Has everything looked at, at once."""
        self._pending[EVERYTHING] = _Pending(now, now, now)

    def next_due(self) -> float:
        """Returns when the next place is due; infinity if nothing is."""
        return min((pending.due for pending in self._pending.values()), default=math.inf)

    def take_ripe(self, now: float) -> list[Ripe]:
        """Returns what is due, and forgets it; what happens in it from here on counts anew."""
        ripe = [
            Ripe(place, now - pending.last >= self._quiet_new, pending.first, pending.last, pending.looks)
            for place, pending in self._pending.items()
            if pending.due <= now
        ]
        for taken in ripe:
            del self._pending[taken.place]
            if taken.place == EVERYTHING:
                self._burst = False
        return ripe

    def wait_for_whole(self, ripe: Ripe, now: float) -> None:
        """Puts back a new release that somebody may still be writing, until it is quiet."""
        due = max(now, ripe.last + self._quiet_new) if not ripe.quiet else now + BUSY
        newer = self._pending.setdefault(ripe.place, _Pending(ripe.first, ripe.last, due))
        newer.patient = True

    def look_again(self, ripe: Ripe, now: float) -> None:
        """Puts back what an update left for later or had a problem with; not for ever."""
        if ripe.looks < len(AGAIN) and ripe.place not in self._pending:
            self._pending[ripe.place] = _Pending(
                ripe.first, ripe.last, now + AGAIN[ripe.looks], looks=ripe.looks + 1
            )

    def try_again(self, failed: Iterable[Ripe], now: float) -> None:
        """Puts back what an update failed over, for as long as it fails."""
        first, longest = BACKOFF
        for ripe in failed:
            due = now + min(longest, first * 2.0 ** min(ripe.looks, 20))
            self._pending.setdefault(ripe.place, _Pending(ripe.first, ripe.last, due, looks=ripe.looks + 1))
