"""Decoding rows, and the order of track numbers."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.config import Config
from rosecache.model import Artist, ArtistMapping
from rosecache.query.releases import get_release
from rosecache.query.rows import natural_order, pack, unpack
from tests.support.rows import release_row, store, track_row

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        (("main", "One"),),
        (("main", "One"), ("guest", "Two"), ("main", "Three")),
        (("label", ""), ("label", " \\\\ "), ("label", "a;b, c / d vs. e"), ("label", '"],["x","y')),
        (("genre", "\n\t\x1f\x7f"), ("genre", "\u2028Ünïcödé 🎵"), ("genre", "NUL \0 inside")),
    ],
)
def test_unpack(pairs: tuple[tuple[str, str], ...]) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE pairs (position INTEGER PRIMARY KEY, kind, value)")
        connection.executemany("INSERT INTO pairs (kind, value) VALUES (?, ?)", pairs)
        ((packed,),) = connection.execute(
            "SELECT json_group_array(json_array(kind, value)) FROM"
            " (SELECT kind, value FROM pairs ORDER BY position)"
        ).fetchall()
    connection.close()
    assert unpack(packed) == pairs


def test_values_that_look_like_separators_stay_whole(c: Config) -> None:
    names = ("a;b", "c \\\\ d", 'e"],["f', "g\nh", "A, B & C", "¬", " ")
    store(
        c,
        release_row(
            "r",
            artists={"main": names, "guest": names[::-1]},
            genres=names,
            secondary_genres=names[::-1],
            descriptors=names[2:],
            labels=names[3:],
            tracks=[track_row("t")],
        ),
    )
    release = get_release(c, "r")
    assert release is not None
    assert release.releaseartists == ArtistMapping(
        main=tuple(map(Artist, names)), guest=tuple(map(Artist, names[::-1]))
    )
    assert (release.genres, release.secondary_genres) == (names, names[::-1])
    assert (release.descriptors, release.labels) == (names[2:], names[3:])


def test_the_order_of_the_tags_is_kept(c: Config) -> None:
    # The later release meets values in another order than the one in which they were first stored.
    store(c, release_row("first", genres=["A", "B", "C"], labels=["X", "Y"], tracks=[track_row("t1")]))
    store(c, release_row("second", genres=["C", "A", "B"], labels=["Y", "X"], tracks=[track_row("t2")]))
    release = get_release(c, "second")
    assert release is not None
    assert (release.genres, release.labels) == (("C", "A", "B"), ("Y", "X"))


@given(st.lists(TEXTS))
def test_pack_gives_sqlite_the_same_texts(texts: list[str]) -> None:
    with sqlite3.connect(":memory:") as connection:
        rows = connection.execute("SELECT value FROM json_each(?)", (pack(texts),)).fetchall()
    connection.close()
    assert [value for (value,) in rows] == [text for text in texts if "\0" not in text]


def test_pack_leaves_out_what_is_no_text() -> None:
    assert pack(["a", "b\0", "\udcff", "c"]) == '["a", "c"]'


@given(st.lists(st.integers(min_value=0)))
def test_natural_order_of_numbers_is_their_order(numbers: list[int]) -> None:
    assert sorted(map(str, numbers), key=natural_order) == [str(number) for number in sorted(numbers)]


@given(st.lists(TEXTS))
def test_natural_order_takes_any_text(texts: list[str]) -> None:
    assert sorted(sorted(texts, key=natural_order)) == sorted(texts)
