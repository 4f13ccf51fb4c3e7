"""Queries for artists, genres, descriptors and labels."""

from __future__ import annotations

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.model import DescriptorEntry, GenreEntry, LabelEntry
from rosecache.query.facets import (
    artist_exists,
    descriptor_exists,
    genre_exists,
    label_exists,
    list_artists,
    list_descriptors,
    list_genres,
    list_labels,
)
from rosecache.query.releases import filter_releases
from tests.support.rows import release_row, remove, store, track_row


@pytest.fixture
def library(c: Config) -> Config:
    c = msgspec.structs.replace(c, genres_file=c.music_source_dir.parent / "genres.toml", genres_replace=True)
    assert c.genres_file is not None
    c.genres_file.write_text(
        '[genres]\n"Pop" = []\n"K-Pop" = ["Pop"]\n"Electronic" = []\n"House" = ["Electronic"]\n'
        '"Deep House" = ["House"]\n"Électro" = ["Electronic"]\n',
        encoding="utf-8",
    )
    store(
        c,
        release_row(
            "old",
            artists={"main": ["Kim Vale"], "producer": ["Zed"]},
            genres=["Deep House"],
            secondary_genres=["Spoken"],
            descriptors=["warm", "it's 100%"],
            labels=["Ebb"],
            tracks=[track_row("o", artists={"main": ["Only On A Track"]})],
        ),
        release_row(
            "new",
            artists={"main": ["K. Vale"]},
            genres=["K-Pop", "House"],
            descriptors=["warm"],
            labels=["Flow"],
            new=True,
            tracks=[track_row("n")],
        ),
    )
    return c


def with_aliases(c: Config, *aliases: ArtistAlias) -> Config:
    return msgspec.structs.replace(c, artist_aliases=aliases)


def test_list_artists(library: Config) -> None:
    assert list_artists(library) == ["K. Vale", "Kim Vale", "Zed"]
    c = with_aliases(
        library,
        ArtistAlias("Collective", ("Kim Vale", "Nobody")),
        ArtistAlias("Kim Vale", ("K. Vale",)),
        ArtistAlias("Nobody's Owner", ("Nobody",)),
    )
    assert list_artists(c) == ["Collective", "K. Vale", "Kim Vale", "Zed"]


def test_artist_exists(library: Config) -> None:
    assert artist_exists(library, "Kim Vale")
    assert artist_exists(library, "Zed")
    assert not artist_exists(library, "kim vale")
    assert not artist_exists(library, "Kim Vale\0")
    assert not artist_exists(library, "Kim \udcff")
    assert not artist_exists(library, "Only On A Track")


def test_artist_exists_through_aliases(library: Config) -> None:
    c = with_aliases(library, ArtistAlias("Collective", ("Duo",)), ArtistAlias("Duo", ("K. Vale", "Nobody")))
    assert artist_exists(c, "Duo")
    assert artist_exists(c, "Collective")
    assert not artist_exists(c, "Nobody")
    assert not artist_exists(library, "Duo")


def test_what_no_release_has_any_more_does_not_exist(library: Config) -> None:
    remove(library, "old")
    assert list_artists(library) == ["K. Vale"]
    assert not artist_exists(library, "Zed")
    assert not genre_exists(library, "Deep House")
    assert genre_exists(library, "House")
    assert not descriptor_exists(library, "it's 100%")
    assert [entry.label for entry in list_labels(library)] == ["Flow"]


def test_list_genres(library: Config) -> None:
    assert list_genres(library) == [
        GenreEntry("Deep House", only_new_releases=False),
        GenreEntry("Electronic", only_new_releases=False),
        GenreEntry("House", only_new_releases=False),  # its own release is new, that of its child is not
        GenreEntry("K-Pop", only_new_releases=True),
        GenreEntry("Pop", only_new_releases=True),
        GenreEntry("Spoken", only_new_releases=False),
    ]


def test_list_genres_shows_every_spelling_of_the_tags(library: Config) -> None:
    store(library, release_row("odd", genres=["pop", "k-pop", "ÉLECTRO"], tracks=[track_row("x")]))
    entries = {entry.genre: entry.only_new_releases for entry in list_genres(library)}
    assert entries["pop"] is entries["k-pop"] is entries["Pop"] is entries["ÉLECTRO"] is False
    assert entries["K-Pop"] is True
    for genre in entries:
        assert genre_exists(library, genre)
        assert filter_releases(library, genre_filter=genre)


def test_genre_exists(library: Config) -> None:
    assert genre_exists(library, "Deep House")
    assert genre_exists(library, "Spoken")
    assert genre_exists(library, "Pop")  # through its child
    assert genre_exists(library, "Electronic")  # through the child of its child
    assert genre_exists(library, "ELECTRONIC")
    assert not genre_exists(library, "deep house")
    assert not genre_exists(library, "Électro")
    assert not genre_exists(library, "warm")
    assert not genre_exists(library, "")


def test_list_descriptors(library: Config) -> None:
    assert list_descriptors(library) == [
        DescriptorEntry("it's 100%", only_new_releases=False),
        DescriptorEntry("warm", only_new_releases=False),
    ]


def test_descriptor_exists(library: Config) -> None:
    assert descriptor_exists(library, "it's 100%")
    assert not descriptor_exists(library, "it's 100")
    assert not descriptor_exists(library, "Ebb")


def test_list_labels(library: Config) -> None:
    assert list_labels(library) == [
        LabelEntry("Ebb", only_new_releases=False),
        LabelEntry("Flow", only_new_releases=True),
    ]


def test_label_exists(library: Config) -> None:
    assert label_exists(library, "Ebb")
    assert not label_exists(library, "ebb")
    assert not label_exists(library, "warm")


def test_facets_of_an_empty_cache(c: Config) -> None:
    assert (list_artists(c), list_genres(c), list_descriptors(c), list_labels(c)) == ([], [], [], [])
    assert not genre_exists(c, "Pop")
