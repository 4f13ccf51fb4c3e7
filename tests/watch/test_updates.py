"""One update by the watcher: what is looked at, what is left alone, and what has to be looked at again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import rosecache
from rosecache.config import Config
from rosefs.watch.gathering import Ripe
from rosefs.watch.places import EVERYTHING, Place
from rosefs.watch.updates import Outcome, bring_up_to_date, is_open_for_writing
from tests.support.audio import make_release, make_track, set_tags
from tests.support.library import cached_ids, check_cache, make_list, release_id_on_disk


def ripe(kind: str, name: str = "", *, quiet: bool = True) -> Ripe:
    place = EVERYTHING if kind == "everything" else Place(kind, os.fsencode(name))  # type: ignore[arg-type]
    return Ripe(place, quiet, 0.0, 0.0, 0)


def bring(c: Config, *places: Ripe) -> Outcome:
    return bring_up_to_date(c, places, lambda: None)


def test_only_what_is_asked_for_is_looked_at(c: Config) -> None:
    make_release(c.music_source_dir, "one", tracks=1)
    make_release(c.music_source_dir, "two", tracks=1)
    outcome = bring(c, ripe("release", "one"))
    assert (outcome.report.seen, outcome.report.changed) == (1, 1)
    assert cached_ids(c).keys() == {"one/01.opus"}


def test_lists_follow_what_changed_in_releases(c: Config) -> None:
    one = make_release(c.music_source_dir, "one", tracks=1)
    make_release(c.music_source_dir, "two", tracks=1)
    rosecache.update_cache(c)
    make_list(c.collages_dir / "Best.toml", "releases", release_id_on_disk(one))
    rosecache.update_cache(c)
    shutil.move(one, c.music_source_dir.parent)
    assert bring(c, ripe("release", "one")).report.evicted == 1
    assert rosecache.get_collage_releases(c, "Best") == []
    assert "missing = true" in (c.collages_dir / "Best.toml").read_text()


def test_one_list_or_all(c: Config) -> None:
    for name in ("A", "B"):
        make_list(c.playlists_dir / f"{name}.toml", "tracks")
    bring(c, ripe("playlist", "A"))
    assert rosecache.list_playlists(c) == ["A"]
    bring(c, ripe("playlist"))
    assert rosecache.list_playlists(c) == ["A", "B"]


def test_a_new_release_that_is_not_quiet_is_left_alone(c: Config) -> None:
    make_release(c.music_source_dir, "one")
    hasty = ripe("release", "one", quiet=False)
    outcome = bring(c, hasty)
    assert (outcome.in_writing, cached_ids(c)) == ([hasty], {})
    assert bring(c, ripe("release", "one")).in_writing == []
    assert cached_ids(c)
    assert bring(c, hasty).in_writing == []  # it is not new any more


def test_a_new_release_with_a_file_that_is_open_for_writing_is_left_alone(c: Config) -> None:
    release = make_release(c.music_source_dir, "one")
    with (release / "02.opus").open("ab"):
        assert len(bring(c, ripe("release", "one")).in_writing) == 1
        assert cached_ids(c) == {}
    bring(c, ripe("release", "one"))
    check_cache(c)


def test_whether_a_file_is_open_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_bytes(b"x")
    name = os.fsencode(path)
    assert not is_open_for_writing(name)
    with path.open("rb"):
        assert not is_open_for_writing(name)
    with path.open("ab"):
        assert is_open_for_writing(name)
    assert not is_open_for_writing(name)
    assert not is_open_for_writing(name + b"-missing")
    assert not is_open_for_writing(os.fsencode(tmp_path))


def test_what_is_no_directory_is_nobodys_business(c: Config) -> None:
    (c.music_source_dir / "notes.txt").write_text("x")
    assert bring(c, ripe("release", "notes.txt"), ripe("release", "gone")).report.problems == []


def test_a_release_that_became_a_file_is_gone(c: Config) -> None:
    release = make_release(c.music_source_dir, "one")
    make_release(c.music_source_dir, "two")
    rosecache.update_cache(c)
    shutil.rmtree(release)
    release.write_text("x")
    outcome = bring(c, ripe("release", "one"))
    assert (outcome.report.evicted, outcome.report.problems) == (1, [])
    check_cache(c)


def test_what_is_left_for_later_or_has_a_problem_is_to_be_looked_at_again(c: Config) -> None:
    release = make_release(c.music_source_dir, "one", tracks=1)
    broken = make_release(c.music_source_dir, "two", format="mp3", tracks=2)
    make_release(c.music_source_dir, "three", tracks=1)
    rosecache.update_cache(c)
    (broken / "01.mp3").write_bytes(b"")
    set_tags(c.music_source_dir / "three" / "01.opus", title="New")
    bad, good = ripe("release", "two"), ripe("release", "three")
    outcome = bring(c, bad, good)
    assert outcome.unfinished == [bad]
    make_track(release / "02.opus", tracknumber="2")
    later = ripe("release", "one")
    assert bring(c, later).unfinished == [later]


def test_a_source_that_is_suddenly_empty_has_nothing_evicted(c: Config) -> None:
    for name in ("one", "two"):
        make_release(c.music_source_dir, name)
    rosecache.update_cache(c)
    before = cached_ids(c)
    os.rename(c.music_source_dir, c.music_source_dir.with_name("away"))
    c.music_source_dir.mkdir()
    for places in ((ripe("release", "one"),), (ripe("everything"),)):
        assert bring(c, *places).report.evicted == 0
    c.music_source_dir.rmdir()
    for places in ((ripe("release", "one"),), (ripe("everything"),)):
        with pytest.raises(rosecache.SourceDirectoryError):
            bring(c, *places)
    assert cached_ids(c) == before


def test_it_can_be_cancelled_between_two_releases(c: Config) -> None:
    class CancelledError(BaseException):
        pass

    calls: list[int] = []

    def check() -> None:
        calls.append(len(cached_ids(c)))
        if len(calls) == 3:
            raise CancelledError

    for number in range(5):
        make_release(c.music_source_dir, str(number), tracks=1)
    with pytest.raises(CancelledError):
        bring_up_to_date(c, [ripe("everything")], check)
    assert calls == [0, 1, 2]
