"""Killing operations at chosen steps, bringing the library in order again, and checking that nothing was lost."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rosecache.database import close_connections
from rosecache.update import assign
from tests.support.library import ids_on_disk
from tests.support.operations import OPERATIONS, Operation, begin, make_template, snapshot
from tests.support.soundness import Home, Sounds, check_soundness, next_start
from tests.support.stepping import Call, killed_after, killed_at, steps_of


@dataclass(frozen=True)
class Moment:
    """When a process is killed: before a step, or halfway through it if that is a write."""

    step: int
    halfway: bool = False


@dataclass
class Kills:
    """A place for libraries whose programs are killed.

    Attributes:
        top: A directory of its own.
        kills: How many processes were killed so far.
        compared: How many audio files were compared with what they sounded like before.
    """

    top: Path
    kills: int = 0
    compared: int = 0
    sounds: Sounds = field(default_factory=Sounds)
    outcomes_of: dict[str, tuple[dict[str, bytes], dict[str, bytes]]] = field(default_factory=dict)
    duration_of: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for first in (False, True):
            make_template(self._template(first), first=first)
        close_connections()

    def _template(self, first: bool) -> Path:
        return self.top / ("first" if first else "known")

    def begin(self, operation: Operation) -> Home:
        """Makes the library anew, as it was before an operation, and returns it."""
        home = Home(self.top / "home", operation.workers, operation.renames)
        begin(home, self._template(operation.is_first), operation)
        close_connections()
        return home

    def steps(self, name: str) -> list[Call]:
        """Does an operation undisturbed, and returns its steps."""
        home = self.begin(OPERATIONS[name])
        return steps_of(lambda: OPERATIONS[name].act(home), home.top)

    def _learn(self, name: str) -> None:
        """Finds out what may be on the disk after an edit was killed: what was before it, and what is after it."""
        operation = OPERATIONS[name]
        home = self.begin(operation)
        before = snapshot(home)
        start = time.monotonic()
        operation.act(home)
        self.duration_of[name] = time.monotonic() - start
        next_start(home)
        close_connections()
        self.outcomes_of[name] = (before, snapshot(home))

    def seconds(self, name: str) -> float:
        """Returns how long an operation takes, about."""
        if name not in self.duration_of:
            self._learn(name)
        return self.duration_of[name]

    def try_moment(self, name: str, moment: Moment) -> Call | None:
        """Kills an operation at a moment, and checks what becomes of the library; None if it had ended before."""
        if name not in self.outcomes_of:
            self._learn(name)
        home = self.begin(OPERATIONS[name])
        sounds, ids = self._before(home)
        call = killed_at(
            lambda: OPERATIONS[name].act(home), home.top, moment.step, halfway=moment.halfway
        )  # fmt: skip
        if call is not None:
            self._check(name, home, sounds, ids)
        return call

    def try_delay(self, name: str, seconds: float) -> bool:
        """Kills an operation after a while; False if it had ended before."""
        if name not in self.outcomes_of:
            self._learn(name)
        home = self.begin(OPERATIONS[name])
        sounds, ids = self._before(home)
        killed = killed_after(lambda: OPERATIONS[name].act(home), seconds)
        if killed:
            self._check(name, home, sounds, ids)
        return killed

    def _before(self, home: Home) -> tuple[set[str], set[str | None]]:
        return set(self.sounds.below(home.source, home.incoming)), set(ids_on_disk(home.source).values()) - {
            None
        }

    def _check(self, name: str, home: Home, sounds: set[str], ids: set[str | None]) -> None:
        self.kills += 1
        next_start(home)
        check_soundness(home)
        if OPERATIONS[name].is_edit:
            outcomes = self.outcomes_of[name]
            assert snapshot(home) in outcomes, difference(snapshot(home), outcomes)
        found = self.sounds.below(home.source, home.incoming, home.trash)
        self.compared += found.total()
        assert set(found) == sounds, "what was heard before is not what is heard now"
        assert ids <= set(ids_on_disk(home.source).values()) | set(ids_on_disk(home.trash).values())
        close_connections()


def difference(found: dict[str, bytes], outcomes: Sequence[dict[str, bytes]]) -> list[dict[str, object]]:
    """Returns by path what is neither as before nor as after."""
    return [
        {
            path: (found.get(path, b"")[:300], outcome.get(path, b"")[:300])
            for path in sorted(found.keys() | outcome.keys())
            if found.get(path) != outcome.get(path)
        }
        for outcome in outcomes
    ]


def moments_of(steps: Sequence[Call], chance: random.Random) -> list[Moment]:
    """Returns when to kill: at each step; of a row of the same, as databases write, at the first and another one.

    Each write is broken off halfway, too.
    """
    found: list[Moment] = []
    start = 0
    for at in range(1, len(steps) + 1):
        if at == len(steps) or steps[at] != steps[start]:
            chosen = {start, chance.randrange(start, at)}
            found += [Moment(step) for step in sorted(chosen)]
            if steps[start].name in ("write", "pwrite"):
                found.append(Moment(chance.randrange(start, at), halfway=True))
            start = at
    return found


@contextmanager
def own_place(top: Path) -> Iterator[None]:
    """Has the trash be below a directory, and files count as finished at once, as if some time had gone by."""
    data, quiet = os.environ.get("XDG_DATA_HOME"), assign.QUIET_SECONDS
    os.environ["XDG_DATA_HOME"] = str(top / "home" / "data")
    assign.QUIET_SECONDS = 0.0
    try:
        yield
    finally:
        close_connections()
        assign.QUIET_SECONDS = quiet
        del os.environ["XDG_DATA_HOME"]
        if data is not None:
            os.environ["XDG_DATA_HOME"] = data
