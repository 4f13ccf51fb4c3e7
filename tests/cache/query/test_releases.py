"""Queries for releases."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.database import connect
from rosecache.model import Artist, ArtistMapping, PartialDate, Release
from rosecache.query.releases import filter_releases, get_release, get_release_logtext, list_releases
from rosecache.query.tracks import get_tracks_of_release
from rosecache.update.rows import FileRow
from tests.support.rows import release_row, store, track_row


def ids(releases: list[Release]) -> list[str]:
    return [release.id for release in releases]


@pytest.fixture
def library(c: Config) -> Config:
    """Three releases: an album, a new single of an alias, and a new loose track."""
    store(
        c,
        release_row(
            "night",
            directory=b"B Night",
            title="Night Drive",
            releasedate="2020-04-09",
            originaldate="2019",
            edition="Deluxe",
            catalognumber="LT-001",
            artists={"main": ["Kim Vale"], "guest": ["Ada Moss"]},
            genres=["Deep House", "Techno"],
            secondary_genres=["Ambient"],
            descriptors=["warm", "nocturnal"],
            labels=["Low Tide", "Ebb"],
            tracks=[
                track_row("n3", "1", "2", title="Home", artists={"main": ["Kim Vale"]}),
                track_row("n2", "10", "1", title="Rain", artists={"main": ["Kim Vale"], "remixer": ["Zed"]}),
                track_row("n1", "9", "1", title="Road", artists={"main": ["Kim Vale"]}),
            ],
            files=[FileRow(b"art/cover.jpg", "cover", 10, 20, 30)],
        ),
        release_row(
            "dawn",
            directory=b"A Dawn",
            title="Dawn",
            type="single",
            artists={"main": ["K. Vale"]},
            genres=["K-Pop"],
            descriptors=["warm"],
            labels=["High Tide"],
            new=True,
            tracks=[track_row("d1", artists={"main": ["K. Vale"]})],
        ),
        release_row(
            "loose",
            directory=b"C Loose",
            title="Loose",
            type="loosetrack",
            artists={"main": ["Ada Moss"]},
            genres=["techno"],
            new=True,
            tracks=[track_row("l1", artists={"main": ["Ada Moss"]})],
        ),
    )
    return msgspec.structs.replace(c, artist_aliases=(ArtistAlias("Kim Vale", ("K. Vale",)),))


def test_list_releases(library: Config) -> None:
    assert ids(list_releases(library)) == ["dawn", "night", "loose"]
    assert ids(list_releases(library, include_loose_tracks=False)) == ["dawn", "night"]
    assert ids(list_releases(library, ["night", "loose", "night", "nowhere"])) == ["night", "loose"]
    assert ids(list_releases(library, ["night", "loose"], include_loose_tracks=False)) == ["night"]
    assert list_releases(library, []) == []


def test_list_releases_takes_more_ids_than_sqlite_takes_variables(library: Config) -> None:
    with connect(library) as connection:
        most = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    asked = [f"nowhere-{number}" for number in range(most + 1)]
    assert ids(list_releases(library, [*asked, "night"])) == ["night"]


def test_list_releases_finds_nothing_by_ids_that_no_row_can_hold(library: Config) -> None:
    assert ids(list_releases(library, ["night\0", "night\0more", "\udcff", "dawn"])) == ["dawn"]
    assert get_release(library, "night\0") is None
    assert get_release(library, "\udcff") is None


def test_list_releases_of_an_empty_cache(c: Config) -> None:
    assert list_releases(c) == []


def test_get_release_and_associated_tracks(library: Config) -> None:
    release = get_release(library, "night")
    assert release is not None
    base = library.music_source_dir
    assert release == Release(
        id="night",
        source_path=base / "B Night",
        cover_image_path=base / "B Night/art/cover.jpg",
        added_at="2023-10-25T12:00:00-04:00",
        datafile_mtime=1_000,
        releasetitle="Night Drive",
        releasetype="album",
        releasedate=PartialDate(2020, 4, 9),
        originaldate=PartialDate(2019),
        compositiondate=None,
        edition="Deluxe",
        catalognumber="LT-001",
        new=False,
        disctotal=2,
        genres=("Deep House", "Techno"),
        parent_genres=release.parent_genres,
        secondary_genres=("Ambient",),
        parent_secondary_genres=release.parent_secondary_genres,
        descriptors=("warm", "nocturnal"),
        labels=("Low Tide", "Ebb"),
        releaseartists=ArtistMapping(main=(Artist("Kim Vale"),), guest=(Artist("Ada Moss"),)),
        metahash=release.metahash,
    )
    assert release.mtime == 1_000
    assert "House" in release.parent_genres
    assert "Techno" not in release.parent_genres

    tracks = get_tracks_of_release(library, release)
    assert [track.tracktitle for track in tracks] == ["Road", "Rain", "Home"]
    assert [track.tracktotal for track in tracks] == [2, 2, 1]
    assert all(track.release is release for track in tracks)
    rain = tracks[1]
    assert (rain.id, rain.tracknumber, rain.discnumber) == ("n2", "10", "1")
    assert (rain.source_path, rain.source_size, rain.source_mtime) == (base / "B Night/n2.mp3", 5_000, 1_000)
    assert rain.duration_seconds == 180
    assert rain.trackartists == ArtistMapping(main=(Artist("Kim Vale"),), remixer=(Artist("Zed"),))


def test_get_release_that_is_not_there(library: Config) -> None:
    assert get_release(library, "nowhere") is None


def test_get_release_without_anything(c: Config) -> None:
    store(c, release_row("bare", title="", releasedate=None, artists={}, tracks=[track_row("t", artists={})]))
    release = get_release(c, "bare")
    assert release is not None
    assert (release.releasetitle, release.releasedate, release.cover_image_path) == ("", None, None)
    assert release.releaseartists == ArtistMapping()
    assert release.genres == release.parent_genres == release.descriptors == release.labels == ()
    assert get_release_logtext(c, "bare") == "Unknown Artists - Unknown Release"


def test_get_release_applies_artist_aliases(library: Config) -> None:
    c = msgspec.structs.replace(
        library,
        artist_aliases=(
            ArtistAlias("Vale Collective", ("Kim Vale",)),
            ArtistAlias("Kim Vale", ("K. Vale",)),
        ),
    )
    release = get_release(c, "dawn")
    assert release is not None
    assert release.releaseartists == ArtistMapping(
        main=(Artist("K. Vale"), Artist("Kim Vale", alias=True), Artist("Vale Collective", alias=True))
    )
    (track,) = get_tracks_of_release(c, release)
    assert track.trackartists == release.releaseartists
    without = get_release(msgspec.structs.replace(c, artist_aliases=()), "dawn")
    assert without is not None
    assert without.releaseartists == ArtistMapping(main=(Artist("K. Vale"),))


def test_metahash_and_mtime_change_with_what_is_shown(c: Config) -> None:
    store(c, release_row("r", tracks=[track_row("t", title="Old")]))
    before = get_release(c, "r")
    store(c, release_row("r", tracks=[track_row("t", title="New")]))
    after = get_release(c, "r")
    assert before is not None
    assert after is not None
    assert before.metahash != after.metahash
    assert before.mtime < after.mtime


def test_paths_are_the_bytes_of_the_disk(c: Config) -> None:
    directory = "Café [1] ".encode() + b"\xff"
    store(c, release_row("r", directory=directory, tracks=[track_row("t", path=b"Disc \xfe/\n01.mp3")]))
    release = get_release(c, "r")
    assert release is not None
    assert os.fsencode(release.source_path) == os.fsencode(c.music_source_dir) + b"/" + directory
    (track,) = get_tracks_of_release(c, release)
    assert track.source_path == Path(os.fsdecode(os.fsencode(release.source_path) + b"/Disc \xfe/\n01.mp3"))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["dawn", "night", "loose"]),
        ({"release_artist_filter": "Ada Moss"}, ["night", "loose"]),
        ({"release_artist_filter": "Kim Vale"}, ["dawn", "night"]),  # K. Vale is an alias of hers
        ({"release_artist_filter": "K. Vale"}, ["dawn"]),  # and not the other way round
        ({"release_artist_filter": "Zed"}, []),
        ({"release_artist_filter": "kim vale"}, []),
        ({"release_artist_filter": "Ada Moss\0"}, []),
        ({"all_artist_filter": "Zed"}, ["night"]),
        ({"all_artist_filter": "Kim Vale"}, ["dawn", "night"]),
        ({"genre_filter": "Deep House"}, ["night"]),
        ({"genre_filter": "House"}, ["night"]),
        ({"genre_filter": "house"}, ["night"]),
        ({"genre_filter": "Ambient"}, ["night"]),
        ({"genre_filter": "Techno"}, ["night"]),  # the value itself is compared exactly
        ({"genre_filter": "techno"}, ["loose"]),
        ({"genre_filter": "Electronic"}, ["night", "loose"]),  # children are found however they are written
        ({"genre_filter": "Pop"}, ["dawn"]),
        ({"genre_filter": "Blues"}, []),
        ({"descriptor_filter": "warm"}, ["dawn", "night"]),
        ({"descriptor_filter": "nocturnal"}, ["night"]),
        ({"label_filter": "High Tide"}, ["dawn"]),
        ({"label_filter": "warm"}, []),
        ({"release_type_filter": "single"}, ["dawn"]),
        ({"new": True}, ["dawn", "loose"]),
        ({"new": False}, ["night"]),
        ({"new": True, "include_loose_tracks": False}, ["dawn"]),
        ({"descriptor_filter": "warm", "new": False}, ["night"]),
        ({"descriptor_filter": "warm", "genre_filter": "Blues"}, []),
        ({"release_artist_filter": "", "genre_filter": None}, []),
        ({"label_filter": "\udcff"}, []),
    ],
)
def test_filter_releases(library: Config, wanted: dict[str, Any], found: list[str]) -> None:
    assert ids(filter_releases(library, **wanted)) == found


def test_filter_releases_follows_genres_that_come_later(library: Config) -> None:
    assert ids(filter_releases(library, genre_filter="Blues")) == []
    store(library, release_row("blue", directory=b"D", genres=["delta blues"], tracks=[track_row("b1")]))
    assert ids(filter_releases(library, genre_filter="Blues")) == ["blue"]


def test_get_release_logtext(library: Config) -> None:
    assert get_release_logtext(library, "night") == "Kim Vale (feat. Ada Moss) - 2019. Night Drive"
    assert get_release_logtext(library, "dawn") == "K. Vale - 2020. Dawn"
    assert get_release_logtext(library, "nowhere") is None


def test_no_query_leaves_a_read_transaction_open(library: Config) -> None:
    list_releases(library)
    get_release(library, "night")
    with connect(library) as connection:
        assert not connection.in_transaction
        # A checkpoint that empties the log has to wait for every reader.
        assert tuple(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()) == (0, 0, 0)
