"""What an update says of itself: counts, and one line for everything that went wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

Progress = Callable[[int, int], None]
"""Called with how many releases are done, and how many there are to do."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """One file or directory that could not be used, and why. The rest of the library was."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Report(msgspec.Struct):
    """The sum of an update. Releases, collages and playlists count alike."""

    seen: int = 0
    """What is on the disk."""
    changed: int = 0
    """Added to the cache, or brought up to date in it."""
    evicted: int = 0
    """Gone from the disk, and now from the cache."""
    skipped: int = 0
    """Left for a later update, since somebody is still writing them."""
    problems: list[Problem] = msgspec.field(default_factory=list)

    def add(self, other: Report) -> None:
        """Adds the counts and problems of another report."""
        self.seen += other.seen
        self.changed += other.changed
        self.evicted += other.evicted
        self.skipped += other.skipped
        self.problems += other.problems

    def as_json(self) -> dict[str, object]:
        """Returns the report as values that JSON knows."""
        return {
            "seen": self.seen,
            "changed": self.changed,
            "evicted": self.evicted,
            "skipped": self.skipped,
            "problems": [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems],
        }


def problem(path: bytes | Path, reason: str) -> Problem:
    """Makes a problem of a path as the walk has it."""
    return Problem(Path(os.fsdecode(path)), reason)


def reason_of(error: OSError) -> str:
    """Returns the system's words for an error, without the path."""
    return error.strerror or str(error)
