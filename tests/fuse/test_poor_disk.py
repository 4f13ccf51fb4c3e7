"""A library on a file system that can do little, as those of memory cards: everything works, a little slower."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from rosefs.library.holds import HOLD_SECONDS, holds_are_left
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.fuse.conftest import Workbench, audio_of, run, wait_for, working
from tests.support.audio import make_release, set_tags
from tests.support.disks import poor_disk
from tests.support.library import cached_ids
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse")


@pytest.fixture
def poor(tmp_path: Path) -> Iterator[Path]:
    """A directory for a library whose source is on a disk without links, attributes, and precise times."""
    library = tmp_path / "library"
    library.mkdir()
    with poor_disk(tmp_path) as disk:
        (disk / "source").mkdir()
        (library / "source").symlink_to(disk / "source")
        yield library


def test_a_disk_without_links_attributes_and_precise_times(poor: Path, tmp_path: Path, binding: str) -> None:
    with working(poor, binding, allows_log=["was moved away by copying it"]) as bench:
        with pytest.raises(PermissionError):
            os.link(bench.source / "loona/01.flac", bench.source / "linked")
        with pytest.raises(OSError, match="not supported"):
            os.setxattr(bench.source / "loona/01.flac", "user.x", b"x")
        audio = sorted(audio_of(bench.source).values())
        ids = cached_ids(bench.c)
        album = make_release(tmp_path / "downloads", "album", tracks=1, format="flac", album="Arrived")
        run("cp", "-r", album, bench.top / "Releases/")
        bench.clock.advance(10)
        wait_for(lambda: any("Arrived" in name for name in os.listdir(bench.top / "Releases")))
        track = bench.mp3_release / "01. Track 1.mp3"
        copy = tmp_path / "copy.mp3"
        shutil.copyfile(track, copy)
        set_tags(copy, title="Retitled")
        # Of two changes in the same two seconds that leave the size as it is, such a disk does not tell.
        newest = max(path.stat().st_mtime for path in bench.source.rglob("*.mp3"))
        wait_for(lambda: time.time() > newest + 4)
        run("cp", copy, track)
        wait_for(lambda: any("Retitled" in name for name in os.listdir(bench.mp3_release)))
        (bench.top / "Collages/New").mkdir()
        run("mv", bench.source / "loona", bench.top / "Collages/New")  # which deletes it in the source
        _settle(bench)
        assert (bench.source / "loona").is_dir()
        run("rm", "-r", bench.release)
        assert not (bench.source / "loona").exists()
        undo(bench.c, Journal(bench.state_dir))
        wait_for(bench.release.exists)
        found = cached_ids(bench.c)
        assert {path: found.get(path) for path in ids} == ids
        assert sorted([*audio, *audio_of(album).values()]) == sorted(audio_of(bench.source).values())
        report = update_cache(bench.c)
        assert (report.changed, report.evicted, report.problems) == (0, 0, [])
        bench.check()


def _settle(bench: Workbench) -> None:
    """Lets the time go by after which nothing is held any more."""

    def is_forgotten() -> bool:
        bench.clock.advance(HOLD_SECONDS + 1)
        return not holds_are_left(bench.c)

    wait_until(is_forgotten)


def test_ids_that_are_in_no_tags_are_kept_when_inode_numbers_are_not(tmp_path: Path) -> None:
    c = Config(
        music_source_dir=tmp_path / "poor/source", cache_dir=tmp_path / "cache", max_proc=1, write_ids_to_tags=False
    )  # fmt: skip
    with poor_disk(tmp_path):
        c.music_source_dir.mkdir()
        for name in ("loona", "blackpink"):
            make_release(c.music_source_dir, name, tracks=2, album=name)
        assert update_cache(c).problems == []
        before = cached_ids(c)
        numbers = {path: (c.music_source_dir / path).stat().st_ino for path in before}
    with poor_disk(tmp_path):
        os.listdir(c.music_source_dir / "loona")  # which has the numbers be given in another order
        assert {path: (c.music_source_dir / path).stat().st_ino for path in before} != numbers
        (c.music_source_dir / "loona").rename(c.music_source_dir / "moved")
        (c.music_source_dir / "moved/01.opus").rename(c.music_source_dir / "moved/renamed.opus")
        assert update_cache(c).problems == []
        moved = {"loona/01.opus": "moved/renamed.opus", "loona/02.opus": "moved/02.opus"}
        assert cached_ids(c) == {moved.get(path, path): identifier for path, identifier in before.items()}
        report = update_cache(c)
        assert (report.changed, report.evicted) == (0, 0)
