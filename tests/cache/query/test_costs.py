"""What queries cost, counted: a query for one thing takes the same steps however large the library is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rosecache.config import ArtistAlias, Config
from rosecache.database import connect
from rosecache.model import Release
from rosecache.query.facets import (
    artist_exists,
    descriptor_exists,
    genre_exists,
    label_exists,
    list_descriptors,
    list_genres,
)
from rosecache.query.files import get_release_files
from rosecache.query.lists import (
    get_collage,
    get_playlist,
    release_within_collage,
    track_within_playlist,
    track_within_release,
)
from rosecache.query.releases import filter_releases, get_release, list_releases
from rosecache.query.times import list_shown_values, newest_change
from rosecache.query.tracks import get_track, get_tracks_of_release, list_tracks
from rosecache.update.rows import FileRow
from tests.support.rows import release_row, store, store_collage, store_playlist, track_row
from tests.support.sql_steps import count_steps

ONE_THING: dict[str, Callable[[Config], object]] = {
    "get_release": lambda c: get_release(c, "r1"),
    "get_release, none": lambda c: get_release(c, "nowhere"),
    "get_track": lambda c: get_track(c, "r1 t1"),
    "get_tracks_of_release": lambda c: get_tracks_of_release(c, _release(c)),
    "get_release_files": lambda c: get_release_files(c, "r1"),
    "list_releases of one": lambda c: list_releases(c, ["r1"]),
    "list_tracks of one": lambda c: list_tracks(c, ["r1 t1"]),
    "artist_exists": lambda c: artist_exists(c, "Everybody's"),
    "artist_exists, through an alias": lambda c: artist_exists(c, "Owner"),
    "artist_exists, none": lambda c: artist_exists(c, "Nobody"),
    "genre_exists": lambda c: genre_exists(c, "Deep House"),
    "genre_exists, through a child": lambda c: genre_exists(c, "House"),
    "genre_exists, none": lambda c: genre_exists(c, "Blues"),
    "descriptor_exists": lambda c: descriptor_exists(c, "warm"),
    "label_exists": lambda c: label_exists(c, "Label 1"),
    "track_within_release": lambda c: track_within_release(c, "r1 t1", "r1"),
    "track_within_playlist": lambda c: track_within_playlist(c, "r1 t1", "Playlist 1"),
    "release_within_collage": lambda c: release_within_collage(c, "r1", "Collage 1"),
    "get_collage": lambda c: get_collage(c, "Collage 1"),
    "get_playlist": lambda c: get_playlist(c, "Playlist 1"),
    "filter_releases by a rare label": lambda c: filter_releases(c, label_filter="Label 1"),
    "filter_releases by a rare artist": lambda c: filter_releases(c, all_artist_filter="Artist 1"),
}


FEW_VALUES: dict[str, Callable[[Config], object]] = {
    "genres": lambda c: list_shown_values(c, "genre"),
    "descriptors": lambda c: list_shown_values(c, "descriptor"),
    "list_genres": list_genres,
    "list_descriptors": list_descriptors,
    "newest release": lambda c: newest_change(c, "release"),
    "newest new release": lambda c: newest_change(c, "new"),
    "newest loose track": lambda c: newest_change(c, "loose_track"),
}
"""What goes through all values, of which there are as many in either library."""


def _release(c: Config) -> Release:
    (release,) = list_releases(c, ["r1"])
    return release


def make_library(c: Config, size: int) -> Config:
    store(
        c,
        *(
            release_row(
                f"r{number}",
                artists={"main": [f"Artist {number}", "Everybody's"]},
                genres=["Deep House"],
                descriptors=["warm"],
                labels=[f"Label {number}"],
                tracks=[track_row(f"r{number} t{track}", str(track)) for track in range(3)],
                files=[FileRow(b"cover.jpg", "cover", 1, 2, 3)],
            )
            for number in range(size)
        ),
    )
    for number in range(size):
        store_collage(c, f"Collage {number}", "r1", f"r{number}")
        store_playlist(c, f"Playlist {number}", "r1 t1", f"r{number} t0")
    return msgspec.structs.replace(c, artist_aliases=(ArtistAlias("Owner", ("Everybody's",)),))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[Config]:
    """A small library and one of thirty times its size."""
    found = []
    for size in (5, 150):
        directory: Path = tmp_path_factory.mktemp("library")
        found.append(
            make_library(Config(music_source_dir=directory / "source", cache_dir=directory / "cache"), size)
        )
    return found


def scanned_tables(c: Config, query: Callable[[Config], object]) -> set[str]:
    """Returns the tables that a query's plans go through from end to end."""
    statements: list[str] = []
    with connect(c) as connection:
        connection.set_trace_callback(statements.append)
        try:
            query(c)
        finally:
            connection.set_trace_callback(None)
        plans = [
            row["detail"]
            for statement in statements
            if "SELECT" in statement
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        ]
    assert plans
    # A materialized subquery and what json_each gives are as long as what was asked for.
    scans = {match[1] for plan in plans if (match := re.match(r"SCAN (\S+)", plan))}
    return {
        name for name in scans if not name.startswith("(") and name not in ("json_each", "CONSTANT", "meta")
    }


@pytest.mark.parametrize("name", ONE_THING)
def test_a_query_for_one_thing_takes_as_many_steps_in_any_library(libraries: list[Config], name: str) -> None:
    small, large = (count_steps(c, ONE_THING[name]) for c in libraries)
    assert small > 0
    assert abs(large - small) <= small // 10  # a value that is there more often may be found a little sooner


@pytest.mark.parametrize("name", ONE_THING)
def test_a_query_for_one_thing_scans_no_table(libraries: list[Config], name: str) -> None:
    assert scanned_tables(libraries[1], ONE_THING[name]) == set()


def test_the_measures_see_a_query_that_reads_everything(libraries: list[Config]) -> None:
    small, large = (count_steps(c, list_releases) for c in libraries)
    assert large > 20 * small
    assert scanned_tables(libraries[1], list_releases) == {"r"}


@pytest.mark.parametrize("name", FEW_VALUES)
def test_values_are_listed_in_as_many_steps_however_many_releases_have_them(
    libraries: list[Config], name: str
) -> None:
    small, large = (count_steps(c, FEW_VALUES[name]) for c in libraries)
    assert small > 0
    assert abs(large - small) <= small // 10


def test_listing_all_takes_steps_by_the_number_of_what_is_listed(libraries: list[Config]) -> None:
    queries: list[Callable[[Config], object]] = [
        list_releases,
        list_tracks,
        lambda c: list_shown_values(c, "artist"),
        lambda c: list_shown_values(c, "label"),
    ]
    for query in queries:
        small, large = (count_steps(c, query) for c in libraries)
        assert large < 40 * small  # thirty times as much, and some for sorting
