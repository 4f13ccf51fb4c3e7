"""Many at once, in short; ``scripts/torture races`` does the same for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.crowd import ROLES, Place, check_mount, scan_together, work_together
from tests.support.killing import own_place
from tests.support.mounts import SHARED_LIMIT, mounted_library
from tests.support.operations import Operation, begin, make_template
from tests.support.soundness import Home, Sounds, check_soundness, next_start


def test_everybody_at_once(tmp_path: Path, binding: str, need_fuse: None) -> None:
    home, sounds = Home(tmp_path / "home"), Sounds()
    make_template(tmp_path / "template", first=False)
    with own_place(tmp_path):
        begin(home, tmp_path / "template", Operation(lambda home: None))
        before = set(sounds.below(home.source, home.incoming))
        with mounted_library(
            home.c, home.top, binding, state_dir=home.state_dir, hard_limit=SHARED_LIMIT, allows_log=[".*"]
        ) as mount:
            place = Place(home, mount.path)
            done = work_together(place, "crowd", seconds=20, times=15)
            assert all(done[role.__name__] >= 3 for roles in ROLES for role in roles), done
            next_start(home)
            check_mount(place)
        next_start(home)
        check_soundness(home)
        assert set(sounds.below(home.source, home.incoming, home.trash)) == before


@pytest.mark.parametrize("caches", [1, 2])
def test_four_first_scans_at_once(tmp_path: Path, caches: int) -> None:
    make_template(tmp_path / "template", first=True)
    with own_place(tmp_path):
        begin(Home(tmp_path / "home"), tmp_path / "template", Operation(lambda home: None, is_first=True))
        scan_together([Home(tmp_path / "home", cache=f"cache {number % caches}") for number in range(4)])
