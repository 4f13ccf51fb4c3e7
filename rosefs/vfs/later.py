"""Work that is due some time after an operation: a release is looked at again, what was hidden comes back.

One thread, which is started with the first piece of work, so that a process may still fork before it. Nothing
here knows what the work is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)


class Later:
    """Things to do later, each under a key, of which there is one at a time. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds, from any start."""
        self._clock = clock
        self._due: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._changed = threading.Condition()
        self._working = threading.RLock()
        self._thread: threading.Thread | None = None
        self._ended = False

    def at(self, when: float, key: Hashable, work: Callable[[], None]) -> None:
        """Has something done at a time, in place of what had the same key."""
        with self._changed:
            if self._ended:
                return
            self._due[key] = (when, work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="later", daemon=True)
                self._thread.start()
            self._changed.notify()

    def cancel(self, key: Hashable) -> None:
        """Has something not done after all."""
        with self._changed:
            self._due.pop(key, None)

    def run_due(self, *, everything: bool = False) -> None:
        """Does now what is due; with ``everything``, also what is not. What is being done is done on return."""
        with self._working:
            while (work := self._take(everything=everything)) is not None:
                try:
                    work()
                except Exception:
                    # One failure must not end the thread that everything else needs.
                    log.exception("something left for later failed")

    def end(self) -> None:
        """Does what is left, and ends the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self.run_due(everything=True)

    def _take(self, *, everything: bool) -> Callable[[], None] | None:
        with self._changed:
            now = self._clock()
            for key, (when, work) in self._due.items():
                if everything or when <= now:
                    del self._due[key]
                    return work
        return None

    def _run(self) -> None:
        while not self._ended:
            self.run_due()
            with self._changed:
                if self._ended:
                    return
                next_due = min((when for when, _ in self._due.values()), default=None)
                wait = None if next_due is None else max(0.0, next_due - self._clock())
                self._changed.wait(wait)
