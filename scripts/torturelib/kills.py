"""Processes that are killed: at every step of every operation, and at moments of chance."""

from __future__ import annotations

import random

from scripts.torturelib.failing import noting
from scripts.torturelib.task import Task
from tests.support import stepping
from tests.support.flushing import hazards
from tests.support.killing import Kills, Moment, moments_of, own_place
from tests.support.operations import OPERATIONS
from tests.support.soundness import Home
from tests.support.stepping import Call

_SHARE = 0.85
"""Of the time, for the steps; the rest is for moments of chance."""


def run(task: Task) -> None:
    """Kills updates, imports, edits, renames and undo at every step, and looks for what is lost or left."""
    if (problem := stepping.problem()) is not None:
        task.fail(f"nothing can be stepped through: {problem}")
        return
    with own_place(task.directory):
        kills = Kills(task.directory)
        plan = _plan(task, kills)
        chance = task.chance("order")
        chance.shuffle(plan)
        task.count("steps at which to kill, in all", len(plan))
        for name, moment, call in plan:
            if not task.has_time(_SHARE):
                break
            _try(task, kills, name, moment, call)
        while task.has_time():
            _try_delay(task, kills, chance)
    task.count("processes killed", kills.kills)
    task.count("audio files compared", kills.compared)


def _plan(task: Task, kills: Kills) -> list[tuple[str, Moment, Call]]:
    """Returns all steps at which something may be killed; what a power cut could take is judged on the way."""
    plan = []
    for name, operation in OPERATIONS.items():
        steps = kills.steps(name)
        if operation.workers == 1:  # the steps of several are in no order
            for hazard in hazards(Home(kills.top / "home"), steps, is_edit=operation.is_edit):
                task.fail(f"{name}: {hazard}")
            task.count("steps judged by what a power cut could take", len(steps))
        moments = moments_of(steps, task.chance("moments", name))
        if operation.workers > 1:
            moments = task.chance("workers", name).sample(moments, min(len(moments), 100))
        plan += [(name, moment, steps[moment.step]) for moment in moments]
    return plan


def _try(task: Task, kills: Kills, name: str, moment: Moment, call: Call) -> None:
    with noting(task, f"{name}, killed at {moment}, {call}"):
        if kills.try_moment(name, moment) is not None:
            task.count(f"killed: {name}")


def _try_delay(task: Task, kills: Kills, chance: random.Random) -> None:
    name = chance.choice(list(OPERATIONS))
    seconds = chance.uniform(0.001, 1.5 * kills.seconds(name))
    with noting(task, f"{name}, killed after {seconds} s"):
        if kills.try_delay(name, seconds):
            task.count("killed at moments of chance")
