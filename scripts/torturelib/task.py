"""What a part of the torture is given, and what it gives back. Nothing here tries anything."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Task:
    """One run of a part.

    A part tries cases while there is time (``while task.has_time()``), counts them, and notes what failed. It
    unmounts and ends whatever it started, however it ends.

    Attributes:
        directory: An empty directory of its own, which is removed afterwards unless something failed.
        seed: All chance comes from it.
        seconds: How long to go on, on the clock.
        figures: What was done, by what it is called in the report: ``"files read"``.
        failures: What went wrong, each with all that is needed to see it again.
    """

    directory: Path
    seed: int
    seconds: float
    figures: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _start: float = field(default_factory=time.monotonic)

    def chance(self, *of: object) -> random.Random:
        """Returns chance that depends on the seed, and on what it is used for."""
        return random.Random(repr((self.seed, *of)))

    def has_time(self, share: float = 1.0) -> bool:
        """Tells whether less than that share of the time is spent."""
        return time.monotonic() - self._start < self.seconds * share

    def count(self, what: str, number: int = 1) -> None:
        """Adds to a figure."""
        self.figures[what] += number

    def most(self, what: str, value: int) -> None:
        """Makes a figure at least that large."""
        self.figures[what] = max(self.figures[what], value)

    def fail(self, what: str) -> None:
        """Notes a failure, and says so at once."""
        self.failures.append(what)
        print(f"FAILED: {what}", file=sys.stderr, flush=True)


Part = Callable[[Task], None]
"""Does its work, and tells the task of it."""
