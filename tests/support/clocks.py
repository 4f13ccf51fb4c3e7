"""A clock that a test and the process that serves its mount share, and that the test can put forward.

So a test of what happens after ten seconds takes none.
"""

from __future__ import annotations

import mmap
import signal
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_INTERVAL = 0.005
_FORWARD, _SEEN = 0, 8
_SIZE = 16


@dataclass(frozen=True)
class SharedClock:
    """Seconds since some start, and what was added. Its file says how much, and what the server has seen of it."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> SharedClock:
        path.write_bytes(bytes(_SIZE))
        return cls(path)

    def __call__(self) -> float:
        return time.monotonic() + self.forward

    @property
    def forward(self) -> float:
        """By how many seconds it was put forward so far."""
        return self._get(_FORWARD)

    def advance(self, seconds: float) -> None:
        """Puts the clock forward, and returns when the server has done all that is due by then."""
        wanted = self.forward + seconds
        self._put(_FORWARD, wanted)
        limit = time.monotonic() + 60
        while self._get(_SEEN) < wanted:
            assert time.monotonic() < limit, "the server did not take notice of the time"
            time.sleep(_INTERVAL)

    def follow(self, run_due: Callable[[], None]) -> None:
        """Has something called whenever the clock was put forward. For the server, in a thread of its own."""
        thread = threading.Thread(target=self._follow, args=(run_due,), name="shared clock", daemon=True)
        mask = signal.pthread_sigmask(
            signal.SIG_BLOCK, signal.valid_signals()
        )  # they are for those who serve
        thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _follow(self, run_due: Callable[[], None]) -> None:
        while True:
            forward = self.forward
            if forward != self._get(_SEEN):
                run_due()
                self._put(_SEEN, forward)
            time.sleep(_INTERVAL)

    @cached_property
    def _memory(self) -> mmap.mmap:
        with self.path.open("r+b") as file:
            return mmap.mmap(file.fileno(), _SIZE)

    def _get(self, place: int) -> float:
        number: float
        (number,) = struct.unpack_from("=d", self._memory, place)
        return number

    def _put(self, place: int, number: float) -> None:
        struct.pack_into("=d", self._memory, place, number)

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__dict__.update(state)
