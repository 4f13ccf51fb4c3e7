"""A release as text: what is written is read back, and mistakes are found with key and line."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.model import RELEASE_TYPES, ROLES, Artist, ArtistMapping, PartialDate
from rosecache.tags.fields import clean
from rosecache.tomltext import parse_toml
from rosefs.library import tomllines
from rosefs.library.errors import Mistake, ReleaseTextError
from rosefs.library.releasetext import (
    TAGGED,
    Differing,
    ReleaseText,
    Values,
    format_text,
    is_emptied,
    on_top,
    parse_text,
    without_top,
)

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(clean)
NAMES = TEXTS.filter(bool)
LISTS = st.lists(NAMES, unique=True).map(tuple)
NUMBERS = NAMES.filter(lambda text: "/" not in text)
DATES = st.none() | st.builds(PartialDate, st.integers(0, 9999)) | st.builds(
    PartialDate, st.integers(0, 9999), st.integers(1, 12), st.integers(1, 31)
)  # fmt: skip
ARTISTS = st.builds(
    ArtistMapping, **{role: LISTS.map(lambda names: tuple(map(Artist, names))) for role in ROLES}
)
RELEASES: st.SearchStrategy[Values] = st.fixed_dictionaries({
    "title": TEXTS, "new": st.booleans(), "type": st.sampled_from(RELEASE_TYPES), "releasedate": DATES,
    "originaldate": DATES, "compositiondate": DATES, "genres": LISTS, "secondary_genres": LISTS,
    "descriptors": LISTS, "labels": LISTS, "edition": TEXTS, "catalognumber": TEXTS, "artists": ARTISTS,
})  # fmt: skip
TRACKS: st.SearchStrategy[Values] = st.fixed_dictionaries(
    {"disc": NUMBERS, "number": NUMBERS, "title": TEXTS, "artists": ARTISTS}
)


@given(
    text=st.builds(ReleaseText, RELEASES, st.dictionaries(st.uuids().map(str), TRACKS, max_size=3)),
    name=st.text(),
    file=st.text(),
    note=st.text(),
    differing=st.sets(st.sampled_from(TAGGED)),
)
def test_what_is_written_is_read_back(
    text: ReleaseText, name: str, file: str, note: str, differing: set[str]
) -> None:
    files = dict.fromkeys(text.tracks, file)
    text = text.with_values({(key,): Differing() for key in differing})
    written = format_text(text, name, files)
    assert parse_text(written.encode().decode(), text.tracks, may_differ=differing) == text
    assert without_top(on_top([Mistake(note, None, note)], written)[0]) == written


TRACK = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8"
TEXT = f"""\
title = "Hash"
new = true
type = "album"
releasedate = "2018"
originaldate = ""
compositiondate = ""
genres = [
    "K-Pop",
    "Pop",
]
secondary_genres = []
descriptors = []
labels = []
edition = ""
catalognumber = ""
artists = [
    {{ name = "LOONA", role = "main" }},
]

[tracks.{TRACK}]
disc = "1"
number = "1"
title = "Hi High"
artists = [
    {{ name = "LOONA", role = "main" }},
    {{ name = "Ott", role = "guest" }},
]
"""


def mistakes_of(old: str, new: str) -> list[str]:
    """Returns the mistakes in the text once something in it is replaced."""
    assert old in TEXT
    with pytest.raises(ReleaseTextError) as caught:
        parse_text(TEXT.replace(old, new, 1), [TRACK])
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('title = "Hash"', "title = 1", "line 1, title: expected text in quotes, got 1"),
        ('title = "Hash"', 'title = "a\\u0000b"', "line 1, title: no tag can hold a null character"),
        ("new = true", 'new = "yes"', 'line 2, new: expected true or false, got "yes"'),
        ('"album"', '"alubm"', "line 3, type: expected one of album, single, ep,"),
        ('"2018"', '"2018-13-01"', 'line 4, releasedate: expected "YYYY" or "YYYY-MM-DD", or "" for none, got '),
        ('"2018"', '"2018-08-20T10:00"', "line 4, releasedate: expected"),
        ('"2018"', "true", "line 4, releasedate: expected text in quotes, got True"),
        ('    "Pop",', '    "",', "line 9, genres[1]: expected text that is not empty"),
        ('    "Pop",', "    1,", "line 9, genres[1]: expected text in quotes, got 1"),
        ("labels = []", 'labels = "BBC"', 'line 13, labels: expected a list, in brackets, got "BBC"'),
        ('role = "guest"', 'role = "singer"', f"line 26, tracks.{TRACK}.artists[1]: expected one of the roles main, "),
        ('name = "Ott", ', "", f'line 26, tracks.{TRACK}.artists[1]: expected {{ name = "…", role = "main" }}, got'),
        ('name = "Ott"', 'name = " "', f"line 26, tracks.{TRACK}.artists[1]: name: expected text that is not"),
        ('number = "1"', 'number = "1/2"', f'line 22, tracks.{TRACK}.number: expected one number, such as "1"'),
        ('number = "1"', 'number = ""', f"line 22, tracks.{TRACK}.number: expected one number"),
        ('edition = ""', 'editon = ""', "line 14, editon: unknown key; known: title, new"),
        ('disc = "1"\n', "", f"line 20, tracks.{TRACK}.disc: the key is missing"),
        ('title = "Hash"\n', "", "title: the key is missing; write it as it was, or empty"),
        (f"[tracks.{TRACK}]", "[tracks.x]", "line 20, tracks.x: no track of this release has this id"),
        (TEXT[TEXT.index("[tracks") :], "", f"tracks.{TRACK}: this track is missing; an edit removes none"),
        ("labels = []", "labels = [", "line 14: this is no TOML: "),
        ('"Hi High"', '"Hi High', "line 23: this is no TOML: "),
        ('title = "Hash"', 'title = "a"\ntitle = "b"', "line 2: this is no TOML: "),
        ("new = true", f"new = {'1' * 5000}", "this is no TOML: a number has too many digits"),
        ("labels = []", "labels = " + "[" * 5000, "this is no TOML: too many brackets in brackets"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_key_and_its_line(old: str, new: str, expected: str) -> None:
    found = mistakes_of(old, new)
    assert [mistake for mistake in found if mistake.startswith(expected)] != [], found


def test_all_mistakes_are_named_at_once() -> None:
    assert len(mistakes_of("new = true\ntype = ", "new = 1\ntype = 2 #")) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"2018"', "2018"),
        ('releasedate = "2018"', "'releasedate' = '''2018'''"),
        ('number = "1"', "number = 1"),
        ('"album"', '"Album"'),
        ('    "Pop",', '    "Pop", # and again\n    "Pop", " K-Pop "'),
        ('title = "Hash"', 'title = """\\\n  Hash"""'),
        ("\n", "\r\n"),
    ],
)
def test_what_means_the_same_is_the_same(old: str, new: str) -> None:
    assert parse_text(TEXT.replace(old, new), [TRACK]) == parse_text(TEXT, [TRACK])


def test_a_date_needs_no_quotes() -> None:
    values = parse_text(TEXT.replace('"2018"', "2018-08-20"), [TRACK]).release
    assert values["releasedate"] == PartialDate(2018, 8, 20)


def test_lines_on_top_are_counted_and_removed_again() -> None:
    broken = TEXT.replace('"album"', '"alubm"')
    with pytest.raises(ReleaseTextError) as caught:
        parse_text(broken, [TRACK])
    shown, (mistake,) = on_top(caught.value.mistakes, broken)
    assert mistake.line is not None
    assert shown.splitlines()[mistake.line - 1] == 'type = "alubm"'
    assert str(mistake) in shown
    assert without_top(shown) == broken
    assert on_top([mistake], shown)[0].count("#! ") == 2
    assert parse_text(shown.replace("alubm", "album"), [TRACK]) == parse_text(TEXT, [TRACK])


@pytest.mark.parametrize("text", ["", "\n \n", "# all\n#of it\n", string.whitespace])
def test_an_emptied_text_is_known(text: str) -> None:
    assert is_emptied(text)
    assert not is_emptied(f"{text}\ntitle = 1")


def test_a_long_list_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(Artist(f"name {number}") for number in range(1000))
    text = parse_text(TEXT, [TRACK]).with_values({("artists",): ArtistMapping(main=names)})
    written = format_text(text, "", {})
    read: list[int] = []

    def counted(part: str) -> dict[str, Any]:
        read.append(len(part))
        return parse_toml(part)

    monkeypatch.setattr(tomllines, "parse_toml", counted)
    assert parse_text(written, [TRACK]) == text
    assert sum(read) < 4 * len(written)
