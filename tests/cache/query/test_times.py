"""When listings last changed: what their directories show as their time."""

from __future__ import annotations

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.query.facets import list_artists, list_descriptors, list_genres, list_labels
from rosecache.query.lists import list_collages, list_playlists
from rosecache.query.releases import get_release
from rosecache.query.times import list_shown_values, newest_change, newest_changes
from tests.support.rows import (
    get_row,
    release_row,
    remove,
    store,
    store_collage,
    store_over,
    store_playlist,
    track_row,
)

KINDS = ("release", "new", "loose_track", "artist", "genre", "descriptor", "label", "collage", "playlist")


@pytest.fixture
def library(c: Config) -> Config:
    store(
        c,
        release_row(
            "old",
            artists={"main": ["Kim"], "guest": ["Zed"]},
            genres=["Deep House"],
            descriptors=["warm"],
            labels=["Ebb"],
            mtime=100,
            tracks=[track_row("o")],
        ),
        release_row(
            "new",
            artists={"main": ["K."]},
            genres=["K-Pop"],
            secondary_genres=["Ambient"],
            descriptors=["warm"],
            new=True,
            mtime=200,
            tracks=[track_row("n")],
        ),
        release_row("loose", artists={}, type="loosetrack", mtime=300, tracks=[track_row("l")]),
    )
    return c


def test_newest_changes(library: Config) -> None:
    assert newest_changes(library, "artist") == {"Kim": 100, "Zed": 100, "K.": 200}
    assert newest_changes(library, "descriptor") == {"warm": 200}
    assert newest_changes(library, "label") == {"Ebb": 100}


def test_newest_changes_of_artists_count_their_aliases(library: Config) -> None:
    c = msgspec.structs.replace(
        library, artist_aliases=(ArtistAlias("Kim", ("K.",)), ArtistAlias("Duo", ("Kim",)))
    )
    assert newest_changes(c, "artist") == {"Kim": 200, "Duo": 200, "Zed": 100, "K.": 200}


def test_newest_changes_of_genres_count_their_children(library: Config) -> None:
    found = newest_changes(library, "genre")
    assert (found["Deep House"], found["House"]) == (100, 100)
    assert (found["K-Pop"], found["Pop"], found["Ambient"]) == (200, 200, 200)
    store(library, release_row("another", genres=["pop"], mtime=150, tracks=[track_row("a")]))
    assert newest_changes(library, "genre")["pop"] == 200  # it shows the children too


def list_apart(c: Config, kind: str) -> list[tuple[str, bool, int]]:
    """Returns what list_shown_values() does, by other queries."""
    newest = newest_changes(c, kind)
    existing: dict[str, list[tuple[str, bool]]] = {
        "artist": [(name, True) for name in list_artists(c)],
        "genre": [(entry.genre, entry.only_new_releases) for entry in list_genres(c)],
        "descriptor": [(entry.descriptor, entry.only_new_releases) for entry in list_descriptors(c)],
        "label": [(entry.label, entry.only_new_releases) for entry in list_labels(c)],
        "collage": [(name, False) for name in list_collages(c)],
        "playlist": [(name, False) for name in list_playlists(c)],
    }
    return [(value, only_new, newest[value]) for value, only_new in existing[kind]]


@pytest.mark.parametrize("kind", ["artist", "genre", "descriptor", "label", "collage", "playlist"])
def test_shown_values_are_those_that_exist_with_their_times(library: Config, kind: str) -> None:
    c = msgspec.structs.replace(library, artist_aliases=(ArtistAlias("Duo", ("K.", "Gone")),))
    store_collage(c, "b", "old", "gone", mtime=150)
    store_collage(c, "a", mtime=1)
    store_playlist(c, "b", "o", mtime=5, cover=(b"b.jpg", 1, 600))
    gone = release_row(
        "gone",
        artists={"main": ["Gone"]},
        genres=["house"],
        labels=["Gone"],
        mtime=400,
        tracks=[track_row("g")],
    )
    store(c, gone, release_row("another", genres=["pop"], artists={"main": ["Kim"]}, tracks=[track_row("a")]))
    remove(c, "gone")
    found = list_shown_values(c, kind)
    if kind == "artist":
        found = [(value, True, newest) for value, _, newest in found]
        assert {value: newest for value, _, newest in found}["Duo"] > 400  # lost a release, by an alias
    assert found == list_apart(c, kind) != []


def test_shown_values_that_only_new_releases_have(library: Config) -> None:
    assert [each[:2] for each in list_shown_values(library, "artist")] == [
        ("K.", True), ("Kim", False), ("Zed", False),
    ]  # fmt: skip
    assert ("warm", False, 200) in list_shown_values(library, "descriptor")


def test_newest_change_of_what_has_one_listing(library: Config) -> None:
    assert {kind: newest_change(library, kind) for kind in ("release", "new", "loose_track")} == {
        "release": 200,
        "new": 200,
        "loose_track": 300,
    }
    assert newest_change(library, "artist") == newest_change(library, "genre") == 200
    assert newest_change(library, "label") == 100


def test_a_listing_that_lost_something_is_newer(library: Config) -> None:
    before = {kind: newest_changes(library, kind) for kind in ("artist", "genre", "descriptor", "label")}
    whole = {kind: newest_change(library, kind) for kind in KINDS}
    remove(library, "new")
    after = {kind: newest_changes(library, kind) for kind in before}
    for kind, changed in (
        ("artist", {"K."}),
        ("genre", {"K-Pop", "Pop", "Ambient"}),
        ("descriptor", {"warm"}),
    ):
        assert changed <= {value for value in after[kind] if after[kind][value] > before[kind][value]}
    assert after["label"] == before["label"]
    for kind in ("release", "new", "artist", "genre", "descriptor"):
        assert newest_change(library, kind) > whole[kind]
    assert newest_change(library, "loose_track") == whole["loose_track"]


def test_no_time_goes_back_when_an_older_release_takes_the_place_of_another(library: Config) -> None:
    known = get_row(library, "new")
    before = {kind: newest_changes(library, kind) for kind in ("artist", "genre", "descriptor")}
    other = release_row(
        "other", directory=known.directory, artists={"main": ["K."]}, mtime=50, tracks=[track_row("x")]
    )
    store_over(library, known, other)
    assert get_release(library, "new") is None
    for kind, times in before.items():
        after = newest_changes(library, kind)
        assert {value for value, time in times.items() if after[value] < time} == set()
        assert {value for value, time in times.items() if after[value] > time} >= {
            "artist": {"K."}, "genre": {"K-Pop", "Ambient"}, "descriptor": {"warm"}
        }[kind]  # fmt: skip
    assert newest_change(library, "new") > 200


def test_a_retag_moves_the_time_of_the_value_that_went_away(library: Config) -> None:
    store(
        library,
        release_row("old", artists={"main": ["Kim"]}, labels=["Flow"], mtime=400, tracks=[track_row("o")]),
    )
    release = get_release(library, "old")
    assert release is not None
    assert newest_changes(library, "label") == {"Ebb": release.mtime, "Flow": release.mtime}
    assert release.mtime == 400


def test_newest_changes_of_collages_and_playlists(library: Config) -> None:
    store_collage(library, "By Member", "old", "gone", "new", mtime=150)
    store_collage(library, "By File", "old", mtime=500)
    store_collage(library, "Empty", mtime=1)
    store_playlist(library, "By Member", "l", "o", mtime=150)
    store_playlist(library, "By Cover", "o", mtime=5, cover=(b"By Cover.jpg", 1, 600))
    assert newest_changes(library, "collage") == {"By Member": 200, "By File": 500, "Empty": 1}
    assert newest_changes(library, "playlist") == {"By Member": 300, "By Cover": 600}
    assert newest_change(library, "collage") == 500
    assert newest_change(library, "playlist") == 600


def test_nothing_has_no_time(c: Config) -> None:
    assert {newest_change(c, kind) for kind in KINDS} == {0}
    assert newest_changes(c, "genre") == {}


def test_an_unknown_kind_is_an_error(c: Config) -> None:
    with pytest.raises(KeyError):
        newest_change(c, "composer")
