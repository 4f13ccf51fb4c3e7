"""What smart lists list, and in which order; and that what their limit cuts off is not read."""

from __future__ import annotations

import msgspec
import pytest

from rosecache.config import Config
from rosecache.model import Release, Track
from rosecache.update.rows import ReleaseRow
from rosefs.rules.smart import SORT_KEYS, Smart, parse_smart, releases_of, tracks_of
from rosefs.settings import SmartKind, SmartSettings
from tests.support.rows import release_row, store, track_row


def smart(kind: SmartKind, sort: str = "", *, matcher: str = "new:false", limit: int | None = None) -> Smart:
    settings = SmartSettings(name="List", kind=kind, matcher=matcher, sort=sort, limit=limit)
    return parse_smart([settings])[0]


def added(time: str, row: ReleaseRow) -> ReleaseRow:
    return msgspec.structs.replace(row, added_at=time)


@pytest.fixture
def library(c: Config) -> Config:
    """Four releases by path and by id in different orders; the last has none of what it need not have."""
    store(
        c,
        added("2020-01-01T00:30:00+02:00", release_row(
            "z", directory=b"1", title="beta", artists={"main": ["Ella"]}, releasedate="1999-12-31",
            originaldate="1950", compositiondate="1812",
            tracks=[
                track_row("t10", "10", "1", title="b", duration_seconds=100, path=b"b", artists={"main": ["Zoe"]}),
                track_row("t2", "2", "2", title="A", duration_seconds=20, path=b"a", artists={"main": ["abe"]}),
            ],
        )),
        added("2020-01-01T00:00:00+00:00", release_row(
            "y", directory=b"2", title="Alpha", artists={"main": ["duke"]}, releasedate="1999", originaldate="1960",
            compositiondate="1810", tracks=[track_row("ta", "A1", "1", title="c", duration_seconds=3, path=b"c")],
        )),
        added("2019-01-01T00:00:00", release_row(
            "x", directory=b"3", title="Gamma", artists={"main": ["Carl"]}, releasedate="2001-01-01",
            originaldate="1940", compositiondate="1811",
            tracks=[track_row("t1", "1", "10", title="d", duration_seconds=3, path=b"d")],
        )),
        added("some day", release_row(
            "w", directory=b"4", title="", artists={}, releasedate=None,
            tracks=[track_row("none", "", "", title="", duration_seconds=0, path=b"e", artists={})],
        )),
    )  # fmt: skip
    return c


@pytest.mark.parametrize(
    ("sort", "releases"),
    [
        ("", "z y x w"),
        ("added_at", "x z y w"),
        ("-added_at", "y z x w"),
        ("releasedate", "y z x w"),
        ("-releasedate", "x z y w"),
        ("originaldate", "x z y w"),
        ("compositiondate", "y x z w"),
        ("releasetitle", "y z x w"),
        ("-releasetitle", "x z y w"),
        ("artist", "x y z w"),
        ("-artist", "w z y x"),  # who has no artist is called unknown
        ("artist,-artist,releasedate", "x y z w"),
    ],
)
def test_releases_are_sorted_and_what_has_no_value_is_last(library: Config, sort: str, releases: str) -> None:
    for kind in ("collage", "search"):
        assert [release.id for release in releases_of(library, smart(kind, sort))] == releases.split()


@pytest.mark.parametrize(
    ("sort", "tracks"),
    [
        ("", "t2 t10 ta t1 none"),
        ("tracktitle", "t2 t10 ta t1 none"),
        ("-tracktitle", "t1 ta t10 t2 none"),
        ("tracknumber", "t1 t2 t10 ta none"),
        ("discnumber", "t10 ta t2 t1 none"),
        ("-discnumber,tracknumber", "t1 t2 t10 ta none"),
        ("duration", "none ta t1 t2 t10"),
        ("-duration", "t10 t2 ta t1 none"),
        ("artist", "t2 ta t1 none t10"),
        ("releasetitle,-tracknumber", "ta t10 t2 t1 none"),
        ("releasedate", "ta t2 t10 t1 none"),
        ("-added_at", "ta t2 t10 t1 none"),
    ],
)
def test_tracks_are_sorted_by_what_they_and_their_releases_have(
    library: Config, sort: str, tracks: str
) -> None:
    assert [track.id for track in tracks_of(library, smart("playlist", sort))] == tracks.split()


def test_every_key_is_one_that_can_be_sorted_by(library: Config) -> None:
    for kind, keys in SORT_KEYS.items():
        for key in keys:
            found = (
                tracks_of(library, smart(kind, key))
                if kind == "playlist"
                else releases_of(library, smart(kind, key))
            )
            assert len(found) == (5 if kind == "playlist" else 4)


def test_a_list_is_cut_off_after_it_was_sorted(library: Config) -> None:
    assert [each.id for each in releases_of(library, smart("collage", "releasetitle", limit=2))] == ["y", "z"]
    assert [each.id for each in tracks_of(library, smart("playlist", "-duration", limit=1))] == ["t10"]
    assert releases_of(library, smart("search", "artist", matcher="genre:Polka")) == []


def test_numbers_are_sorted_by_size_however_long_they_are(c: Config) -> None:
    long = "1" + 5000 * "0"
    numbers = ["10", long, "9", "0", "A", "010", "2"]
    store(
        c,
        release_row(
            "r", tracks=[track_row(f"t{number}", number, path=number.encode()[:9]) for number in numbers]
        ),
    )
    found = tracks_of(c, smart("playlist", "tracknumber"))
    assert [track.tracknumber for track in found] == ["0", "2", "9", "010", "10", long, "A"]


def test_what_is_cut_off_is_not_read(library: Config, read: dict[type, int]) -> None:
    assert len(releases_of(library, smart("collage", "artist", limit=2))) == 2
    assert read == {Release: 2, Track: 0}
    assert len(tracks_of(library, smart("playlist", "artist,-releasedate", limit=1))) == 1
    assert read == {Release: 3, Track: 1}
