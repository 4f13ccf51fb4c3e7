"""The grammar of the artist field."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.model import ROLES, Artist, ArtistMapping
from rosecache.tags import format_artist_field, parse_artist_field

MARKERS = r"\b(?:feat\.|pres\.|under\.|by)|;|/|\\|vs\."
NAMES = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12)
    .map(lambda name: unicodedata.normalize("NFC", name).strip())  # as all texts are read
    .filter(lambda name: name and not re.search(MARKERS, name))
)
PHRASES = st.lists(NAMES, min_size=1, max_size=3).map(" ".join)
MAPPINGS = st.fixed_dictionaries(
    {
        role: st.lists(PHRASES, unique=True, max_size=3).map(lambda names: tuple(map(Artist, names)))
        for role in ROLES
    }
).map(lambda roles: ArtistMapping(**roles))


def mapping(**roles: str) -> ArtistMapping:
    return ArtistMapping(**{role: tuple(map(Artist, names.split("|"))) for role, names in roles.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", mapping(main="A")),
        ("A;B", mapping(main="A|B")),
        ("A feat. B", mapping(main="A", guest="B")),
        ("A;B feat. C;D", mapping(main="A|B", guest="C|D")),
        ("C performed by A", mapping(composer="C", main="A")),
        ("D pres. A", mapping(djmixer="D", main="A")),
        ("A under. L", mapping(main="A", conductor="L")),
        ("A remixed by R", mapping(main="A", remixer="R")),
        ("A produced by P", mapping(main="A", producer="P")),
        (
            "C;E performed by D pres. A under. L feat. G remixed by R produced by P;Q",
            mapping(
                composer="C|E", djmixer="D", main="A", conductor="L", guest="G", remixer="R", producer="P|Q"
            ),
        ),
    ],
)
def test_one_text_holds_every_role(text: str, expected: ArtistMapping) -> None:
    assert parse_artist_field(text) == expected
    assert format_artist_field(expected) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ArtistMapping()),
        ("", ArtistMapping()),
        ("  ", ArtistMapping()),
        ("A / B vs. C \\\\ D; E", mapping(main="A|B|C|D|E")),
        ("A;A feat. B;B", mapping(main="A", guest="B")),
        ("A remixed by R feat. G", mapping(main="A", remixer="R", guest="G")),
        ("feat. G", mapping(guest="G")),
        ("D pres.", mapping(djmixer="D")),
        ("Defeat. of", mapping(main="Defeat. of")),
        ("A  feat.  B", mapping(main="A", guest="B")),
    ],
)
def test_reading_forgives(text: str | None, expected: ArtistMapping) -> None:
    found = parse_artist_field(text)
    assert {role: artists for role, artists in found.items() if artists != (Artist(""),)} == dict(
        expected.items()
    )


def test_aliases_are_never_written() -> None:
    artists = ArtistMapping(
        main=(Artist("A"), Artist("Alias", alias=True)), guest=(Artist("Other", alias=True),)
    )
    assert format_artist_field(artists) == "A"


@given(MAPPINGS)
def test_what_is_written_is_read_back(artists: ArtistMapping) -> None:
    assert parse_artist_field(format_artist_field(artists)) == artists


@given(st.text())
def test_any_text_can_be_read_and_written(text: str) -> None:
    written = format_artist_field(parse_artist_field(text))
    assert format_artist_field(parse_artist_field(written)) == written
