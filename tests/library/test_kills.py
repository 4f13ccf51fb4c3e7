"""Processes that are killed at any step of any update or edit: nothing is lost, and the next start brings order.

``scripts/torture kills`` tries every step; here a few of each operation are tried. REPEAT=20 pytest … tries more.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.tags import is_audio
from tests.conftest import skip_or_fail
from tests.support import stepping
from tests.support.audio import set_tags
from tests.support.flushing import hazards
from tests.support.killing import Kills, Moment, moments_of, own_place
from tests.support.operations import OPERATIONS
from tests.support.soundness import Home

KILLS = 2 * int(os.environ.get("REPEAT", "1"))
NAMES = [name for name, operation in OPERATIONS.items() if operation.workers == 1]
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.expects_log("was moved away by copying it"))
    if name.startswith("move a")
    else name
    for name in NAMES
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Kills:
    if (problem := stepping.problem()) is not None:
        skip_or_fail(problem)
    top = tmp_path_factory.mktemp("kills")
    with own_place(top):
        return Kills(top)


@pytest.fixture
def kills(place: Kills, home_trash: Path) -> Iterator[Kills]:
    with own_place(place.top):
        yield place


@pytest.mark.parametrize("name", PARAMETERS)
def test_killed_at_any_step(kills: Kills, name: str) -> None:
    steps = kills.steps(name)
    assert hazards(Home(kills.top / "home"), steps, is_edit=OPERATIONS[name].is_edit) == []
    chance = random.Random(name)
    moments = moments_of(steps, chance)
    chance.shuffle(moments)
    # An operation takes a few steps more or less from time to time, and may have ended before its last ones.
    killed = (kills.try_moment(name, moment) is not None for moment in moments)
    assert sum(itertools.islice(filter(None, killed), KILLS)) == KILLS


# Damages, each of which leaves a library that agrees with itself --------------------------------------------


def overwrite_tags(home: Home) -> None:
    path = next(path for path in sorted(home.source.rglob("*")) if is_audio(path.name))
    set_tags(path, title="Lost", artist="Lost", genre="Lost")


def lose_covers(home: Home) -> None:
    for path in home.source.rglob("*.png"):
        path.unlink()


def call_a_release_anew(home: Home) -> None:
    path = min(home.source.rglob(".rose.*.toml"))
    path.rename(path.with_name(".rose.018b268e-ef68-7180-a01e-19bc3fdf970e.toml"))


def lose_when_added(home: Home) -> None:
    min(home.source.rglob(".rose.*.toml")).write_text("new = true\n")


def empty_lists(home: Home) -> None:
    for path in home.source.glob("!*/*.toml"):
        path.write_text("")


DAMAGES = (overwrite_tags, lose_covers, call_a_release_anew, lose_when_added, empty_lists)


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_lost_would_be_noticed(kills: Kills, name: str) -> None:
    operation = OPERATIONS[name]
    kills.seconds(name)  # has it done once before
    home = kills.begin(operation)
    held = kills.belongings(home)
    operation.act(home)
    kills.start_again(name, home, held)
    kills.check_nothing_lost(name, home, held)
    whole = shutil.copytree(home.source, home.top / "whole")
    for damage in DAMAGES:
        if damage is empty_lists and operation.is_first:
            continue  # there are no lists yet
        damage(home)
        with pytest.raises(AssertionError):
            kills.check_nothing_lost(name, home, held)
        shutil.rmtree(home.source)
        shutil.copytree(whole, home.source)
    kills.check_nothing_lost(name, home, held)


def test_an_edit_is_killed_where_it_matters(kills: Kills) -> None:
    """A release that is deleted: killed once before it has moved, and once after that."""
    steps = kills.steps("delete a release")
    (moving,) = (
        at for at, call in enumerate(steps) if call.name == "rename" and call.paths[0].endswith("/loona")
    )
    home = Home(kills.top / "home")
    for step, is_moved in ((moving, False), (moving + 1, True)):
        kills.begin(OPERATIONS["delete a release"])
        stepping.killed_at(lambda: OPERATIONS["delete a release"].act(home), home.top, step)
        assert (home.source / "loona").exists() != is_moved
        assert kills.try_moment("delete a release", Moment(step)) is not None
        assert (home.source / "loona").exists()  # it is taken back by the next start
