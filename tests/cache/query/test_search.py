"""Substring search over releases and tracks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.config import ArtistAlias, Config
from rosecache.database import connect
from rosecache.search import RELEASE_FIELDS, TRACK_FIELDS, search_releases, search_tracks
from rosecache.update.rows import ReleaseRow, TrackRow
from tests.support.rows import release_row, remove, store, track_row


def found_releases(c: Config, pattern: str, *fields: str, ignore_case: bool = True) -> list[str]:
    found = search_releases(c, pattern, fields=fields or None, ignore_case=ignore_case)
    return [release.id for release in found]


def found_tracks(c: Config, pattern: str, *fields: str, ignore_case: bool = True) -> list[str]:
    found = search_tracks(c, pattern, fields=fields or None, ignore_case=ignore_case)
    return [track.id for track in found]


@pytest.fixture
def library(c: Config) -> Config:
    store(
        c,
        release_row(
            "a",
            title='Say "Yes" 100%*',
            releasedate="2020-04-09",
            originaldate="1987",
            compositiondate="1788",
            edition="Deluxe",
            catalognumber="LT-001",
            artists={"main": ["Sigur Rós"], "producer": ["Zed"]},
            genres=["Post-Rock"],
            secondary_genres=["Ambient"],
            descriptors=["melancholic"],
            labels=["Ebb"],
            tracks=[
                track_row("a1", "1", title="Ísjaki", artists={"main": ["Sigur Rós"]}),
                track_row("a2", "B7", "Side", title="Æ", artists={"main": ["Amiina"]}),
            ],
        ),
        release_row("b", title="Straße 東京事変", type="ep", tracks=[track_row("b1", title="群青日和")]),
    )
    return c


@pytest.mark.parametrize(
    ("pattern", "field", "found"),
    [
        ("yes", "releasetitle", ["a"]),
        ('"yes"', "releasetitle", ["a"]),
        ("100%", "releasetitle", ["a"]),
        ("100%*", "releasetitle", ["a"]),
        ("SIGUR RÓS", "releaseartist", ["a"]),
        ("zed", "releaseartist", ["a"]),
        ("ep", "releasetype", ["b"]),
        ("2020", "releasedate", ["a", "b"]),
        ("2020-04", "releasedate", ["a"]),
        ("198", "originaldate", ["a"]),
        ("1788", "compositiondate", ["a"]),
        ("t-r", "genre", ["a"]),
        ("ambient", "secondarygenre", ["a"]),
        ("chol", "descriptor", ["a"]),
        ("EBB", "label", ["a"]),
        ("lt-0", "catalognumber", ["a"]),
        ("luxe", "edition", ["a"]),
        ("東京事", "releasetitle", ["b"]),
        ("東", "releasetitle", ["b"]),
        ("straße", "releasetitle", ["b"]),
        ("STRAẞE", "releasetitle", ["b"]),
        ("strasse", "releasetitle", []),
    ],
)
def test_search_releases_by_each_field(library: Config, pattern: str, field: str, found: list[str]) -> None:
    assert found_releases(library, pattern, field) == found
    assert set(found_releases(library, pattern)) >= set(found)
    others = RELEASE_FIELDS.keys() - {field, "releasedate"}
    if pattern not in ("ep", "198"):  # short ones are elsewhere, too
        assert found_releases(library, pattern, *others) == []


@pytest.mark.parametrize(
    ("pattern", "fields", "found"),
    [
        ("ÍSJAKI", ["tracktitle"], ["a1"]),
        ("æ", ["tracktitle"], ["a2"]),
        ("amiina", ["trackartist"], ["a2"]),
        ("amiina", ["releaseartist"], []),
        ("b7", ["tracknumber"], ["a2"]),
        ("side", ["discnumber"], ["a2"]),
        ("青日和", ["tracktitle"], ["b1"]),
        ("sigur", [], ["a1", "a2"]),
        ("sigur", ["trackartist"], ["a1"]),
        ("lt-001", [], ["a1", "a2"]),
        ("lt-001", ["tracktitle", "catalognumber"], ["a1", "a2"]),
    ],
)
def test_search_tracks_by_fields_of_theirs_and_their_release(
    library: Config, pattern: str, fields: list[str], found: list[str]
) -> None:
    assert found_tracks(library, pattern, *fields) == found


def test_search_can_mind_case(library: Config) -> None:
    assert found_releases(library, "Rós", ignore_case=False) == ["a"]
    assert found_releases(library, "rós", ignore_case=False) == []
    assert found_tracks(library, "Æ", ignore_case=False) == ["a2"]
    assert found_tracks(library, "æ", ignore_case=False) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "%",
        "%%%",
        "***",
        '"""',
        "NOT yes",
        "yes OR no",
        "text:yes",
        "a\0b",
        "\0",
        "Yes\0",
        "\udcff\udcff\udcff",
    ],
)
def test_every_character_of_a_pattern_stands_for_itself(library: Config, pattern: str) -> None:
    assert found_releases(library, pattern) == (["a"] if pattern == "%" else [])
    assert found_tracks(library, pattern) == (["a1", "a2"] if pattern == "%" else [])


def test_a_match_lies_within_one_field(library: Config) -> None:
    with connect(library) as connection:
        ((text,),) = connection.execute("SELECT text FROM releases_text WHERE text LIKE 'Say%'").fetchall()
    assert found_releases(library, text[:20]) == []  # the title and, after a line break, the type


def test_trigrams_alone_are_no_match(c: Config) -> None:
    store(c, release_row("r", title="abcd xbcde", tracks=[track_row("t")]))
    assert found_releases(c, "abcde") == []
    assert found_releases(c, "xbcde") == ["r"]


def test_a_very_long_pattern(c: Config) -> None:
    title = "".join(f"{number:x} " for number in range(2_000))
    store(c, release_row("r", title=title, tracks=[track_row("t")]))
    assert found_releases(c, title[5:]) == ["r"]
    assert found_releases(c, title[5:] + "!") == []


def test_search_follows_updates(library: Config) -> None:
    store(library, release_row("a", title="Other", tracks=[track_row("a1", title="Changed")]))
    assert found_releases(library, "Say") == []
    assert found_tracks(library, "chang") == ["a1"]
    assert found_tracks(library, "amiina") == []
    remove(library, "a")
    assert found_tracks(library, "chang") == []


def test_search_finds_no_aliases_and_no_parent_genres(library: Config) -> None:
    c = msgspec.structs.replace(library, artist_aliases=(ArtistAlias("Collective", ("Sigur Rós",)),))
    assert found_releases(c, "collective") == []
    assert found_releases(c, "Sigur") == ["a"]
    named = msgspec.structs.replace(library, artist_aliases=(ArtistAlias("Deluxe", ("Sigur Rós",)),))
    assert found_releases(named, "Deluxe", "edition") == ["a"]
    assert found_releases(named, "Deluxe", "releaseartist") == []


def test_case_that_sqlite_does_not_know_makes_no_difference(c: Config) -> None:
    # Cherokee got its small letters, and Georgian its capitals, after SQLite's table of case was made.
    store(c, release_row("r", title="ᎠᎡᎢᎣ", edition="აბგდ", tracks=[track_row("t")]))
    for pattern in ("ᎠᎡᎢᎣ", "ꭰꭱꭲꭳ", "ꭰᎡꭲ", "ᲐᲑᲒᲓ", "აბგ"):
        assert found_releases(c, pattern) == ["r"]


def test_an_unknown_field_is_an_error(library: Config) -> None:
    with pytest.raises(ValueError, match=r"no such fields: colour, tracktitle; expected some of .*genre"):
        search_releases(library, "x", fields=["tracktitle", "colour", "genre"])


# What search finds is what looking through all fields finds ------------------------------------------------

# Few letters, so that patterns do occur; among them pairs whose case SQLite, Python and Unicode see differently.
LETTERS = "aAbB kKKsSſßẞiIİıσΣςéÉåÅÅǅǆǄꭰᎠა Ა\"%*'\n🎵"
WORDS = st.text(st.sampled_from(LETTERS), min_size=1, max_size=8).map(str.strip).filter(bool)


def fold(text: str) -> str:
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in text)


def texts_of_release(row: ReleaseRow) -> list[str]:
    tags = row.tags
    facets = [value for values in tags.facets.values() for value in values]
    return [tags.title, tags.type, *(name for _, name in tags.artists), *facets]


def texts_of_track(row: TrackRow) -> list[str]:
    return [row.title, row.tracknumber, row.discnumber, *(name for _, name in row.artists)]


@st.composite
def libraries(draw: st.DrawFn) -> list[ReleaseRow]:
    return [
        release_row(
            f"r{number}",
            title=draw(WORDS),
            releasedate=None,
            artists={"main": [draw(WORDS)]},
            genres=draw(st.lists(WORDS, max_size=2, unique=True)),
            tracks=[
                track_row(f"t{number}-{position}", title=draw(WORDS), artists={"guest": [draw(WORDS)]})
                for position in range(draw(st.integers(0, 2)))
            ],
        )
        for number in range(draw(st.integers(1, 3)))
    ]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for the caches of all examples of the property, since they cannot have a fixture each."""
    directory = tmp_path_factory.mktemp("search")
    yield directory
    shutil.rmtree(directory)


@given(libraries(), WORDS | st.text(max_size=4), st.booleans())
def test_search_finds_what_a_scan_finds(
    empty: Path, rows: list[ReleaseRow], pattern: str, ignore_case: bool
) -> None:
    c = Config(music_source_dir=empty / "source", cache_dir=empty / "cache")
    with connect(c) as connection:
        present = [release_id for (release_id,) in connection.execute("SELECT id FROM releases").fetchall()]
    for release_id in present:
        remove(c, release_id)
    store(c, *rows)

    def matches(texts: list[str]) -> bool:
        return any(fold(pattern) in fold(text) if ignore_case else pattern in text for text in texts)

    assert found_releases(c, pattern, ignore_case=ignore_case) == [
        row.id for row in rows if matches(texts_of_release(row))
    ]
    assert sorted(found_tracks(c, pattern, ignore_case=ignore_case)) == [
        track.id
        for row in rows
        for track in row.tracks
        if matches(texts_of_release(row) + texts_of_track(track))
    ]


def test_every_release_field_is_a_track_field_too() -> None:
    assert RELEASE_FIELDS.keys() < TRACK_FIELDS.keys()
