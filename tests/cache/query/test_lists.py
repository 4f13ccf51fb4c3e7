"""Queries for collages and playlists."""

from __future__ import annotations

import pytest

from rosecache.config import Config
from rosecache.model import Collage, File, Playlist
from rosecache.query.lists import (
    get_collage,
    get_collage_releases,
    get_playlist,
    get_playlist_cover,
    get_playlist_tracks,
    list_collages,
    list_playlists,
    release_within_collage,
    track_within_playlist,
    track_within_release,
)
from tests.support.rows import release_row, remove, store, store_collage, store_playlist, track_row


@pytest.fixture
def library(c: Config) -> Config:
    store(
        c,
        release_row("one", tracks=[track_row("o1", "1"), track_row("o2", "2")]),
        release_row("two", tracks=[track_row("t1")]),
    )
    store_collage(c, "Road Trip", "two", "gone", "one", "two", mtime=7)
    store_collage(c, "Empty")
    store_playlist(c, "Shower", "t1", "o2", "gone", "o1", "t1", mtime=8, cover=(b"Shower.jpg", 10, 20))
    store_playlist(c, "Bare")
    return c


def test_list_collages(library: Config) -> None:
    assert list_collages(library) == ["Empty", "Road Trip"]


def test_get_collage(library: Config) -> None:
    assert get_collage(library, "Road Trip") == Collage("Road Trip", source_mtime=7)
    assert get_collage(library, "road trip") is None
    assert get_collage(library, "\udcff") is None


def test_get_collage_releases(library: Config) -> None:
    found = get_collage_releases(library, "Road Trip")
    assert [release.id for release in found] == ["two", "one", "two"]
    assert get_collage_releases(library, "Empty") == []
    assert get_collage_releases(library, "Nothing") == []


def test_a_member_that_vanishes_and_comes_back_has_its_old_place(library: Config) -> None:
    remove(library, "two")
    assert [release.id for release in get_collage_releases(library, "Road Trip")] == ["one"]
    assert [track.id for track in get_playlist_tracks(library, "Shower")] == ["o2", "o1"]
    assert not release_within_collage(library, "two", "Road Trip")
    assert not track_within_playlist(library, "t1", "Shower")
    store(library, release_row("two", tracks=[track_row("t1")]))
    assert [release.id for release in get_collage_releases(library, "Road Trip")] == ["two", "one", "two"]
    assert [track.id for track in get_playlist_tracks(library, "Shower")] == ["t1", "o2", "o1", "t1"]


def test_release_within_collage(library: Config) -> None:
    assert release_within_collage(library, "one", "Road Trip")
    assert not release_within_collage(library, "one", "Empty")
    assert not release_within_collage(library, "gone", "Road Trip")
    assert not release_within_collage(library, "nowhere", "Nothing")


def test_list_playlists(library: Config) -> None:
    assert list_playlists(library) == ["Bare", "Shower"]


def test_get_playlist(library: Config) -> None:
    cover = library.playlists_dir / "Shower.jpg"
    assert get_playlist(library, "Shower") == Playlist("Shower", source_mtime=8, cover_path=cover)
    assert get_playlist(library, "Bare") == Playlist("Bare", source_mtime=1_000, cover_path=None)
    assert get_playlist(library, "Nothing") is None


def test_get_playlist_cover(library: Config) -> None:
    assert get_playlist_cover(library, "Shower") == File(library.playlists_dir / "Shower.jpg", 10, 20)
    assert get_playlist_cover(library, "Bare") is None
    assert get_playlist_cover(library, "Nothing") is None


def test_get_playlist_tracks(library: Config) -> None:
    found = get_playlist_tracks(library, "Shower")
    assert [(track.id, track.release.id) for track in found] == [
        ("t1", "two"),
        ("o2", "one"),
        ("o1", "one"),
        ("t1", "two"),
    ]
    assert [track.tracktotal for track in found] == [1, 2, 2, 1]
    assert get_playlist_tracks(library, "Bare") == get_playlist_tracks(library, "Nothing") == []


def test_track_within_playlist(library: Config) -> None:
    assert track_within_playlist(library, "o1", "Shower")
    assert not track_within_playlist(library, "o1", "Bare")
    assert not track_within_playlist(library, "gone", "Shower")


def test_track_within_release(library: Config) -> None:
    assert track_within_release(library, "o1", "one")
    assert not track_within_release(library, "o1", "two")
    assert not track_within_release(library, "nowhere", "one")
    assert not track_within_release(library, "o1", "o1")
