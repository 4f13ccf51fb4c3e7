"""Taking turns at one of very many things: a lock for each of them, which takes no memory while nobody has it.

A mount knows a directory for every place where a release is shown, and is at work at a few of them.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Turns:
    """Locks of things, by which these are. Who has one must not take it again. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_free = threading.Condition(self._lock)
        self._taken: set[Hashable] = set()
        self._waiting = 0

    def of(self, thing: Hashable) -> Turn:
        """Returns what waits until nobody else has the lock of a thing, and has it while its block runs."""
        return Turn(self, thing)

    def is_taken(self, thing: Hashable) -> bool:
        """Tells whether anybody has the lock of a thing."""
        return thing in self._taken

    def take(self, thing: Hashable) -> None:
        """Takes the lock of a thing once nobody else has it."""
        with self._lock:
            while thing in self._taken:
                self._waiting += 1
                try:
                    self._is_free.wait()
                finally:
                    self._waiting -= 1
            self._taken.add(thing)

    def end(self, thing: Hashable) -> None:
        """Gives the lock of a thing to those who wait for it."""
        with self._lock:
            self._taken.remove(thing)
            if self._waiting:
                self._is_free.notify_all()


class Turn:
    """Has the lock of a thing while a block runs."""

    __slots__ = ("_thing", "_turns")

    def __init__(self, turns: Turns, thing: Hashable) -> None:
        self._turns = turns
        self._thing = thing

    def __enter__(self) -> None:
        self._turns.take(self._thing)

    def __exit__(self, *_: object) -> None:
        self._turns.end(self._thing)
