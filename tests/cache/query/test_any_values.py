"""What is browsed by, after any history: the columns that queries of values go by say what the releases do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rosecache.aliases import load_aliases
from rosecache.config import ArtistAlias, Config
from rosecache.database import close_connections, connect
from rosecache.genres import load_genre_tree
from rosecache.model import Release
from rosecache.query.facets import list_artists, list_descriptors, list_genres, list_labels
from rosecache.query.releases import list_releases
from rosecache.query.times import list_shown_values, newest_change, newest_changes
from rosecache.update.rows import ReleaseRow
from tests.support.library import check_browsed_by
from tests.support.rows import release_row, remove, store, track_row

IDS = ("r1", "r2", "r3", "r4")
ARTISTS = ("Kim", "K.", "Duo", "Solo")
GENRES = ("House", "house", "Deep House", "DEEP HOUSE", "K-Pop", "Nobody's")
TREE = '[genres]\n"Nobody\'s" = ["Everybody\'s"]\n"House" = ["Nobody\'s"]\n"Deep House" = ["House"]\n'


def some(values: Iterable[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(values)), max_size=3, unique=True)


RELEASES = st.builds(
    lambda id, directory, tracks, **shown: release_row(
        id, directory=directory, tracks=[track_row(each) for each in tracks], **shown
    ),
    id=st.sampled_from(IDS),
    directory=st.sampled_from([each.encode() for each in IDS]),  # of which another one may be there
    tracks=some(["t1", "t2", "t3"]),  # which another release may have
    artists=st.fixed_dictionaries({"main": some(ARTISTS), "guest": some(ARTISTS)}),
    genres=some(GENRES),
    secondary_genres=some(GENRES),
    descriptors=some(["warm", "cold"]),
    labels=some(["Ebb", "Flow"]),
    type=st.sampled_from(["album", "ep", "loosetrack"]),
    new=st.booleans(),
    mtime=st.integers(1, 50),
)
"""Releases to be stored, in place of what has their id or their directory."""

HISTORIES = st.lists(RELEASES | st.sampled_from(IDS), min_size=1, max_size=12)
"""Releases to be stored, and ids of those to be removed."""

SETTINGS: Mapping[str, Callable[[Config], Config]] = {
    "no aliases": lambda c: c,
    "aliases": lambda c: msgspec.structs.replace(
        c, artist_aliases=(ArtistAlias("Kim", ("K.", "Solo")), ArtistAlias("Duo", ("Kim", "Nobody")))
    ),
    "another tree": lambda c: msgspec.structs.replace(
        c, genres_file=c.music_source_dir.parent / "genres.toml", genres_replace=True
    ),
}
"""Configurations of one cache, which differ in what is shown under what."""


@contextmanager
def a_cache() -> Iterator[Config]:
    top = Path(tempfile.mkdtemp())
    (top / "genres.toml").write_text(TREE, encoding="utf-8")
    try:
        yield Config(music_source_dir=top / "source", cache_dir=top / "cache")
    finally:
        close_connections()
        shutil.rmtree(top)


def values_of(kind: str, release: Release) -> set[str]:
    """Returns the values of a release, without what aliases and the tree of genres add."""
    credited = [artist for _, artists in release.releaseartists.items() for artist in artists]
    found: dict[str, Iterable[str]] = {
        "artist": [artist.name for artist in credited if not artist.alias],
        "genre": (*release.genres, *release.secondary_genres),
        "descriptor": release.descriptors,
        "label": release.labels,
    }
    return set(found[kind])


def listings_of(c: Config, kind: str, value: str, written: Iterable[str]) -> set[str]:
    """Returns everything under which a value's releases are shown; ``written`` are the values that there are."""
    if kind == "artist":
        return {value, *load_aliases(c).owners.get(value, ())}
    if kind == "genre":
        parents = load_genre_tree(c).parents(value)
        folded = {parent.casefold() for parent in parents}
        return {value, *parents, *(each for each in written if each.casefold() in folded)}
    return {value}


def by_every_release(c: Config, kind: str) -> list[tuple[str, bool, int]]:
    """Returns what list_shown_values() does, by a look at every release and at what was lost."""
    releases = list_releases(c)
    written = {value for release in releases for value in values_of(kind, release)}
    newest: dict[str, int] = {}
    only_new: dict[str, bool] = {}
    for release in releases:
        for value in values_of(kind, release):
            for listing in listings_of(c, kind, value, written):
                newest[listing] = max(newest.get(listing, 0), release.mtime)
                only_new[listing] = only_new.get(listing, True) and release.new
    with connect(c) as connection:
        lost = connection.execute("SELECT value, at FROM losses WHERE kind = ?", (kind,)).fetchall()
    for value, at in lost:
        for listing in listings_of(c, kind, value, written):
            newest[listing] = max(newest.get(listing, 0), at)
    return [(value, only_new[value], newest[value]) for value in sorted(only_new)]


def check_values(c: Config) -> None:
    """Checks all queries of values against the releases."""
    entries: Mapping[str, Callable[[Config], list[tuple[str, bool]]]] = {
        "genre": lambda c: [(each.genre, each.only_new_releases) for each in list_genres(c)],
        "descriptor": lambda c: [(each.descriptor, each.only_new_releases) for each in list_descriptors(c)],
        "label": lambda c: [(each.label, each.only_new_releases) for each in list_labels(c)],
    }
    for kind in ("artist", "genre", "descriptor", "label"):
        expected = by_every_release(c, kind)
        assert list_shown_values(c, kind) == expected
        newest = newest_changes(c, kind)
        assert {value: newest[value] for value, _, _ in expected} == {value: at for value, _, at in expected}
        if kind in entries:
            assert entries[kind](c) == [each[:2] for each in expected]
    assert list_artists(c) == [value for value, _, _ in by_every_release(c, "artist")]


def check_newest(c: Config) -> None:
    """Checks when what has one listing changed last against the releases."""
    with connect(c) as connection:
        lost = dict(connection.execute("SELECT kind, at FROM losses WHERE value = ''").fetchall())
    shown: Mapping[str, Callable[[Release], bool]] = {
        "release": lambda release: release.releasetype != "loosetrack",
        "loose_track": lambda release: release.releasetype == "loosetrack",
        "new": lambda release: release.new,
    }
    for kind, is_shown in shown.items():
        times = [release.mtime for release in list_releases(c) if is_shown(release)]
        assert newest_change(c, kind) == max([*times, lost.get(kind, 0)])


@settings(max_examples=60)
@given(HISTORIES)
def test_values_are_those_of_the_releases_after_any_history(history: list[ReleaseRow | str]) -> None:
    with a_cache() as c:
        for step in history:
            if isinstance(step, ReleaseRow):
                store(c, step)
            elif step in {release.id for release in list_releases(c)}:
                remove(c, step)
            with connect(c) as connection:
                check_browsed_by(connection)
        for changed in SETTINGS.values():
            check_values(changed(c))
        check_newest(c)
