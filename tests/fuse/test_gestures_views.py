"""A release is edited alike in every view that shows it, and everything that was done to it can be taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import rosecache
from rosecache.tags import read_tags
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.fuse.conftest import Workbench, run, wait_for, working
from tests.support.audio import PICTURE, set_tags
from tests.support.library import cached_ids, snapshot
from tests.support.mounts import SHARED_LIMIT

pytestmark = pytest.mark.usefixtures("need_fuse")

VIEWS = (
    "Releases",
    "Releases - New",
    "Releases - Added On",
    "Releases - Released On",
    "Artists/LOONA",
    "Genres/K-Pop",
    "Genres/Asian Music",
    "Descriptors/Lush",
    "Labels/BlockBerry",
    "Search/genre:^K-Pop$",
    "Search/releasetitle:Hash/label:BlockBerry",
)
"""Directories that list the release by what it is."""


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory, binding: str) -> Iterator[Workbench]:
    """The library, its release of LOONA in all views; each test leaves it as it was."""
    with working(tmp_path_factory.mktemp("views"), binding, hard_limit=SHARED_LIMIT) as bench:
        for path in (bench.source / "loona").glob("*.flac"):
            set_tags(path, descriptor="Lush", label="BlockBerry", genre="K-Pop")
        assert rosecache.update_cache(bench.c).problems == []
        wait_for(lambda: "BlockBerry" in os.listdir(bench.top / "Labels"))
        yield bench


def release_in(bench: Workbench, view: str) -> Path:
    (found,) = [path for path in (bench.top / view).iterdir() if "2018. Hash" in path.name]
    return found


def take_back(bench: Workbench) -> int:
    """Takes back every edit that there is, and returns how many undos that took."""
    journal, undos = Journal(bench.state_dir), 0
    while any(not entry.undone and not entry.undoes for entry in journal.history()):
        undo(bench.c, journal)
        undos += 1
    return undos


@pytest.mark.parametrize("view", VIEWS)
def test_files_of_a_release(views: Workbench, tmp_path: Path, view: str) -> None:
    bench, before, ids = views, snapshot(views.source), cached_ids(views.c)
    release = release_in(bench, view)
    set_tags(release / "01. Track 1.flac", title="Hi High")
    assert "01. Hi High.flac" in os.listdir(release)
    assert read_tags(bench.source / "loona/01.flac").tracktitle == "Hi High"
    image = tmp_path / "image.png"
    image.write_bytes(PICTURE + b"\0" * 10)
    run("cp", image, release / "cover.png")
    assert (bench.source / "loona/cover.png").read_bytes() == image.read_bytes()
    run("rm", release / "cover.png", release / "rip.log", release / "02. Track 2.flac")
    assert sorted(os.listdir(release))[-1] == "01. Hi High.flac"
    assert not (bench.source / "loona/02.flac").exists()
    assert {"cover.png", "rip.log", "02.flac"} <= set(bench.in_trash())
    take_back(bench)
    assert snapshot(bench.source) == before
    assert cached_ids(bench.c) == ids
    wait_for(lambda: {"01. Track 1.flac", "02. Track 2.flac", "rip.log"} <= set(os.listdir(release)))
    bench.check()


@pytest.mark.parametrize("view", VIEWS)
def test_tracks_of_a_release_in_all_tracks(views: Workbench, view: str) -> None:
    bench, before = views, snapshot(views.source)
    tracks = bench.top / view / "!All Tracks"
    (first,) = tracks.glob("*Hash*Track 1.flac")
    set_tags(first, title="Hi High")
    assert read_tags(bench.source / "loona/01.flac").tracktitle == "Hi High"
    (second,) = tracks.glob("*Hash*Track 2.flac")
    run("rm", second)
    assert not (bench.source / "loona/02.flac").exists()
    assert [name for name in os.listdir(tracks) if "Hash" in name] == [
        first.name.replace("Track 1", "Hi High")
    ]
    take_back(bench)
    assert snapshot(bench.source) == before
    wait_for(lambda: {first.name, second.name} <= set(os.listdir(tracks)))
    bench.check()


@pytest.mark.parametrize("view", VIEWS)
def test_a_release_as_a_whole(views: Workbench, view: str) -> None:
    bench, before, ids = views, snapshot(views.source), cached_ids(views.c)
    release = release_in(bench, view)
    with pytest.raises(OSError, match="not empty"):
        os.rmdir(release)
    assert snapshot(bench.source) == before
    run("rm", "-r", release)
    assert release.name not in os.listdir(bench.top / view)
    assert not (bench.source / "loona").exists()
    assert take_back(bench) == 1
    assert snapshot(bench.source) == before
    assert cached_ids(bench.c) == ids
    wait_for(lambda: release.name in os.listdir(bench.top / view))
    bench.check()
