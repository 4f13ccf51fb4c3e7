"""Much use, in short: what a mount has taken for it, it gives back. ``scripts/torture endurance`` does it for long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.enduring import LIMITS, Sample, growing, in_use
from tests.support.killing import own_place
from tests.support.operations import make_template
from tests.support.soundness import check_soundness, next_start
from tests.support.waiting import wait_until
from tests.support.wearing import forget, worn

pytestmark = pytest.mark.usefixtures("need_fuse", "need_root")


def test_forget_gives_back_what_lookup_took(tmp_path: Path, binding: str) -> None:
    make_template(tmp_path / "template", first=False)
    with own_place(tmp_path), in_use(tmp_path / "home", tmp_path / "template", binding) as use:
        mount = use.mount
        fresh = worn(mount)
        for _ in range(3):
            for directory, _, names in os.walk(mount.path):
                for name in names:
                    Path(directory, name).read_bytes()
            assert worn(mount).inodes > 50
            forget(mount)
            wait_until(lambda: worn(mount).inodes <= fresh.inodes + 1, lambda: worn(mount))
        end = worn(mount)
        assert end.handles == 0
        assert end.files <= fresh.files + 3 * end.threads  # a thread's connection to the cache has three
        assert end.threads <= fresh.threads + 24


def test_mixed_use_is_bounded(tmp_path: Path, binding: str) -> None:
    make_template(tmp_path / "template", first=False)
    with own_place(tmp_path):
        with in_use(tmp_path / "home", tmp_path / "template", binding) as use:
            fresh = worn(use.mount)
            for number in range(4):
                use.work(f"round {number}", threads=2, times=20)
                sample = use.settle()  # where the inode table has to be what it was
                assert (sample.handles, sample.temporary) == (0, 0)
                assert sample.threads <= fresh.threads + 24
                for name in ("files", "directories"):
                    assert getattr(sample, name) <= LIMITS[name](sample), name
            assert sum(use.done.values()) > 50
            assert len(use.done) > 8
        next_start(use.place.home)
        check_soundness(use.place.home)


def test_what_creeps_up_is_found() -> None:
    def grown(field: str, *series: int) -> bool:
        samples = [
            Sample(**{**dict.fromkeys(Sample.__dataclass_fields__, 100), field: each}) for each in series
        ]
        return [each.partition(" ")[0] for each in growing(samples)] == [field]

    assert grown("threads", 10, 11, 12, 13)
    assert not grown("threads", 10, 13, 12, 13)
    assert not grown("threads", 13, 12, 11, 10)
    assert grown("resident", 50_000, 60_000, 70_000, 80_000)
    assert not grown("resident", 50_000, 50_100, 50_200, 50_300)
    assert not grown("edits", 1, 2, 3, 4)  # up to what is kept for undo
    assert grown("edits", 1000, 1010, 1020, 1030)
