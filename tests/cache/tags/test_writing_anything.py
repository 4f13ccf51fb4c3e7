"""Whatever the values are: what is written is read back, or refused with the file as it was."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosecache.errors import TagWriteError
from rosecache.model import RELEASE_TYPES, ROLES, Artist, ArtistMapping, PartialDate
from rosecache.tags import AudioTags, TagChanges, changes_between, read_tags, write_tags
from rosecache.tags.fields import clean, split_genres
from tests.support.rawtags import other_tags
from tests.support.tagedits import FULL, NOTHING
from tests.support.variants import KINDS, VARIANTS

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
clean_text = st.text(characters, min_size=1, max_size=300).map(clean).filter(bool)
# Genres in ID3 may be numbers and abbreviations: letters of one alphabet are neither.
word = st.text("abcäöü ßя日\U0001f3b5", min_size=1, max_size=20).map(str.strip).filter(bool)
single_value = st.one_of(word, clean_text.filter(lambda text: split_genres([text]) == (text,)))


def distinct(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=4, unique=True).map(tuple)


uuid = st.none() | st.uuids().map(str)
year = st.integers(0, 9999)
date = (
    st.none() | year.map(PartialDate) | st.builds(PartialDate, year, st.integers(1, 12), st.integers(1, 31))
)
mapping = st.builds(
    ArtistMapping,
    **{role: distinct(word).map(lambda names: tuple(map(Artist, names))) for role in ROLES},
)
optional = st.none() | clean_text
number = st.integers(1, 65535).map(str)

any_tags = st.builds(
    AudioTags,
    id=uuid, release_id=uuid, tracktitle=optional, tracknumber=number, discnumber=number,
    releasetitle=optional, releasetype=st.sampled_from(RELEASE_TYPES), releasedate=date, originaldate=date,
    compositiondate=date, genres=distinct(word), secondary_genres=distinct(single_value),
    descriptors=distinct(single_value), labels=distinct(single_value), catalognumber=optional, edition=optional,
    releaseartists=mapping, trackartists=mapping, duration_seconds=st.just(1),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(first=any_tags, second=any_tags)
def test_any_values_are_read_back(kind: str, first: AudioTags, second: AudioTags) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = VARIANTS[kind](Path(directory))
        for tags in (first, second, NOTHING, FULL):
            write_tags(path, changes_between(read_tags(path), tags))
            assert read_tags(path) == tags
            assert [entry.name for entry in Path(directory).iterdir()] == [path.name]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(field=st.sampled_from(["tracktitle", "edition"]), text=st.text(max_size=50))
def test_any_text_is_read_back_without_blanks_at_the_ends_or_refused(
    kind: str, field: str, text: str
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = VARIANTS[kind](Path(directory))
        before = path.read_bytes()
        values: dict[str, Any] = {field: text}
        changes = changes_between(NOTHING, msgspec.structs.replace(NOTHING, **values))
        try:
            write_tags(path, changes)
        except TagWriteError:
            assert "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
            assert path.read_bytes() == before
        else:
            assert getattr(read_tags(path), field) == (unicodedata.normalize("NFC", text.strip()) or None)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(text=clean_text.filter(lambda text: "ROSE" not in text.upper()))  # which is how ids are told apart
def test_any_text_leaves_other_tags_alone(kind: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = VARIANTS[kind](Path(directory))
        before = other_tags(path)
        write_tags(path, TagChanges(catalognumber=text))
        after = other_tags(path)
        assert len(after) == len(before) + 1
        assert [raw for raw in after if raw in before] == before
