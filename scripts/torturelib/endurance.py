"""Much use, compressed: programs that do everything that can be done on a mount, while the mount's clock runs ahead."""

from __future__ import annotations

from dataclasses import asdict

from rosefs.fuse.mount import BINDINGS
from scripts.torturelib.failing import noting
from scripts.torturelib.task import Task
from tests.support.enduring import Sample, growing, in_use
from tests.support.killing import own_place
from tests.support.operations import make_template
from tests.support.soundness import check_soundness, next_start

_TIMES, _THREADS = 60, 3
_WARM_UP = 0.4
"""The share of the time after which samples count: what every thread keeps for good is there then."""


def run(task: Task) -> None:
    """Uses a mount for hours by its own clock, on both bindings, and looks for what grows or is not given back."""
    template = task.directory / "template"
    make_template(template, first=False)
    with own_place(task.directory):
        for number, binding in enumerate(BINDINGS):
            with noting(task, binding):
                _endure(task, binding, number / len(BINDINGS), 1 / len(BINDINGS))


def _endure(task: Task, binding: str, begin: float, share: float) -> None:
    with in_use(task.directory / "home", task.directory / "template", binding) as use:
        samples: list[Sample] = []
        rounds = 0
        while task.has_time(begin + share) or len(samples) < 4:
            use.work(f"{task.seed} {binding} {rounds}", threads=_THREADS, times=_TIMES)
            sample = use.settle()
            rounds += 1
            if sample.handles or sample.temporary:
                task.fail(
                    f"{binding}, round {rounds}: something is open, or a temporary file is left: {sample}"
                )
            if not task.has_time(begin + share * _WARM_UP):
                samples.append(sample)
            print(
                f"{binding} {rounds}: {', '.join(f'{k} {v}' for k, v in asdict(sample).items())}", flush=True
            )
        for what, number in use.done.items():
            task.count(f"done: {what}", number)
        task.count("refused, since somebody else was at it or it is not allowed", use.refused.total())
        task.count("hours by the clock of the mounts", round(use.hours))
        for complaint in growing(samples):
            task.fail(f"{binding}: {complaint}")
    next_start(use.place.home)
    check_soundness(use.place.home)
