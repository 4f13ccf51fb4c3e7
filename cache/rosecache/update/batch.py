"""Storing releases several at a time, since a transaction of its own costs as much as half of a release's rows.

A release stays locked from when it is looked at until it is stored, so nothing is held back for long: not for more
than a number of releases, an amount of text or a fraction of a second, nor while a lock is waited for, nor when what is
held back matters to the next one. Nothing here reads a file or knows a table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import msgspec

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.flushing import Paused, flush
from rosecache.update.release import Outcome, Settled, lock_release, settling_release, store_settled
from rosecache.update.report import problem, reason_of

MOST_RELEASES = 16
_MOST_TEXT = 8 * 2**20
"""Characters of tags: what a hundred large releases have, and few broken or hostile ones."""
_MOST_SECONDS = 0.25

Clock = Callable[[], float]


class _Waiting(msgspec.Struct, frozen=True):
    """A release that is held back, with its locks: one to be stored, or one that waits for the disk before."""

    directory: bytes
    outcome: Outcome
    work: Paused[Settled | None]
    held: ExitStack

    @property
    def settled(self) -> Settled | None:
        """What is to be stored; None if that is not known yet, or is nothing."""
        return self.work.result if self.work.has_result else None


class Batch:
    """Updates releases, and stores what came of them when it is time, or when told to."""

    def __init__(self, c: Config, *, force: bool, defer: bool, clock: Clock = time.monotonic) -> None:
        """Takes what is the same for all of the releases; see :func:`settling_release`."""
        self._c = c
        self._force = force
        self._defer = defer
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._ids: set[str] = set()
        self._since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stores what is left; after an error it only lets go of it, for the next update to find."""
        if error is None:
            self.store()
        with ExitStack() as held:
            _take(held, self._waiting)

    def update(self, directory: bytes) -> Outcome:
        """Updates one release. What is said of it may not be all before it is stored.

        Raises as :func:`settling_release` does, of this release.
        """
        outcome = Outcome()
        with ExitStack() as held:
            self._lock(held, directory)
            work = Paused(
                settling_release(
                    self._c, directory, outcome, held, self.store_any_of, force=self._force, defer=self._defer
                )
            )
            if not work.has_result or work.result is not None:
                self._hold_back(_Waiting(directory, outcome, work, held.pop_all()))
        return outcome

    def store_any_of(self, ids: Iterable[str]) -> None:
        """Stores what is held back if any of the ids is in it, for who is about to ask the cache whose they are."""
        if not self._ids.isdisjoint(ids):
            self.store()

    def store(self) -> None:
        """Stores what is held back. Where the cache cannot be reached, that is a problem of all of these releases."""
        waiting, self._waiting = self._waiting, []
        self._ids.clear()
        with ExitStack() as held:
            _take(held, waiting)
            self._finish(waiting)
            settled = [each for each in waiting if each.settled is not None]
            if not settled:
                return
            try:
                store_settled(self._c, [each.settled for each in settled if each.settled is not None])
            except OSError as error:
                for each in settled:
                    self._note(each, error)

    def _finish(self, waiting: Sequence[_Waiting]) -> None:
        """Has all go on that wait for the disk, each time when it has what all of them wait for."""
        while unfinished := [each for each in waiting if each.work.descriptors is not None]:
            errors = flush(fd for each in unfinished for fd in each.work.descriptors or ())
            for each in unfinished:
                try:
                    each.work.go_on(errors)
                except OSError as error:
                    self._note(each, error)

    def _note(self, waiting: _Waiting, error: OSError) -> None:
        path = os.path.join(os.fsencode(self._c.music_source_dir), waiting.directory)
        waiting.outcome.problems.append(problem(path, reason_of(error)))

    def _lock(self, held: ExitStack, directory: bytes) -> None:
        if self._waiting:
            try:
                held.enter_context(lock_release(self._c, directory, timeout=0))
                return
            except LockTimeoutError:
                self.store()  # who waits holds nothing: neither up others, nor what they wait for
        held.enter_context(lock_release(self._c, directory))

    def _hold_back(self, waiting: _Waiting) -> None:
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append(waiting)
        if waiting.settled is not None:
            self._ids |= waiting.settled.ids
        text = sum(each.outcome.size for each in self._waiting)
        is_late = self._clock() - self._since > _MOST_SECONDS
        enough = len(self._waiting) >= MOST_RELEASES or text > _MOST_TEXT or is_late
        # Without deferring, the next one is judged by what the cache holds of this one.
        if enough or not self._defer:
            self.store()


def _take(held: ExitStack, waiting: Iterable[_Waiting]) -> None:
    """Has what is held back given up, where it is not done, and its locks let go of at the end of a block."""
    for each in waiting:
        held.push(each.held)
        held.callback(each.work.close)
