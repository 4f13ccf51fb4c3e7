"""A library on a file system that can do little, as those of memory cards: everything works, a little slower."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.database import connect
from rosecache.query.lists import get_playlist_tracks
from rosecache.update import update_cache, walk
from rosefs.library.holds import HOLD_SECONDS, holds_are_left
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.cache.update.test_costs import opened_in
from tests.fuse.conftest import Workbench, audio_of, run, wait_for, working
from tests.support.audio import make_release, set_tags
from tests.support.disks import poor_disk
from tests.support.library import cached_ids, make_list
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


def _retitle(path: Path, title: str) -> None:
    """Retitles a track by another one of the same length, within the tick of its times."""
    before = path.stat()
    set_tags(path, title=title)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_size, before.st_mtime_ns, before.st_ctime_ns,
    )  # fmt: skip


def _titles(c: Config) -> set[str]:
    with connect(c) as connection:
        return {title for (title,) in connection.execute("SELECT title FROM tracks")}


@pytest.fixture
def coarse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A library of two tracks that were just written; what is "just" takes an hour, so that no computer is too slow."""
    monkeypatch.setattr(walk, "_UNSETTLED", 3600 * 10**9)
    c = Config(music_source_dir=tmp_path / "poor/source", cache_dir=tmp_path / "cache", max_proc=1)
    with poor_disk(tmp_path):
        c.music_source_dir.mkdir()
        make_release(c.music_source_dir, "loona", tracks=2, format="mp3")
        assert update_cache(c).problems == []
        yield c


def test_a_change_in_the_tick_of_the_last_one_is_read_until_no_more_can_come(
    coarse: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = coarse.music_source_dir / "loona/01.mp3"
    for title in ("Titel A", "Titel B"):
        _retitle(track, title) if title in _titles(coarse) else set_tags(track, title=title)
        assert update_cache(coarse).changed == 1
        assert title in _titles(coarse)
    _retitle(track, "Titel C")
    assert (update_cache(coarse).changed, "Titel C" in _titles(coarse)) == (1, True)
    monkeypatch.setattr(walk, "_UNSETTLED", 0)  # as if the time had gone by
    update_cache(coarse)
    with connect(coarse) as connection, opened_in(coarse.music_source_dir) as opened:
        before = connection.total_changes
        assert update_cache(coarse).changed == 0
        assert connection.total_changes == before
    assert opened == {}


@pytest.mark.parametrize("away", [-7200, 7200], ids=["long ago", "in the future"])
def test_only_what_was_just_changed_is_read_again(coarse: Config, away: int) -> None:
    at = time.time() + away
    paths = [path for path in coarse.music_source_dir.rglob("*") if path.is_file()]
    for path in paths:
        if path.name != "01.mp3":
            os.utime(path, (at, at))
    update_cache(coarse)
    with opened_in(coarse.music_source_dir) as opened:
        assert update_cache(coarse).changed == 0
    assert {path: count for path, count in opened.items() if path.endswith(".mp3")} == {"loona/01.mp3": 1}
    os.utime(coarse.music_source_dir / "loona/01.mp3", (at, at))
    update_cache(coarse)
    with opened_in(coarse.music_source_dir) as opened:
        assert update_cache(coarse).changed == 0
    assert opened == {}


def test_a_list_that_is_sorted_twice_in_a_tick_is_shown_as_it_is(coarse: Config) -> None:
    first, second = sorted(cached_ids(coarse).values())
    coarse.playlists_dir.mkdir()
    path = coarse.playlists_dir / "Mix.toml"
    for order in ((first, second), (second, first)):
        make_list(path, "tracks", *order)
        os.utime(path, (1_000_000_000 + 10**9 // 2, int(time.time()) // 7200 * 7200))
        update_cache(coarse)
        assert [track.id for track in get_playlist_tracks(coarse, "Mix")] == list(order)


def test_a_save_that_keeps_size_and_time_is_shown(poor: Path, tmp_path: Path, binding: str) -> None:
    with working(poor, binding) as bench:
        track = bench.mp3_release / "01. Track 1.mp3"
        for title in ("Titel A", "Titel B"):
            copy = tmp_path / "copy.mp3"
            shutil.copyfile(track, copy)
            set_tags(copy, title=title)
            os.utime(copy, (1_000_000_000, 1_000_000_000))
            run("cp", "-p", copy, track)
            track = bench.mp3_release / f"01. {title}.mp3"
            wait_for(track.exists)
            assert track.stat().st_mtime == 1_000_000_000
        bench.check()
