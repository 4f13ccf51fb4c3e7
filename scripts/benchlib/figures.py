"""What a measurement gives: one figure, beside that of the plain way where there is one.

Times are seconds, memory is bytes. Nothing here measures or prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

_TIMES = ((1.0, "s", 1.0), (1e-3, "ms", 1e3), (0.0, "µs", 1e6))


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a figure may be: itself, or beside the plain one."""

    limit: float
    is_ratio: bool = False


def times(limit: float) -> Budget:
    """Returns the budget of a figure that may be so many times the plain one."""
    return Budget(limit, is_ratio=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result.

    Attributes:
        name: The measurement's name, as ``--only`` takes it.
        what: What was done, with how much of it.
        ours: What it cost through rosefs.
        plain: What the same cost without; None where there is nothing to compare with.
        unit: ``s`` or ``B``; ``%`` of one core.
        binding: Which binding served the mount; empty if there was none.
        budget: The most that it may be; None where nothing is asked for.
    """

    name: str
    what: str
    ours: float
    plain: float | None = None
    unit: str = "s"
    binding: str = ""
    budget: Budget | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the plain figure ours is."""
        return self.ours / self.plain if self.plain else None

    @property
    def verdict(self) -> str:
        """``met`` or ``missed``; empty where there is no budget."""
        if self.budget is None:
            return ""
        found = self.ratio if self.budget.is_ratio else self.ours
        return "met" if found is not None and found <= self.budget.limit else "missed"

    @property
    def allowed(self) -> str:
        """The budget as text; empty where there is none."""
        if self.budget is None:
            return ""
        if self.budget.is_ratio:
            return f"≤ {self.budget.limit:g} ×"
        return f"≤ {readable(self.budget.limit, self.unit)}"

    def as_json(self) -> dict[str, object]:
        """Returns the figure as values that JSON knows."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def readable(value: float | None, unit: str) -> str:
    """Writes a figure with three digits and a unit that fits; nothing for None."""
    if value is None:
        return ""
    if unit == "B":
        return f"{value / 2**20:,.1f} MiB" if value >= 2**20 else f"{value:,.0f} B"
    if unit == "%":
        return f"{value:.2f} %"
    _, name, factor = next(row for row in _TIMES if value >= row[0] or row is _TIMES[-1])
    scaled = value * factor
    return f"{scaled:,.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {name}"


def seconds(work: Callable[[], object]) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seconds_per_call(call: Callable[[], object], *, at_least: float = 0.2) -> float:
    """Returns how long one of many calls takes, after a first one that is not counted."""
    call()
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < at_least:
        call()
        calls += 1
    return spent / calls


def least(runs: Sequence[Sequence[float]]) -> list[float]:
    """Returns the least of each column of several runs: what else the machine does only ever adds."""
    return [min(column) for column in zip(*runs, strict=True)]
