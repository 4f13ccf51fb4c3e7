"""Crowds: processes and threads that update, edit, tag and browse one library at once; see tests/support/crowd.py."""

from __future__ import annotations

import itertools

from rosefs.fuse.mount import BINDINGS
from scripts.torturelib.failing import noting
from scripts.torturelib.task import Task
from tests.support.crowd import Place, check_mount, scan_together, work_together
from tests.support.killing import own_place
from tests.support.mounts import mounted_library
from tests.support.operations import Operation, begin, make_template
from tests.support.soundness import Home, Sounds, check_soundness, next_start

_ROUND = 20.0
_SCANS = 4


def run(task: Task) -> None:
    """Lets many update, edit, tag and browse at once, on both bindings, and scan for the first time at once."""
    first, known = task.directory / "first", task.directory / "known"
    make_template(first, first=True)
    make_template(known, first=False)
    sounds = Sounds()
    with own_place(task.directory):
        for number in itertools.count():
            if not task.has_time() or task.failures:
                break  # what failed is there to be looked at
            home = Home(task.directory / "home")
            with noting(task, f"first scans at once, round {number}"):
                begin(home, first, Operation(lambda home: None, is_first=True))
                caches = 1 + number % 2
                scan_together([Home(home.top, cache=f"cache {each % caches}") for each in range(_SCANS)])
                task.count("first scans, four at once", _SCANS)
            for binding in BINDINGS:
                with noting(task, f"a crowd on {binding}, round {number}"):
                    _crowd(task, home, binding, number, sounds)


def _crowd(task: Task, home: Home, binding: str, number: int, sounds: Sounds) -> None:
    begin(home, task.directory / "known", Operation(lambda home: None))
    before = set(sounds.below(home.source, home.incoming))
    with mounted_library(
        home.c, home.top, binding, state_dir=home.state_dir, hard_limit=10 * _ROUND, allows_log=[".*"]
    ) as mount:
        place = Place(home, mount.path)
        seed = f"{task.seed} {binding} {number}"
        task.count("operations of crowds", work_together(place, seed, seconds=_ROUND, times=10_000).total())
        next_start(home)
        check_mount(place)
        task.count("mounts compared with disk and cache")
    next_start(home)
    check_soundness(home)
    found = sounds.below(home.source, home.incoming, home.trash)
    task.count("audio files compared", found.total())
    assert set(found) == before, "what was heard before is not what is heard now"
