"""What is kept to save work is let go of when everything was forgotten; and then it is done again."""

from __future__ import annotations

import gc

import pytest

import rosecache
from rosecache.config import Config
from rosecache.query import rows
from rosefs.vfs import listings
from rosefs.vfs.names import Namer
from tests.support.browsing import Browser
from tests.support.rows import release_row, store, store_collage, store_playlist, track_row


@pytest.fixture
def library(c: Config) -> Config:
    """Three releases, all in a collage and their tracks in a playlist, in the cache only."""
    releases = [
        release_row(f"release {each}", title=f"Title {each}", tracks=[track_row(f"track {each}")])
        for each in "abc"
    ]
    store(c, *releases)
    store_collage(c, "collage", *(release.id for release in releases))
    store_playlist(c, "playlist", *(track.id for release in releases for track in release.tracks))
    return c


def kept() -> list[int]:
    """Returns how much is kept by each of those that keep anything for a whole process."""
    caches = (rows.parse_date, rows._decoder_of, listings.new_places)
    return [cache.cache_info().currsize for cache in caches]


def test_what_was_decoded_is_let_go_of_and_decoded_again(library: Config) -> None:
    browser = Browser(library)
    shown = dict(browser.walk())
    assert all(kept())
    browser.fs._tree.shrink()
    assert not any(kept())
    assert dict(browser.walk()) == shown
    assert dict(Browser(library).walk()) == shown


def test_names_that_were_let_go_of_are_made_again(library: Config) -> None:
    browser = Browser(library)
    assert browser.ls("Collages/collage")
    namer = browser.fs._tree.namer
    (release,) = rosecache.list_releases(library, ["release b"])
    assert name(namer, release) == "2. Artist - 2020. Title b"
    assert namer.evaluations == 3  # as it was listed
    browser.fs._tree.shrink()
    assert name(namer, release) == "2. Artist - 2020. Title b"
    assert namer.evaluations == 4


def name(namer: Namer, release: rosecache.Release) -> str:
    context = {"collage": "collage"}
    return namer.name(namer.template("collages", "release"), release, position="2", context=context)


def test_listings_that_are_gone_are_not_remembered(library: Config) -> None:
    gone = Browser(library)
    gone.ls("Releases")
    gone.ls("Artists/Artist")
    del gone
    gc.collect()
    browser = Browser(library)
    browser.ls("Releases")
    assert None in {listing() for listing in listings._used_last}
    listings.give_back_listings()
    assert listings._used_last
    assert None not in {listing() for listing in listings._used_last}
