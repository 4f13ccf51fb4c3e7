"""Collages and playlists: members flagged, found again and described, in place."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import pytest

from rosecache.changes import changes_since, current_position
from rosecache.config import Config
from rosecache.query.lists import (
    get_collage_releases,
    get_playlist,
    get_playlist_tracks,
    list_collages,
    list_playlists,
)
from rosecache.query.times import newest_changes
from rosecache.update import update_cache, update_cache_for_collages, update_cache_for_playlists
from tests.support.audio import make_release, set_tags
from tests.support.library import cached_ids, make_list, release_id_on_disk


def entries(path: Path, key: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(path.read_text())[key]
    return found


def test_update_cache_collages(c: Config) -> None:
    """A collage is described by its members, flags those that vanish, and takes them back in place."""
    one = make_release(c.music_source_dir, "One", artist="A", album="First", date="2001")
    two = make_release(
        c.music_source_dir, "Two", artist="B", album="Second", date="2002", originaldate="1999-01-02"
    )
    update_cache(c)
    path = c.collages_dir / "Road Trip.toml"
    ids = [release_id_on_disk(two), release_id_on_disk(one)]
    make_list(path, "releases", *ids)
    assert update_cache_for_collages(c).changed == 1
    assert [entry["description_meta"] for entry in entries(path, "releases")] == [
        "[1999-01-02] B - Second",
        "[2001] A - First",
    ]
    assert [release.id for release in get_collage_releases(c, "Road Trip")] == ids

    away = two.rename(c.music_source_dir.parent / "Two")
    update_cache(c)
    first, second = entries(path, "releases")
    assert first["missing"] is True
    assert first["description_meta"] == "[1999-01-02] B - Second {MISSING}"
    assert "missing" not in second
    assert [release.id for release in get_collage_releases(c, "Road Trip")] == ids[1:]

    away.rename(two)
    update_cache(c)
    assert [entry["description_meta"] for entry in entries(path, "releases")] == [
        "[1999-01-02] B - Second",
        "[2001] A - First",
    ]
    assert all("missing" not in entry for entry in entries(path, "releases"))
    assert [release.id for release in get_collage_releases(c, "Road Trip")] == ids


def test_update_cache_playlists(c: Config) -> None:
    """The same for a playlist, with its cover."""
    directory = make_release(c.music_source_dir, "R", tracks=2, artist="A", date="2001-02-03")
    update_cache(c)
    ids = cached_ids(c)
    path = c.playlists_dir / "Shower.toml"
    make_list(path, "tracks", ids["R/02.opus"], ids["R/01.opus"], ids["R/02.opus"])
    (c.playlists_dir / "Shower.JPG").write_bytes(b"x")
    update_cache_for_playlists(c)
    assert [entry["description_meta"] for entry in entries(path, "tracks")] == [
        "[2001-02-03] A - Track 2", "[2001-02-03] A - Track 1", "[2001-02-03] A - Track 2",
    ]  # fmt: skip
    playlist = get_playlist(c, "Shower")
    assert playlist is not None
    assert playlist.cover_path == c.playlists_dir / "Shower.JPG"

    (directory / "02.opus").rename(c.music_source_dir.parent / "02.opus")
    update_cache(c)
    assert [entry.get("missing") for entry in entries(path, "tracks")] == [True, None, True]
    assert [track.tracktitle for track in get_playlist_tracks(c, "Shower")] == ["Track 1"]
    (c.music_source_dir.parent / "02.opus").rename(directory / "02.opus")
    update_cache(c)
    assert [track.tracktitle for track in get_playlist_tracks(c, "Shower")] == [
        "Track 2",
        "Track 1",
        "Track 2",
    ]
    assert [entry.get("missing") for entry in entries(path, "tracks")] == [None, None, None]


@pytest.mark.parametrize("releases", [1, 60], ids=["here", "in workers"])
def test_descriptions_follow_a_retag(c: Config, releases: int) -> None:
    """Also when worker processes did the reading."""
    for number in range(releases):
        make_release(c.music_source_dir, f"R{number}", tracks=1, format="mp3", artist="A")
    update_cache(c)
    release = c.music_source_dir / "R0"
    make_list(c.collages_dir / "C.toml", "releases", release_id_on_disk(release))
    make_list(c.playlists_dir / "P.toml", "tracks", cached_ids(c)["R0/01.mp3"])
    update_cache(c)
    for number in range(releases):
        set_tags(c.music_source_dir / f"R{number}" / "01.mp3", album="New Name", albumartist="B", artist="C")
    update_cache(c)
    assert entries(c.collages_dir / "C.toml", "releases")[0]["description_meta"] == "[2020] B - New Name"
    assert entries(c.playlists_dir / "P.toml", "tracks")[0]["description_meta"] == "[2020] C - Track 1"


def test_what_we_do_not_know_is_kept(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", artist="A")
    update_cache(c)
    path = c.collages_dir / "C.toml"
    path.parent.mkdir()
    identifier = release_id_on_disk(directory)
    path.write_text(
        f'# my collage\nmood = "blue"\n\n[[releases]]\nuuid = "{identifier}" # the best\nstars = 5\n'
    )
    update_cache(c)
    text = path.read_text()
    assert text.startswith(
        f'# my collage\nmood = "blue"\n\n[[releases]]\nuuid = "{identifier}" # the best\nstars = 5\n'
    )
    assert 'description_meta = "[2020] A - Album"' in text


def test_a_list_that_needs_nothing_is_not_written(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    path = c.collages_dir / "C.toml"
    make_list(path, "releases", release_id_on_disk(directory))
    update_cache(c)
    before = path.stat()
    update_cache(c, force=True)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "broken", ["[[releases", "releases = 3", '[[releases]]\nname = "no uuid"', "releases = [1, 2]"]
)
def test_a_broken_list_is_reported_and_left_as_it_is(c: Config, broken: str) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    bad, good = c.collages_dir / "Bad.toml", c.collages_dir / "Good.toml"
    make_list(bad, "releases", release_id_on_disk(directory))
    make_list(good, "releases")
    update_cache(c)
    bad.write_text(broken)
    make_list(good, "releases", release_id_on_disk(directory))
    report = update_cache(c)
    assert [problem.path for problem in report.problems] == [bad]
    assert bad.read_text() == broken
    assert len(get_collage_releases(c, "Bad")) == 1
    assert len(get_collage_releases(c, "Good")) == 1


def test_whatever_changes_a_list_moves_its_time_on(c: Config) -> None:
    path, cover = c.playlists_dir / "Shower.toml", c.playlists_dir / "Shower.jpg"
    backup = c.playlists_dir.parent / "backup"
    make_list(path, "tracks", "a", "b")
    shutil.copy2(path, backup)
    times = []

    def look() -> None:
        update_cache_for_playlists(c)
        times.append(newest_changes(c, "playlist")["Shower"])

    look()
    cover.write_bytes(b"x")
    look()
    cover.unlink()
    look()
    make_list(path, "tracks", "a")
    look()
    shutil.copy2(backup, path)  # with its old time
    look()
    assert times == sorted(set(times))
    look()
    assert times[-1] == times[-2]


def test_lists_come_and_go(c: Config) -> None:
    make_release(c.music_source_dir, "R")
    make_list(c.collages_dir / "C.toml", "releases")
    make_list(c.playlists_dir / "P.toml", "tracks")
    (c.playlists_dir / ".hidden.toml").write_text("")
    (c.playlists_dir / "notes.txt").write_text("")
    update_cache(c)
    assert (list(list_collages(c)), list(list_playlists(c))) == (["C"], ["P"])
    position = current_position(c)
    os.rename(c.collages_dir / "C.toml", c.collages_dir / "D.toml")
    shutil.rmtree(c.playlists_dir)
    report = update_cache(c)
    assert report.evicted == 2
    assert (list(list_collages(c)), list(list_playlists(c))) == (["D"], [])
    assert {(change.kind, change.id, change.change) for change in changes_since(c, position).changes} == {
        ("collage", "D", "added"), ("collage", "C", "removed"), ("playlist", "P", "removed"),
    }  # fmt: skip
