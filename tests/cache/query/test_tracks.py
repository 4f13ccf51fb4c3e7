"""Queries for tracks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.model import Track
from rosecache.query.releases import get_release, list_releases
from rosecache.query.tracks import (
    filter_tracks,
    get_track,
    get_track_logtext,
    get_tracks_of_release,
    get_tracks_of_releases,
    list_tracks,
)
from tests.support.rows import release_row, remove, store, track_row


def ids(tracks: list[Track]) -> list[str]:
    return [track.id for track in tracks]


@pytest.fixture
def library(c: Config) -> Config:
    """Two releases whose tracks have other artists than they themselves."""
    store(
        c,
        release_row(
            "mix",
            directory=b"B",
            artists={"main": ["Various"]},
            genres=["Deep House"],
            descriptors=["warm"],
            labels=["Ebb"],
            new=True,
            tracks=[
                track_row("m2", "2", title="Tide", artists={"main": ["K. Vale"]}),
                track_row("m1", "1", title="", artists={"main": ["Ada Moss"], "guest": ["Zed"]}),
            ],
        ),
        release_row(
            "solo",
            directory=b"A",
            originaldate="1999-01-02",
            artists={"main": ["Kim Vale"]},
            genres=["Pop"],
            tracks=[track_row("s1", title="Alone", artists={"main": ["Kim Vale"]}, duration_seconds=0)],
        ),
    )
    return msgspec.structs.replace(c, artist_aliases=(ArtistAlias("Kim Vale", ("K. Vale",)),))


def test_list_tracks(library: Config) -> None:
    assert ids(list_tracks(library)) == ["s1", "m1", "m2"]
    assert ids(list_tracks(library, ["m2", "s1", "m2", "nowhere", "m1\0"])) == ["s1", "m2"]
    assert list_tracks(library, []) == []
    assert ids(list_tracks(library, [f"nowhere-{number}" for number in range(300_000)] + ["m2"])) == ["m2"]


def test_get_track(library: Config) -> None:
    track = get_track(library, "m2")
    assert track is not None
    assert (track.tracktitle, track.tracknumber, track.tracktotal, track.discnumber) == ("Tide", "2", 2, "1")
    assert track.release == get_release(library, "mix")
    assert get_track(library, "nowhere") is None


def test_track_totals_are_calculated(c: Config) -> None:
    tracks = [
        track_row("a1", "1", "A"), track_row("a2", "2", "A"), track_row("b1", "1", "B"),
        track_row("b2", "1", "B"), track_row("b3", "3", "B"),
    ]  # fmt: skip
    store(c, release_row("r", tracks=tracks), release_row("other", tracks=[track_row("o1", "1", "A")]))
    assert {track.id: track.tracktotal for track in list_tracks(c)} == {
        "a1": 2, "a2": 2, "b1": 3, "b2": 3, "b3": 3, "o1": 1,
    }  # fmt: skip
    store(c, release_row("r", tracks=tracks[:-1]))
    track = get_track(c, "b1")
    assert track is not None
    assert track.tracktotal == 2
    assert track.release.disctotal == 2
    (only,) = list_tracks(c, ["b2"])
    assert only.tracktotal == 2


def test_a_duration_that_is_not_known_is_zero(library: Config) -> None:
    track = get_track(library, "s1")
    assert track is not None
    assert track.duration_seconds == 0


def test_tracks_are_in_order_of_disc_and_number(c: Config) -> None:
    numbers = ["1", "2", "9", "010", "11", "A1", "A2", "A10", "B2", "CD1-2", "CD1-10", "x"]
    store(
        c,
        release_row(
            "r",
            tracks=[
                *(track_row(f"one {number}", number, "1") for number in reversed(numbers)),
                *(
                    track_row(f"{disc} {number}", number, disc)
                    for disc in ("10", "2")
                    for number in ("2", "1")
                ),
                track_row("same b", "7", "3", path=b"b.mp3"),
                track_row("same a", "07", "3", path=b"a.mp3"),
                track_row("huge", "9" * 5_000, "4"),
                track_row("larger", "1" + "0" * 5_000, "4"),
            ],
        ),
    )
    release = get_release(c, "r")
    assert release is not None
    assert ids(get_tracks_of_release(c, release)) == [
        *(f"one {number}" for number in numbers),
        "2 1", "2 2", "same a", "same b", "huge", "larger", "10 1", "10 2",
    ]  # fmt: skip


def test_get_tracks_of_release_that_is_gone(library: Config) -> None:
    release = get_release(library, "mix")
    assert release is not None
    remove(library, "mix")
    assert get_tracks_of_release(library, release) == []


def test_get_tracks_of_releases(library: Config) -> None:
    solo, mix = list_releases(library)
    remove(library, "solo")
    found = get_tracks_of_releases(library, [mix, solo, mix])
    assert [(release.id, ids(tracks)) for release, tracks in found] == [
        ("mix", ["m1", "m2"]),
        ("solo", []),
        ("mix", ["m1", "m2"]),
    ]
    assert found[0][1] == get_tracks_of_release(library, mix)
    assert get_tracks_of_releases(library, []) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["s1", "m1", "m2"]),
        ({"track_artist_filter": "Zed"}, ["m1"]),
        ({"track_artist_filter": "Kim Vale"}, ["s1", "m2"]),
        ({"track_artist_filter": "K. Vale"}, ["m2"]),
        ({"track_artist_filter": "Various"}, []),
        ({"release_artist_filter": "Various"}, ["m1", "m2"]),
        ({"release_artist_filter": "Kim Vale"}, ["s1"]),
        ({"all_artist_filter": "Various"}, ["m1", "m2"]),
        ({"all_artist_filter": "Kim Vale"}, ["s1", "m2"]),
        ({"genre_filter": "House"}, ["m1", "m2"]),
        ({"genre_filter": "Pop"}, ["s1"]),
        ({"descriptor_filter": "warm"}, ["m1", "m2"]),
        ({"label_filter": "Ebb", "track_artist_filter": "Ada Moss"}, ["m1"]),
        ({"new": False}, ["s1"]),
        ({"new": True, "track_artist_filter": "Kim Vale"}, ["m2"]),
        ({"new": True, "genre_filter": "Pop"}, []),
    ],
)
def test_filter_tracks(library: Config, wanted: dict[str, Any], found: list[str]) -> None:
    tracks = filter_tracks(library, **wanted)
    assert ids(tracks) == found
    assert all(track.tracktotal == (2 if track.release.id == "mix" else 1) for track in tracks)


def test_get_track_logtext(library: Config) -> None:
    assert get_track_logtext(library, "s1") == "Kim Vale - Alone [1999]"
    assert get_track_logtext(library, "m1") == "Ada Moss (feat. Zed) - Unknown Title [2020]"
    assert get_track_logtext(library, "nowhere") is None
