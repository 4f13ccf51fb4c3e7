"""Finding releases and tracks by tests of single values, and how many values have to be tested for it."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.field_search import FIELDS, ValueTest, release_ids_with, track_ids_with
from rosecache.search import RELEASE_FIELDS, TRACK_FIELDS
from tests.support.rows import release_row, store, track_row
from tests.support.sql_steps import count_steps


def equal(text: str) -> ValueTest:
    return ValueTest(lambda value: value == text, text)


def anything(*, holds: str = "") -> ValueTest:
    return ValueTest(lambda _: True, holds)


@pytest.fixture
def library(c: Config) -> Config:
    """One release that has everything, in two tracks on two discs, and one that has next to nothing."""
    store(
        c,
        release_row(
            "full",
            title="Full Title",
            type="ep",
            releasedate="2020-04-09",
            originaldate="1987",
            compositiondate="1788",
            edition="Deluxe",
            catalognumber="LT-001",
            artists={"main": ["Sigur Rós", "Amiina"], "producer": ["Zed"]},
            genres=["Deep House", "Bebop"],
            secondary_genres=["Drone"],
            descriptors=["warm"],
            labels=["Ebb"],
            new=True,
            tracks=[
                track_row("full1", "01", title="Ísjaki", artists={"main": ["Nina"], "guest": ["Kim"]}),
                track_row("full2", "B7", title="Æther", artists={"composer": ["Bach"]}),
                track_row("full3", "1", "Side", title="Last", artists={"main": ["Nina"]}),
            ],
        ),
        release_row(
            "bare", title="", releasedate=None, artists={}, tracks=[track_row("bare1", "", "", title="", artists={})]
        ),
    )  # fmt: skip
    return c


@pytest.mark.parametrize(
    ("field", "value", "releases", "tracks"),
    [
        ("tracktitle", "Ísjaki", ["full"], ["full1"]),
        ("tracknumber", "B7", ["full"], ["full2"]),
        ("discnumber", "Side", ["full"], ["full3"]),
        ("tracktotal", "2", ["full"], ["full1", "full2"]),
        ("tracktotal", "1", ["bare", "full"], ["bare1", "full3"]),
        ("trackartist[main]", "Nina", ["full"], ["full1", "full3"]),
        ("trackartist[guest]", "Kim", ["full"], ["full1"]),
        ("trackartist[guest]", "Nina", [], []),
        ("trackartist[composer]", "Bach", ["full"], ["full2"]),
        ("trackartist[main]", "Amiina", [], []),
        ("disctotal", "2", ["full"], ["full1", "full2", "full3"]),
        ("releaseartist[main]", "Amiina", ["full"], ["full1", "full2", "full3"]),
        ("releaseartist[main]", "Zed", [], []),
        ("releaseartist[producer]", "Zed", ["full"], ["full1", "full2", "full3"]),
        ("releasetitle", "Full Title", ["full"], ["full1", "full2", "full3"]),
        ("releasetype", "ep", ["full"], ["full1", "full2", "full3"]),
        ("releasetype", "album", ["bare"], ["bare1"]),
        ("releasedate", "2020-04-09", ["full"], ["full1", "full2", "full3"]),
        ("originaldate", "1987", ["full"], ["full1", "full2", "full3"]),
        ("compositiondate", "1788", ["full"], ["full1", "full2", "full3"]),
        ("edition", "Deluxe", ["full"], ["full1", "full2", "full3"]),
        ("catalognumber", "LT-001", ["full"], ["full1", "full2", "full3"]),
        ("genre", "Bebop", ["full"], ["full1", "full2", "full3"]),
        ("genre", "Drone", [], []),
        ("parentgenre", "House", ["full"], ["full1", "full2", "full3"]),
        ("parentgenre", "Bebop", [], []),
        ("secondarygenre", "Drone", ["full"], ["full1", "full2", "full3"]),
        ("parentsecondarygenre", "Experimental", ["full"], ["full1", "full2", "full3"]),
        ("parentsecondarygenre", "House", [], []),
        ("descriptor", "warm", ["full"], ["full1", "full2", "full3"]),
        ("label", "Ebb", ["full"], ["full1", "full2", "full3"]),
        ("new", "true", ["full"], ["full1", "full2", "full3"]),
        ("new", "false", ["bare"], ["bare1"]),
    ],
)
def test_each_field_is_searched(
    library: Config, field: str, value: str, releases: list[str], tracks: list[str]
) -> None:
    assert sorted(release_ids_with(library, [field], equal(value))) == releases
    assert sorted(track_ids_with(library, [field], equal(value))) == tracks


ALWAYS_THERE = {"tracktotal", "disctotal", "releasetype", "new"}


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in ALWAYS_THERE])
def test_a_field_without_values_is_one_empty_text(library: Config, field: str) -> None:
    assert "bare" in release_ids_with(library, [field], equal(""))
    assert "bare1" in track_ids_with(library, [field], equal(""))


def test_a_value_in_any_field_will_do(library: Config) -> None:
    roles = ["trackartist[guest]", "trackartist[composer]"]
    assert track_ids_with(library, roles, ValueTest(lambda value: value in ("Kim", "Bach"))) == {
        "full1",
        "full2",
    }
    assert track_ids_with(library, ["edition", "tracktitle"], equal("Last")) == {"full3"}
    # Each has one of the roles at most, so none has a value in both.
    assert track_ids_with(library, roles, equal("")) == {"bare1", "full1", "full2", "full3"}
    assert track_ids_with(library, FIELDS, anything()) == {"bare1", "full1", "full2", "full3"}
    assert release_ids_with(library, FIELDS, anything()) == {"bare", "full"}
    assert track_ids_with(library, [], anything()) == set()


def test_a_parent_genre_that_is_a_genre_of_the_release_too_is_no_parent(c: Config) -> None:
    store(c, release_row("r", genres=["Deep House", "house"], tracks=[track_row("t")]))
    assert release_ids_with(c, ["parentgenre"], equal("House")) == set()
    assert release_ids_with(c, ["parentgenre"], equal("Electronic Dance Music")) == {"r"}


def test_a_parent_genre_is_found_by_way_of_each_of_its_children(c: Config) -> None:
    for genre in ("Deep House", "Acid House", "Cool Jazz"):
        store(c, release_row(genre, genres=[genre], tracks=[track_row(f"{genre} track")]))
    assert release_ids_with(c, ["parentgenre"], equal("House")) == {"Deep House", "Acid House"}
    assert release_ids_with(c, ["parentgenre"], ValueTest(lambda value: value in ("House", "Jazz"))) == {
        "Deep House",
        "Acid House",
        "Cool Jazz",
    }


def test_aliases_are_not_searched(library: Config) -> None:
    c = msgspec.structs.replace(library, artist_aliases=(ArtistAlias("Collective", ("Nina", "Sigur Rós")),))
    artists = [field for field in FIELDS if "artist[" in field]
    assert track_ids_with(c, artists, equal("Collective")) == set()


def test_values_may_hold_anything(c: Config) -> None:
    for text in ("a\0b", "\0", 'say "yes"', "100%_*?[a]", "🎵", "two\nlines"):
        artists = {"main": [text]}
        row = release_row(
            "r", title=text, edition=text, genres=[text], artists=artists,
            tracks=[track_row("t", title=text, artists=artists)],
        )  # fmt: skip
        store(c, row)
        for field in (
            "tracktitle",
            "trackartist[main]",
            "releaseartist[main]",
            "releasetitle",
            "edition",
            "genre",
        ):
            assert track_ids_with(c, [field], equal(text)) == {"t"}, (field, text)
            assert release_ids_with(c, [field], equal(text + "x")) == set()


def test_the_text_that_values_hold_may_be_there_in_another_case(c: Config) -> None:
    store(c, release_row("r", title="ÉTOILE", tracks=[track_row("t", title="Straße")]))
    assert release_ids_with(c, ["releasetitle"], anything(holds="étoile")) == set()
    assert release_ids_with(c, ["releasetitle"], ValueTest(lambda _: True, "étoile", ignore_case=True)) == {
        "r"
    }


def test_an_unknown_field_is_an_error(c: Config) -> None:
    with pytest.raises(
        ValueError, match=r"no such fields: colour, trackartist; expected some of tracktitle,"
    ):
        track_ids_with(c, ["tracktitle", "trackartist", "colour"], anything())


def test_whatever_the_full_text_search_has_can_be_searched_here() -> None:
    without_role = {field.split("[")[0] for field in FIELDS}
    assert without_role >= TRACK_FIELDS.keys() | RELEASE_FIELDS.keys()


# Costs --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[Config]:
    """A small library and one of thirty times its size, in which only one release and one track are special."""
    found = []
    for size in (5, 150):
        directory: Path = tmp_path_factory.mktemp("library")
        c = Config(music_source_dir=directory / "source", cache_dir=directory / "cache")
        store(
            c,
            release_row(
                "special", title="Special", genres=["Bebop"], tracks=[track_row("special1", title="Special")]
            ),
            *(
                release_row(
                    f"r{number}",
                    title=f"Release {number}",
                    genres=["Deep House"],
                    tracks=[track_row(f"r{number} t{track}", str(track)) for track in range(3)],
                )
                for number in range(size)
            ),
        )
        found.append(c)
    return found


def values_tried(c: Config, fields: list[str], test: ValueTest) -> Counter[str]:
    """Returns which values were put to a test, and how often each."""
    values: Counter[str] = Counter()

    def accepts(value: str) -> bool:
        values[value] += 1
        return test.accepts(value)

    track_ids_with(c, fields, ValueTest(accepts, test.holds, test.ignore_case))
    return values


def test_a_text_that_values_hold_leaves_out_all_others(libraries: list[Config]) -> None:
    for c in libraries:
        assert values_tried(c, ["tracktitle", "releasetitle"], equal("Special")) == {"Special": 2}
        assert sum(values_tried(c, ["tracktitle"], equal("")).values()) > 15  # which no index finds


def test_a_value_that_many_have_is_tested_once(libraries: list[Config]) -> None:
    fields = ["genre", "trackartist[main]", "releaseartist[main]", "parentgenre", "new", "tracktotal"]
    small, large = (values_tried(c, fields, anything()) for c in libraries)
    assert small == large
    assert small["Deep House"] == 1


@pytest.mark.parametrize("field", ["tracktitle", "genre", "secondarygenre", "label"])
def test_a_rare_value_takes_as_many_steps_in_any_library(libraries: list[Config], field: str) -> None:
    value = "Bebop" if field == "genre" else "Special"
    small, large = (count_steps(c, lambda c: track_ids_with(c, [field], equal(value))) for c in libraries)
    assert abs(large - small) <= small // 10


@pytest.mark.parametrize("field", FIELDS)
def test_no_search_takes_steps_by_the_square_of_the_library(libraries: list[Config], field: str) -> None:
    for test in (anything(), equal("")):
        small, large = (count_steps(c, partial(track_ids_with, fields=[field], test=test)) for c in libraries)
        assert large < 40 * small
