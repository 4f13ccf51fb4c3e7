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
from tests.support.comparing import Start, all_ids, difference, mixed_parts, portrait, release_ids
from tests.support.operations import OPERATIONS, Operation, begin, make_template
from tests.support.soundness import Home, Sounds, check_soundness, next_start
from tests.support.stepping import Call, killed_after, killed_at, steps_of


@dataclass(frozen=True)
class Moment:
    """When a process is killed: before a step, or halfway through it if that is a write."""

    step: int
    halfway: bool = False


@dataclass(frozen=True)
class Belongings:
    """What a library has that nothing may take from it: sounds by their digests, and ids of releases and tracks."""

    sounds: set[str]
    ids: set[str]


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
    start: Start = field(init=False)
    outcomes_of: dict[str, tuple[dict[str, bytes], dict[str, bytes]]] = field(default_factory=dict)
    duration_of: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        now = time.time()
        for first in (False, True):
            make_template(self._template(first), first=first)
        self.start = Start(frozenset(all_ids(self.top)), now)
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
        """Finds out what may be on the disk after an operation was killed: what was before it, and what is after it."""
        operation = OPERATIONS[name]
        home = self.begin(operation)
        before = portrait(home, self.start)
        start = time.monotonic()
        operation.act(home)
        self.duration_of[name] = time.monotonic() - start
        next_start(home)
        close_connections()
        self.outcomes_of[name] = (before, portrait(home, self.start))

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
        held = self.belongings(home)
        call = killed_at(
            lambda: OPERATIONS[name].act(home), home.top, moment.step, halfway=moment.halfway
        )  # fmt: skip
        if call is not None:
            self._check(name, home, held)
        return call

    def try_delay(self, name: str, seconds: float) -> bool:
        """Kills an operation after a while; False if it had ended before."""
        if name not in self.outcomes_of:
            self._learn(name)
        home = self.begin(OPERATIONS[name])
        held = self.belongings(home)
        killed = killed_after(lambda: OPERATIONS[name].act(home), seconds)
        if killed:
            self._check(name, home, held)
        return killed

    def belongings(self, home: Home) -> Belongings:
        """Returns what may not be lost of a library that nothing has been done to."""
        return Belongings(set(self.sounds.below(home.source, home.incoming)), all_ids(home.source))

    def _check(self, name: str, home: Home, held: Belongings) -> None:
        self.kills += 1
        self.start_again(name, home, held)
        check_soundness(home)
        self.check_nothing_lost(name, home, held)
        close_connections()

    def start_again(self, name: str, home: Home, held: Belongings) -> None:
        """Starts again after an operation that was killed or done, and adds to what may not be lost from then on."""
        if not OPERATIONS[name].is_edit:  # what it has called a release is not called anew by what goes on
            held.ids.update(release_ids(home.source).values())
        next_start(home)

    def check_nothing_lost(self, name: str, home: Home, held: Belongings) -> None:
        """Checks that the files are what an operation leaves, killed or not, and nothing that was held is lost.

        Raises AssertionError.
        """
        before, after = self.outcomes_of[name]
        found = portrait(home, self.start)
        if OPERATIONS[name].by_release:
            assert not (mixed := mixed_parts(found, before, after)), mixed
        elif not OPERATIONS[name].is_edit or found != before:
            assert found == after, difference(found, after)
        heard = self.sounds.below(home.source, home.incoming, home.trash)
        self.compared += heard.total()
        assert set(heard) == held.sounds, "what was heard before is not what is heard now"
        assert not (lost := held.ids - all_ids(home.source, home.trash)), lost


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
