"""Whatever tags, names, links and the configuration say, nothing is changed but in source, cache, state and trash.

Looked at is what the kernel is asked to change, in every process that a command starts. ``scripts/torture outside``
does the same to other libraries, with every configuration, for as long as it is told to.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support import stepping
from tests.support.library import exact_snapshot
from tests.support.outside import (
    Place,
    Seen,
    damage,
    look_at,
    make_place,
    use_mount,
    watch,
)
from tests.support.outside_commands import SETTINGS, few_commands, look_at_command


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if (problem := stepping.problem()) is not None:
        skip_or_fail(problem)
    made = make_place(tmp_path, random.Random(7), releases=5)
    before = exact_snapshot(made.outside)
    yield made
    assert damage(made, before) == []


def check(seen: Seen) -> None:
    assert seen.outside == []


def test_that_something_outside_is_changed_is_seen(place: Place) -> None:
    inside, other = place.source / "new", place.top / "home" / "new"

    def act() -> None:
        inside.write_bytes(b"x")
        (place.source / "link").symlink_to(other)
        (place.source / "link").write_bytes(b"x")
        os.rename(inside, other)
        os.truncate(place.source / "link", 0)
        other.unlink()

    seen = look_at(place, act)
    assert [call.name for call in seen.outside] == ["create", "write", "rename", "truncate", "unlink"]
    assert str(other) in seen.outside[0].paths


def test_commands(place: Place) -> None:
    for command in few_commands(place):
        seen = look_at_command(place, *command.arguments, status=command.status)
        check(seen)
        assert bool(seen.in_source) >= command.changes, command


@pytest.mark.parametrize("name", ["renames out by templates", "renames to a place by templates"])
def test_updates(place: Place, name: str) -> None:
    place.configure(**SETTINGS[name])
    check(look_at_command(place, "cache", "update", status=0))


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.skipif(os.getuid() != 0, reason="fusermount3 gets no rights in a process that is looked into")
@pytest.mark.parametrize("binding", ["pyfuse3", "llfuse"])
def test_mounts(place: Place, binding: str) -> None:
    check(look_at(place, partial(use_mount, place, "--fuse", binding)))


def test_watching(place: Place) -> None:
    check(look_at(place, partial(watch, place)))
