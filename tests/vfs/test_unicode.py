"""One name in two forms of Unicode, as taggers of several systems write it, is one name everywhere."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.query.facets import artist_exists, list_artists
from rosecache.query.releases import filter_releases
from rosecache.search import search_tracks
from rosecache.tags import TagChanges, read_tags, write_tags
from rosecache.update import update_cache
from tests.support.audio import make_release
from tests.support.browsing import Browser

FORMS = [unicodedata.normalize(form, "Björk") for form in ("NFC", "NFD")]
COMPOSED, DECOMPOSED = FORMS


@pytest.fixture
def library(c: Config) -> Config:
    for format, artist in zip(("mp3", "opus"), FORMS, strict=True):
        make_release(c.music_source_dir, format, format=format, tracks=1, artist=artist, album=format)
    c = msgspec.structs.replace(c, artist_aliases=(ArtistAlias(DECOMPOSED, ("The Sugarcubes",)),))
    make_release(c.music_source_dir, "third", tracks=1, artist="The Sugarcubes")
    assert update_cache(c).problems == []
    return c


def test_it_is_one_artist(library: Config) -> None:
    assert COMPOSED != DECOMPOSED
    assert list_artists(library) == [COMPOSED, "The Sugarcubes"]
    browser = Browser(library)
    assert browser.ls("Artists") == [COMPOSED, "The Sugarcubes"]
    for form in FORMS:
        assert len(browser.releases(f"Artists/{form}")) == 3  # by the alias too


@pytest.mark.parametrize("form", FORMS, ids=["NFC", "NFD"])
def test_it_is_found_in_either_form(library: Config, form: str) -> None:
    assert artist_exists(library, form)
    assert len(filter_releases(library, release_artist_filter=form)) == 3
    assert len(search_tracks(library, form.casefold(), fields=["trackartist"])) >= 2
    assert Browser(library, artists_whitelist=[form]).ls("Artists") == [COMPOSED]
    assert Browser(library, artists_blacklist=[form]).ls("Artists") == ["The Sugarcubes"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_genre_has_its_parents_in_whatever_form_these_are_given(
    c: Config, form: Literal["NFC", "NFD"]
) -> None:
    genre, parent = (unicodedata.normalize("NFC", name) for name in ("Fusión", "Música"))
    make_release(c.music_source_dir, "one", tracks=1, genre=unicodedata.normalize("NFD", genre))
    c = msgspec.structs.replace(c, genres_file=c.cache_dir / "genres.toml", genres_replace=True)
    assert c.genres_file is not None
    text = f'[genres]\n"{genre}" = ["{parent}"]\n"{parent}" = []\n'
    c.genres_file.write_text(unicodedata.normalize(form, text), encoding="utf-8")
    assert update_cache(c).problems == []
    assert Browser(c).ls("Genres") == [genre, parent]


def test_it_is_written_in_one_form(library: Config, tmp_path: Path) -> None:
    path = library.music_source_dir / "mp3/01.mp3"
    write_tags(path, TagChanges(tracktitle=DECOMPOSED))
    assert COMPOSED.encode() in path.read_bytes() or COMPOSED.encode("utf-16") in path.read_bytes()
    assert read_tags(path).tracktitle == COMPOSED
