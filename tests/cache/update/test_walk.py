"""What counts as a release, and what of the disk's odd moments counts as gone: nothing but what is gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.errors import SourceDirectoryError
from rosecache.query.releases import list_releases
from rosecache.query.times import newest_change
from rosecache.update import assign, update_cache, update_cache_for_releases, walk
from tests.support.audio import make_release
from tests.support.library import cached_ids, check_cache, ids_on_disk, release_id_on_disk, snapshot


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


@pytest.mark.parametrize("link", ["A link", "Z link"])
@pytest.mark.parametrize("target", ["R", "R/Disc 2", ".", ".."])
def test_a_link_to_what_is_a_release_already_costs_no_id(c: Config, link: str, target: str) -> None:
    directory = make_release(c.music_source_dir, "R")
    make_release(directory, "Disc 2")
    update_cache(c)
    before = snapshot(c.music_source_dir)
    (c.music_source_dir / link).symlink_to(c.music_source_dir / target)
    for _ in range(2):
        report = update_cache(c, force=True)
        assert [problem.path for problem in report.problems] == [c.music_source_dir / link]
        assert [release.source_path for release in list_releases(c)] == [directory]
    (c.music_source_dir / link).unlink()
    assert snapshot(c.music_source_dir) == before


def test_of_two_links_to_one_directory_the_first_is_the_release(c: Config, tmp_path: Path) -> None:
    elsewhere = make_release(tmp_path / "other disk", "R")
    for name in ("B", "A"):
        (c.music_source_dir / name).symlink_to(elsewhere)
    for _ in range(2):
        report = update_cache(c)
        assert [problem.path.name for problem in report.problems] == ["B"]
        assert [release.source_path.name for release in list_releases(c)] == ["A"]


def test_links_in_circles_stop_nothing(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    (c.music_source_dir / "circle").symlink_to("circle")
    (directory / "03.opus").symlink_to("03.opus")
    (directory / "circle.jpg").symlink_to("circle.jpg")
    report = update_cache(c)
    assert [problem.path.name for problem in report.problems] == ["circle"]
    assert len(cached_ids(c)) == 2


def test_a_linked_release_whose_disk_is_away_is_kept(c: Config, tmp_path: Path) -> None:
    make_release(c.music_source_dir, "Here")
    elsewhere = make_release(tmp_path / "other disk", "R")
    (c.music_source_dir / "Linked").symlink_to(elsewhere)
    update_cache(c)
    ids = cached_ids(c)
    elsewhere.parent.rename(tmp_path / "away")
    report = update_cache(c)
    assert [problem.path.name for problem in report.problems] == ["Linked"]
    assert cached_ids(c) == ids
    assert update_cache(c, force=True).evicted == 1


def test_a_disc_that_vanishes_while_the_release_is_walked_evicts_nothing_else(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_release(c.music_source_dir, "R")
    make_release(directory, "Disc 2", tracks=1)
    update_cache(c)
    (directory / "notes.txt").write_text("so that the release is looked at")
    original = walk._Walk.walk
    walks = []

    def vanishing(self: walk._Walk, path: bytes, prefix: bytes, depth: int) -> None:
        walks.append(prefix)
        if (
            walks.count(b"Disc 2/") == 2
        ):  # the first walk finds that something changed, the second is the update's
            shutil.rmtree(path, ignore_errors=True)
        original(self, path, prefix, depth)

    monkeypatch.setattr(walk._Walk, "walk", vanishing)
    assert update_cache(c).evicted == 0
    assert list(cached_ids(c)) == ["R/01.opus", "R/02.opus"]
    check_cache(c)


def test_names_that_are_no_releases_are_none_when_asked_for_either(c: Config) -> None:
    source = c.music_source_dir
    names = [".in-progress.Album", "!collages", "!playlists"]
    for name in names:
        make_release(source, name)
    before = snapshot(source)
    report = update_cache_for_releases(c, [source / name for name in names], force=True)
    assert (report.seen, report.changed) == (0, 0)
    assert snapshot(source) == before


def test_an_unmounted_disk_evicts_nothing_when_single_releases_are_asked_for(c: Config) -> None:
    one = make_release(c.music_source_dir, "One")
    make_release(c.music_source_dir, "Two")
    update_cache(c)
    away = c.music_source_dir.rename(c.music_source_dir.with_name("away"))
    with pytest.raises(SourceDirectoryError):
        update_cache_for_releases(c, [one])
    c.music_source_dir.mkdir()
    assert len(update_cache_for_releases(c, [one]).problems) == 1
    (c.music_source_dir / "not an album").mkdir()
    assert len(update_cache(c).problems) == 1
    assert len(list_releases(c)) == 2
    shutil.rmtree(c.music_source_dir)
    away.rename(c.music_source_dir)
    assert update_cache(c).problems == []
    check_cache(c)


def test_old_files_that_come_to_the_library_change_the_time_of_the_listing(c: Config) -> None:
    """A program that trusts a directory's time sees a release that a backup brought back."""
    directory = make_release(c.music_source_dir, "R")
    make_release(c.music_source_dir, "Other")
    update_cache(c)
    away = directory.rename(c.music_source_dir.parent / "away")
    for path in (*away.iterdir(), away):
        os.utime(path, (0, 0))
    update_cache(c)
    before = newest_change(c, "release")
    away.rename(directory)
    update_cache(c)
    assert newest_change(c, "release") > before


def test_a_loss_of_files_from_the_future_does_not_set_the_time_back(c: Config) -> None:
    make_release(c.music_source_dir, "Other")
    directory = make_release(c.music_source_dir, "R")
    future = 4_000_000_000
    os.utime(directory / "01.opus", (future, future))
    update_cache(c)
    before = newest_change(c, "release")
    shutil.rmtree(directory)
    update_cache(c)
    assert newest_change(c, "release") > before


def test_an_eviction_does_not_remove_what_was_found_under_another_name(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finds a renamed release just when this one is about to remove its old name."""
    from rosecache.update import release

    old = make_release(c.music_source_dir, "Old")
    update_cache(c)
    identifier, ids = release_id_on_disk(old), ids_on_disk(old)
    new = old.rename(old.with_name("New"))
    known = release._is_known

    def late(c: Config, directory: bytes) -> bool:
        found = known(c, directory)
        if directory == b"Old" and found:
            release.update_release(c, b"New")
        return found

    monkeypatch.setattr(release, "_is_known", late)
    update_cache_for_releases(c, [old])
    assert [found.id for found in list_releases(c)] == [identifier]
    assert ids_on_disk(new) == ids
