"""What matchers find in a library: the same as trying every track, and without reading every track."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.config import ArtistAlias, Config
from rosecache.database import connect
from rosecache.field_search import FIELDS
from rosecache.model import RELEASE_TYPES, ROLES, Release, Track
from rosecache.query.releases import list_releases
from rosecache.query.tracks import get_tracks_of_release, list_tracks
from rosecache.update.rows import ReleaseRow
from rosefs.rules.matching import find_releases, find_tracks, release_ids_of, track_ids_of
from rosefs.rules.model import ALIASES, TAGS, Matcher, Pattern, Tag
from rosefs.rules.values import matches_track, values_of_release, values_of_track
from tests.support.rows import release_row, remove, store, track_row


def matcher(tags: str, text: str = "", *, start: bool = False, end: bool = False, i: bool = False) -> Matcher:
    names = [name for tag in tags.split(",") for name in ALIASES.get(tag, (tag,))]
    return Matcher(tuple(names), Pattern(text, at_start=start, at_end=end, ignore_case=i))


def found_tracks(c: Config, *matchers: Matcher) -> list[str]:
    """Returns the tracks that the first matches, and none of the others."""
    return [track.id for track in find_tracks(c, matchers[0], matchers[1:])]


def found_releases(c: Config, *matchers: Matcher) -> list[str]:
    return [release.id for release in find_releases(c, matchers[0], matchers[1:])]


@pytest.fixture
def library(c: Config) -> Config:
    store(
        c,
        release_row(
            "a", title="Straße", genres=["Deep House"], new=True, edition="Deluxe",
            tracks=[
                track_row("a10", "10", title="Last", artists={"main": ["Nina Simone"], "guest": ["Kim Lip"]}),
                track_row("a2", "2", title="Two [Live]", artists={"main": ["Kim Lip"]}),
            ],
        ),
        release_row("b", title="STRASSE", tracks=[track_row("b1", title="", artists={"guest": ["Nina Hagen"]})]),
    )  # fmt: skip
    return c


@pytest.mark.parametrize(
    ("wanted", "tracks", "releases"),
    [
        (matcher("tracktitle", "Two"), ["a2"], ["a"]),
        (matcher("tracktitle", "two"), [], []),
        (matcher("tracktitle", "two", i=True), ["a2"], ["a"]),
        (matcher("tracktitle", "[", i=True), ["a2"], ["a"]),
        (matcher("tracktitle", "Live", start=True), [], []),
        (matcher("tracktitle", "Live]", end=True), ["a2"], ["a"]),
        (matcher("tracktitle", "Last", start=True, end=True), ["a10"], ["a"]),
        (matcher("tracktitle", "", start=True, end=True), ["b1"], ["b"]),
        (matcher("trackartist[main]", "Nina"), ["a10"], ["a"]),
        (matcher("trackartist", "Nina"), ["a10", "b1"], ["a", "b"]),
        (matcher("releasetitle", "straße", i=True), ["a2", "a10"], ["a"]),
        (matcher("releasetitle", "strasse", i=True), ["b1"], ["b"]),
        (matcher("genre,parentgenre", "House", start=True, end=True), ["a2", "a10"], ["a"]),
        (matcher("genre", "", start=True, end=True), ["b1"], ["b"]),
        (matcher("tracktotal", "2"), ["a2", "a10"], ["a"]),
        (matcher("new", "false"), ["b1"], ["b"]),
        (matcher("edition"), ["a2", "a10", "b1"], ["a", "b"]),
    ],
    ids=str,
)
def test_matchers_find_tracks_and_their_releases(
    library: Config, wanted: Matcher, tracks: list[str], releases: list[str]
) -> None:
    assert found_tracks(library, wanted) == tracks
    assert found_releases(library, wanted) == releases
    everything = list_tracks(library)
    assert tracks == [track.id for track in everything if matches_track(wanted, values_of_track(track))]


def test_what_is_ignored_is_left_out(library: Config) -> None:
    everything = matcher("releasetitle")
    assert found_tracks(library, everything, matcher("tracktitle", "Two")) == ["a10", "b1"]
    assert found_tracks(library, everything, matcher("tracktitle", "Two"), matcher("new", "true")) == ["b1"]
    # A release goes as a whole, when one of its tracks does.
    assert found_releases(library, everything, matcher("tracktitle", "Two")) == ["b"]


def test_the_engine_has_a_field_for_every_tag() -> None:
    assert set(FIELDS) == set(TAGS)


# What is found is what trying every track finds ------------------------------------------------------------

# Few letters, so that patterns do occur: among them some whose case is seen differently by SQLite, Python and Unicode,
# a combining character, and what means something to SQL, to full-text searches or to patterns of file names.
LETTERS = "aAbBsS ßẞſiIİıKkéÉ\u0301σΣς🎵\0\n\"'%_*?[]^$:;/\\"
TEXTS = st.text(st.sampled_from(LETTERS), max_size=6) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=4
)
VALUES = TEXTS.map(lambda text: unicodedata.normalize("NFC", text).strip())
SOME = VALUES.filter(bool)
GENRES = (
    st.sampled_from(["House", "Deep House", "deep house", "Bebop", "Jazz", "Drone", "Experimental"]) | SOME
)
DATES = st.sampled_from([None, "1959", "2020-04-09"])
ARTISTS = st.dictionaries(
    st.sampled_from(ROLES), st.lists(SOME | st.just("Kim Lip"), max_size=2, unique=True), max_size=3
)


def lists_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, max_size=3, unique=True)


@st.composite
def libraries(draw: st.DrawFn) -> list[ReleaseRow]:
    return [
        release_row(
            f"r{number}",
            title=draw(VALUES),
            type=draw(st.sampled_from(RELEASE_TYPES)),
            releasedate=draw(DATES),
            originaldate=draw(DATES),
            compositiondate=draw(DATES),
            edition=draw(st.none() | SOME),
            catalognumber=draw(st.none() | SOME),
            artists=draw(ARTISTS),
            genres=draw(lists_of(GENRES)),
            secondary_genres=draw(lists_of(GENRES)),
            descriptors=draw(lists_of(SOME)),
            labels=draw(lists_of(SOME)),
            new=draw(st.booleans()),
            tracks=[
                track_row(
                    f"t{number}-{position}",
                    draw(st.sampled_from(["", "1", "2", "10", "B1"])),
                    draw(st.sampled_from(["", "1", "2"])),
                    title=draw(VALUES),
                    artists=draw(ARTISTS),
                )
                for position in range(draw(st.integers(0, 3)))
            ],
        )
        for number in range(draw(st.integers(1, 3)))
    ]  # fmt: skip


@st.composite
def matchers(draw: st.DrawFn, present: Sequence[str]) -> Matcher:
    """Draws a matcher, often of a part of a text that is there."""
    tags: list[Tag] = draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=4, unique=True))
    text = draw(VALUES | st.sampled_from(present) | st.just(""))
    start, end = draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))
    text = draw(st.sampled_from([text, text[start:end], text.upper(), text.lower()]))
    flags = [draw(st.booleans()) for _ in range(3)]
    return Matcher(tuple(tags), Pattern(text, *flags))


def texts_in(rows: Sequence[ReleaseRow]) -> list[str]:
    found = {"album", "true", "1", "House"}
    for row in rows:
        found |= {row.tags.title, row.tags.edition or "", *(name for _, name in row.tags.artists)}
        found |= {value for values in row.tags.facets.values() for value in values}
        for track in row.tracks:
            found |= {track.title, *(name for _, name in track.artists)}
    return sorted(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for the cache of all examples of the property, since they cannot have a fixture each."""
    directory = tmp_path_factory.mktemp("matching")
    yield directory
    shutil.rmtree(directory)


@given(st.data())
def test_what_is_found_is_what_trying_every_track_finds(place: Path, data: st.DataObject) -> None:
    aliases = (ArtistAlias("aA", ("Kim Lip",)),)
    c = Config(music_source_dir=place / "source", cache_dir=place / "cache", artist_aliases=aliases)
    for release in list_releases(c):
        remove(c, release.id)
    rows = data.draw(libraries())
    store(c, *rows)
    wanted = data.draw(matchers(texts_in(rows)))
    ignored = data.draw(st.lists(matchers(texts_in(rows)), max_size=1))

    def of_track(matcher: Matcher, track: Track) -> bool:
        return matches_track(matcher, values_of_track(track))

    def of_release(matcher: Matcher, release: Release) -> bool:
        tracks = get_tracks_of_release(c, release)
        own = matches_track(matcher, values_of_release(release))
        return own or any(of_track(matcher, track) for track in tracks)

    tracks = [
        track
        for track in list_tracks(c)
        if of_track(wanted, track) and not any(of_track(matcher, track) for matcher in ignored)
    ]
    releases = [
        release
        for release in list_releases(c)
        if of_release(wanted, release) and not any(of_release(matcher, release) for matcher in ignored)
    ]
    assert find_tracks(c, wanted, ignored) == tracks
    assert find_releases(c, wanted, ignored) == releases
    assert track_ids_of(c, wanted, ignored) == {track.id for track in tracks}
    assert release_ids_of(c, wanted, ignored) == {release.id for release in releases}


# Costs --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A library of 300 tracks, of which one has no title, and one another title than all the others."""
    directory = tmp_path_factory.mktemp("large")
    c = Config(music_source_dir=directory / "source", cache_dir=directory / "cache")
    store(
        c,
        *(
            release_row(
                f"r{number}",
                genres=["Bebop"] if number == 7 else ["Deep House"],
                tracks=[
                    track_row(f"r{number} t{track}", str(track), title=_title(number, track))
                    for track in range(3)
                ],
            )
            for number in range(100)
        ),
    )
    return c


def _title(number: int, track: int) -> str:
    if track == 0:
        return {7: "", 8: "Special"}.get(number, "Track")
    return "Track"


@pytest.mark.parametrize(
    ("wanted", "tracks", "releases"),
    [
        (matcher("tracktitle", "Special"), 1, 1),
        (matcher("tracktitle", "sp", i=True), 1, 1),
        (matcher("tracktitle", "", start=True, end=True), 1, 1),
        (matcher("genre", "Bebop"), 3, 1),
        (matcher("parentgenre", "Jazz", end=True), 3, 1),
        (matcher("discnumber", "9"), 0, 0),
        (Matcher(TAGS, Pattern("nowhere", ignore_case=True)), 0, 0),
    ],
    ids=str,
)
def test_only_what_matches_is_read(
    large: Config, read: dict[type, int], wanted: Matcher, tracks: int, releases: int
) -> None:
    assert len(find_tracks(large, wanted)) == tracks
    assert read == {Track: tracks, Release: releases}
    assert len(find_releases(large, wanted)) == releases
    assert read == {Track: tracks, Release: 2 * releases}


def test_ids_are_found_without_reading_anything(large: Config, read: dict[type, int]) -> None:
    assert len(track_ids_of(large, matcher("tracktitle"))) == 300
    assert len(release_ids_of(large, matcher("artist"))) == 100
    assert read == {Track: 0, Release: 0}
    assert len(list_tracks(large)) == read[Track] == 300  # what the test counts by does count


def _statements(c: Config, wanted: Matcher) -> int:
    """Returns how many statements finding tracks runs; there are some to be found."""
    statements: list[str] = []
    with connect(c) as connection:
        connection.set_trace_callback(statements.append)
        try:
            assert find_tracks(c, wanted)
        finally:
            connection.set_trace_callback(None)
    return len(statements)


def test_the_number_of_queries_does_not_grow_with_the_library(large: Config, library: Config) -> None:
    everything = Matcher(TAGS, Pattern("a", ignore_case=True))
    assert _statements(library, everything) == _statements(large, everything)


def test_of_a_pattern_that_is_in_every_value_one_tag_is_looked_at(library: Config) -> None:
    assert _statements(library, Matcher(TAGS, Pattern(""))) == _statements(library, matcher("disctotal"))
    assert _statements(library, Matcher(TAGS, Pattern("a"))) > _statements(library, matcher("disctotal"))
