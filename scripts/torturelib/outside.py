"""Whether anything is changed where it may not be: hostile libraries, and all that can be done to them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from scripts.torturelib.failing import noting
from scripts.torturelib.task import Task
from tests.support import outside, stepping
from tests.support.library import exact_snapshot
from tests.support.outside import Place, Seen
from tests.support.outside_commands import SETTINGS, commands, look_at_command


def run(task: Task) -> None:
    """Looks at every change that commands and mounts make, of libraries that would have them made elsewhere."""
    if (problem := stepping.problem()) is not None:
        task.fail(f"nothing can be looked at: {problem}")
        return
    number = 0
    while task.has_time():
        number += 1
        for name in SETTINGS:
            if task.has_time():
                _try(task, number, name)


def _try(task: Task, number: int, name: str) -> None:
    chance = task.chance(number, name)
    place = outside.make_place(task.directory / f"{number} {name}", chance)
    place.configure(**SETTINGS[name])
    before = exact_snapshot(place.outside)
    task.count("libraries")
    for command in commands(place):
        if not task.has_time():
            break
        # Which of them are refused depends on the library and the configuration.
        _look(task, " ".join(command.arguments), partial(look_at_command, place, *command.arguments))
        task.count("commands")
    _look(task, "watch", partial(outside.look_at, place, partial(outside.watch, place)))
    # Where a mount needs fusermount3, that gets no rights in a process that is looked into.
    for binding in ("pyfuse3", "llfuse") if os.getuid() == 0 and task.has_time() else ():
        again = outside.make_place(task.directory / f"{number} {name} {binding}", chance)
        again.configure(**SETTINGS[name])
        _mount(task, again, binding)
    for what in outside.damage(place, before):
        task.fail(f"{place.top}: changed outside: {what}")


def _mount(task: Task, place: Place, binding: str) -> None:
    before = exact_snapshot(place.outside)
    use = partial(outside.use_mount, place, "--fuse", binding)
    _look(task, binding, partial(outside.look_at, place, use))
    task.count("mounts")
    for what in outside.damage(place, before):
        task.fail(f"{place.top}: changed outside: {what}")


def _look(task: Task, what: str, look: Callable[[], Seen]) -> None:
    with noting(task, what):
        seen = look()
        task.count("changes looked at", seen.count)
        for call in seen.outside:
            task.fail(f"{what}: {call}")
