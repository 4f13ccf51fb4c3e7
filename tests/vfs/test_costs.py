"""What looking around costs: queries, evaluated templates, memory. Counted, since noise cannot move counts."""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config, PathTemplates, TemplateSet
from rosecache.database import connect
from rosecache.naming import UNNAMED
from rosefs.vfs import listings
from rosefs.vfs.contents import ReleasesDirectory
from rosefs.vfs.model import ROOT_INODE
from rosefs.vfs.names import NO_NAMES, Candidate
from tests.support.browsing import Browser, counted_queries
from tests.support.rows import release_row, store, store_collage, store_playlist, track_row

RELEASES = 50


@pytest.fixture
def many(c: Config) -> Config:
    """A library of fifty releases of two tracks each by five artists, in the cache only."""
    rows = [
        release_row(
            f"release {number}",
            title=f"Title {number:02}",
            artists={"main": [f"Artist {number % 5}"]},
            genres=["K-Pop"],
            descriptors=["mellow"],
            labels=[f"Label {number}"],
            tracks=[track_row(f"track {number}-{disc}", disc, title=f"Song {disc}") for disc in "12"],
        )
        for number in range(RELEASES)
    ]
    store(c, *rows)
    store_collage(c, "collage", *(row.id for row in rows))
    store_playlist(c, "playlist", *(track.id for row in rows for track in row.tracks))
    return c


def forget_names(c: Config) -> None:
    """Has the cache hold no names, as if they were made by other templates: those that are shown are made then."""
    with connect(c) as connection:
        connection.execute("UPDATE releases SET naming = ?", (UNNAMED,))


@pytest.fixture
def unnamed(many: Config) -> Config:
    """The same library without names in the cache."""
    forget_names(many)
    return many


def test_a_mount_whose_cache_is_current_evaluates_no_template(many: Config) -> None:
    browser = Browser(many)
    views = [name for name in browser.ls() if name not in ("Collages", "Playlists")]
    assert len([path for view in views for path, _ in browser.walk(view)]) > 1000
    assert browser.fs.counters().evaluations == 0
    everything = dict(browser.walk())
    assert browser.fs.counters().evaluations == RELEASES + 2 * RELEASES  # whose names have a position
    forget_names(many)
    made = Browser(many)
    assert dict(made.walk()) == everything
    assert made.fs.counters().evaluations > 3 * RELEASES


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("Releases", 1),
        ("Releases - New", 1),
        ("Artists/Artist 1", 1),
        ("Genres/K-Pop", 3),  # how its children are written, and the releases
        ("Loose Tracks", 1),
        ("Artists", 1),  # the values, and when each changed last
        ("Labels", 1),
        ("Releases/!All Tracks", 2),  # the releases, and their tracks
        ("Releases/Artist 1 - 2020. Title 01", 1),  # its tracks and its other files
        ("Collages/collage", 2),  # the members, and the releases
        (
            "Playlists/playlist",
            6,
        ),  # the playlist, its members, the tracks, their releases and totals, its cover
    ],
)
def test_a_listing_costs_as_many_queries_whatever_it_lists(many: Config, path: str, queries: int) -> None:
    browser = Browser(many)
    number = browser.stat(path).inode
    with counted_queries(many) as first:
        entries = list(browser.fs.entries(number, 0))
    assert entries or path in ("Releases - New", "Loose Tracks")
    assert len(first) <= queries
    with counted_queries(many) as again:
        assert list(browser.fs.entries(number, 0)) == entries
        for entry in entries:
            assert browser.fs.lookup(number, entry.name) == entry.attributes
            assert browser.fs.getattr(entry.attributes.inode) == entry.attributes
    assert again == []


@pytest.mark.parametrize(
    ("path", "is_cheap", "queries"),
    [
        ("Releases/Artist 1 - 2020. Title 01", True, 0),
        ("Artists/Artist 1", True, 1),  # ten releases, of which no more than this is asked
        ("Labels/Label 7", True, 1),
        ("Genres/K-Pop", False, 0),  # the genres that count as it may take a while to find
        ("Releases", False, 0),
        ("Releases/!All Tracks", False, 0),
        ("Artists/Artist 1/!All Tracks", False, 0),
        ("Labels", True, 0),  # listed to find one of them
        ("Descriptors", False, 0),
        ("Descriptors/mellow", False, 1),  # fifty
        ("Collages/collage", False, 0),
        ("Collages/collage/01. Artist 0 - 2020. Title 00", True, 0),
        ("Playlists/playlist", False, 0),
    ],
)
def test_what_is_short_is_told_from_what_is_long_by_a_query_at_most(
    many: Config, path: str, is_cheap: bool, queries: int
) -> None:
    browser = Browser(many)
    browser.stat("Labels/Label 7")
    number = browser.stat(path).inode
    with counted_queries(many) as asked:
        assert browser.fs.is_cheap(number) == is_cheap
    assert len(asked) <= queries
    with counted_queries(many) as listing:
        assert list(browser.fs.entries(number, 0))
    assert len(asked + listing) <= 3 or not is_cheap


def test_to_find_out_that_few_releases_are_in_a_directory_lists_them(many: Config) -> None:
    browser = Browser(many)
    number = browser.stat("Artists/Artist 1").inode
    with counted_queries(many) as queries:
        assert browser.fs.is_cheap(number)
        few = [entry.name for entry in browser.fs.entries(number, 0)]
    assert len(queries) == 1
    browser = Browser(many)
    browser.stat("Artists/Artist 1")
    assert [entry.name for entry in browser.fs.entries(number, 0)] == few  # in the same order


def test_what_was_few_is_asked_for_again_after_a_change(many: Config) -> None:
    browser = Browser(many)
    number = browser.stat("Artists/Artist 1").inode
    assert browser.fs.is_cheap(number)
    store(many, release_row("new", title="New", artists={"main": ["Artist 1"]}))
    browser.clock.advance(1)
    assert any(b"New" in entry.name for entry in browser.fs.entries(number, 0))


def test_a_name_in_a_long_directory_is_cheap_if_the_index_has_it(many: Config) -> None:
    browser = Browser(many)
    number = browser.stat("Releases").inode
    name = b"Artist 1 - 2020. Title 01"
    with counted_queries(many) as queries:
        assert browser.fs.is_cheap(number, name)
        assert browser.fs.lookup(number, name)
    assert len(queries) == 1
    assert browser.fs.is_cheap(number, b"no such name")
    assert browser.fs.is_cheap(number, b"\xff")
    assert not browser.fs.is_cheap(number, b"Artist 1 - 2020. Title 01 [2]")  # the number of which equal one?
    forget_names(many)
    unnamed = Browser(many)
    assert not unnamed.fs.is_cheap(unnamed.stat("Releases").inode, name)


@pytest.mark.parametrize("are_stored", [True, False])
def test_a_path_to_a_track_asks_for_the_directories_on_the_way_only(many: Config, are_stored: bool) -> None:
    if not are_stored:
        forget_names(many)
    browser = Browser(many)
    browser.ls()
    with counted_queries(many) as queries:
        browser.stat("Artists/Artist 1/Artist 1 - 2020. Title 01/01. Song 1.mp3")
    # Where names are to be made, all releases are listed and read, and then what one holds, by more queries.
    assert len(queries) <= 2 + 1 + 1 + (0 if are_stored else 2 + 2 + 3)
    # Ten releases of the artist, and two tracks of one of them: nobody else's names were made.
    assert browser.fs.counters().evaluations == (0 if are_stored else 10 + 2)


def test_names_are_made_once_for_every_view_that_has_the_template(unnamed: Config) -> None:
    browser = Browser(unnamed)
    views = ["Releases", *(f"Artists/Artist {number}" for number in range(5)), "Genres/K-Pop", "Genres/Pop"]
    views += [f"Labels/Label {number}" for number in range(RELEASES)]
    for path in views:
        browser.ls(path)
    assert browser.fs.counters().evaluations == RELEASES
    for path in views:
        browser.ls(f"{path}/!All Tracks")
    assert browser.fs.counters().evaluations == RELEASES + 2 * RELEASES


def test_names_that_depend_on_their_place_are_made_once_for_each(many: Config) -> None:
    templates = PathTemplates(genres=TemplateSet(release="{{ context.genre }} {{ releasetitle }}"))
    browser = Browser(msgspec.structs.replace(many, path_templates=templates))
    for _ in range(2):
        browser.ls("Genres/K-Pop")
        browser.ls("Genres/Pop")
        browser.ls("Collages/collage")
    assert browser.fs.counters().evaluations == 3 * RELEASES


NAME = "Artist 1 - 2020. Title 01"
VIEWS = ("Releases", "Genres/K-Pop", "Labels/Label 1")


def test_what_a_release_holds_is_read_once_for_all_views(many: Config) -> None:
    browser = Browser(many)
    numbers = [browser.stat(f"{path}/{NAME}").inode for path in VIEWS]
    with counted_queries(many) as queries:
        listings = [list(browser.fs.entries(number, 0)) for number in numbers]
    assert len(queries) == 1
    assert len(listings[0]) == 2
    assert listings == [listings[0]] * 3


def test_what_a_release_lists_is_kept_once_for_all_views(many: Config) -> None:
    browser = Browser(many)
    keys = [browser.fs._inodes.get(browser.stat(f"{path}/{NAME}").inode).node.key for path in VIEWS]
    first, *others = [browser.fs._tree.directory(key).entries() for key in keys]
    assert all(each is first for each in others)
    # A directory in which a name belongs to something has its own.
    bound = browser.fs._inodes.get(browser.stat(f"Artists/Artist 1/{NAME}").inode).node.key
    directory = browser.fs._tree.directory(bound)
    directory.bind({"01. Song 1.mp3": keys[0]}, 60)
    assert directory.entries() is not first
    assert "01. Song 1.mp3" not in directory.entries().names


def test_tracks_of_releases_are_read_once_for_all_views(many: Config) -> None:
    browser = Browser(many)
    numbers = [
        browser.stat(f"{path}/!All Tracks").inode for path in ("Artists/Artist 1", "Genres/K-Pop", "Releases")
    ]
    with counted_queries(many) as queries:
        listings = [list(browser.fs.entries(number, 0)) for number in numbers]
    assert [len(listing) for listing in listings] == [20, 100, 100]
    assert len([query for query in queries if "FROM tracks" in query]) == 3 - 1  # the last has nothing new


def test_what_is_shared_goes_with_the_last_who_has_it(many: Config) -> None:
    browser = Browser(many)
    for path in (f"Releases/{NAME}", "Releases/!All Tracks"):
        for _ in range(2):
            number = browser.stat(path).inode
            with counted_queries(many) as queries:
                browser.forget(browser.fs.entries(number, 0))
            assert queries != []
            browser.fs.forget(number, 1)


def test_what_is_shared_is_of_the_version_that_was_seen(many: Config) -> None:
    browser = Browser(many)
    assert browser.ls(f"Releases/{NAME}")[0] == "01. Song 1.mp3"
    everything = browser.ls("Releases/!All Tracks")
    store(
        many,
        release_row(
            "release 1", title="Title 01", artists={"main": ["Artist 1"]}, genres=["K-Pop"], labels=["Label 1"],
            tracks=[track_row("track 1-1", "1", title="Another")],
        ),
    )  # fmt: skip
    browser.clock.advance(1)
    assert browser.ls(f"Labels/Label 1/{NAME}") == ["01. Another.mp3"]
    assert browser.ls(f"Releases/{NAME}") == ["01. Another.mp3"]
    assert browser.ls("Labels/Label 1/!All Tracks") == ["Artist - 2020. Title 01 - 01. Another.mp3"]
    now = browser.ls("Releases/!All Tracks")
    assert (len(now), len(set(now) - set(everything))) == (99, 1)


def test_after_a_retag_one_name_is_made_and_what_does_not_show_it_stays(unnamed: Config) -> None:
    many, browser = unnamed, Browser(unnamed)
    for path in ("Releases", "Artists/Artist 1", "Artists/Artist 2", "Labels/Label 9"):
        browser.ls(path)
    untouched = [browser.stat(path).inode for path in ("Artists/Artist 2", "Labels/Label 9")]
    store(many, release_row("release 1", title="New", artists={"main": ["Artist 1"]}, labels=["Label 1"]))
    forget_names(many)
    browser.clock.advance(1)
    browser.fs.getattr(ROOT_INODE)
    with counted_queries(many) as queries:
        for number in untouched:
            assert list(browser.fs.entries(number, 0))
    read = ("json_group_array", "r.names")
    assert not [query for query in queries if any(each in query for each in read)]  # no release was
    made = browser.fs.counters().evaluations
    assert "Artist 1 - 2020. New" in browser.ls("Releases")
    assert "Artist 1 - 2020. New" in browser.ls("Artists/Artist 1")
    assert browser.fs.counters().evaluations == made + 1


@pytest.mark.parametrize("name", [".Trash-1000", ".hidden", "folder.jpg", "._Releases", "Überhaupt nicht"])
def test_a_missing_name_costs_no_query(many: Config, name: str) -> None:
    browser = Browser(many)
    paths = ["", "Releases", "Artists", "Artists/Artist 1", "Releases/Artist 1 - 2020. Title 01"]
    numbers = [browser.stat(path).inode for path in paths]
    for path in paths:
        browser.ls(path)
    with counted_queries(many) as queries:
        assert not any(browser.exists(f"{path}/{name}" if path else name) for path in paths)
    assert queries == []
    assert len(numbers) == len(paths)


def test_stat_of_everything_touches_no_disk(many: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    # There are no files at all: the rows are the cache's alone. Nothing is even tried.
    touched: list[object] = []
    source = os.fsencode(many.music_source_dir)
    for name in ("stat", "lstat", "open", "scandir", "listdir"):
        real = getattr(os, name)

        def note(path: object, *arguments: object, real: object = real, **more: object) -> object:
            if isinstance(path, str | bytes | Path) and os.fsencode(path).startswith(source):
                touched.append(path)
            assert callable(real)
            return real(path, *arguments, **more)

        monkeypatch.setattr(os, name, note)
    assert len(dict(Browser(many).walk())) > 1000
    assert touched == []


def test_what_the_kernel_forgets_takes_no_memory(many: Config) -> None:
    browser = Browser(many)
    fs = browser.fs
    releases = browser.stat("Releases").inode
    listed = list(fs.entries(releases, 0))
    assert fs.counters().inodes == 2 + len(listed)
    for entry in listed:
        fs.forget(entry.attributes.inode, 1)
    fs.forget(releases, 1)
    assert fs.counters().inodes == 1
    assert fs.counters().directories == 1
    assert fs.counters().handles == 0


def test_tables_are_given_back_when_everything_was_forgotten(
    many: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rosefs.vfs.inodes._LARGE", 100)
    browser = Browser(many)
    fs = browser.fs
    pending, told = [1], []
    while pending:
        for entry in list(fs.entries(pending.pop(), 0)):
            told.append(entry.attributes.inode)
            if entry.attributes.is_directory:
                pending.append(entry.attributes.inode)
    tree = fs._tree
    whole = sys.getsizeof(tree._directories) + sys.getsizeof(tree._of_release)
    _follow(browser)
    for inode in told:
        fs.forget(inode, 1)
    assert fs.counters().directories == 1
    _follow(browser)
    _follow(browser)
    assert sys.getsizeof(tree._directories) + sys.getsizeof(tree._of_release) < whole / 20


def _follow(browser: Browser) -> None:
    browser.clock.advance(1)
    browser.fs.follow()


def test_many_threads_at_once(unnamed: Config) -> None:
    browser = Browser(unnamed)
    expected = sorted(path for path, _ in Browser(unnamed).walk("Artists"))
    found: list[list[str]] = []

    def walk() -> None:
        found.append(sorted(path for path, _ in browser.walk("Artists")))

    threads = [threading.Thread(target=walk) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 8
    # Each listing was built by one thread, while the others waited for it.
    assert browser.fs.counters().evaluations == RELEASES + 2 * RELEASES + 2 * RELEASES


RELEASE = "Releases/Artist 1 - 2020. Title 1"
PATH = "Releases/Artist 1 - 2020. Title 01/01. Song 1.mp3"


def lookups(c: Config, path: str) -> list[str]:
    """Returns the queries that it takes to find a path in a new mount; none of them may fill a large listing."""
    with counted_queries(c) as queries:
        Browser(c).stat(path)
    return queries


def test_one_path_is_found_in_a_new_mount_without_listing_what_is_large(
    many: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReleasesDirectory, "build", None)
    few = lookups(many, PATH)
    store(many, *(release_row(f"another {number}", title=f"Another {number}") for number in range(100)))
    assert len(lookups(many, PATH)) == len(few)
    assert len(few) <= 10 + 2 + 1  # when each view changed, the release, and the track


def test_a_missing_name_is_not_looked_for_among_all(many: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReleasesDirectory, "build", None)
    browser = Browser(many)
    releases = browser.stat("Releases").inode
    with counted_queries(many) as queries:
        assert browser.absence_may_be_kept(releases)
    assert len(queries) == 1


def test_who_looks_up_many_names_one_by_one_has_them_listed(many: Config) -> None:
    names = [f"Artist {number % 5} - 2020. Title {number:02}" for number in range(RELEASES)]
    store(many, *(release_row(f"x{number}", title=f"X{number}") for number in range(RELEASES)))
    names += [f"Artist - 2020. X{number}" for number in range(RELEASES)]
    browser = Browser(many)
    browser.stat("Releases")
    with counted_queries(many) as queries:
        for name in names:
            browser.stat(f"Releases/{name}")
    assert len(queries) == 64 + 1  # and then all at once


TRACK = b"01. Song 1.mp3"


def test_one_track_is_found_alone_and_who_asks_for_another_has_all_listed(full: Config) -> None:
    browser = Browser(full)
    number = browser.stat(RELEASE).inode
    with counted_queries(full) as queries:
        assert browser.fs.is_cheap(number, TRACK)
        found = browser.fs.lookup(number, TRACK)
    assert len(queries) == 1
    listing = browser.fs._tree.directory(browser.fs._inodes.get(number).node.key)
    assert not listing.is_ready
    with counted_queries(full) as queries:
        for each in range(2, 9):
            assert browser.fs.is_cheap(number, b"0%d. Song %d.mp3" % (each, each))
            browser.fs.lookup(number, b"0%d. Song %d.mp3" % (each, each))
    assert len(queries) == 1
    assert listing.is_ready
    assert browser.fs.lookup(number, TRACK) == found


@pytest.mark.parametrize("name", ["01. Song 1.mp3", "01. Song 1 [2].mp3"])
def test_a_name_that_several_tracks_want_is_found_as_it_is_listed(c: Config, name: str) -> None:
    tracks = [track_row(f"track {each}", "1", title="Song 1") for each in "ab"]
    store(c, release_row("release", title="Title", tracks=tracks))
    listed = Browser(c)
    (release,) = (each for each in listed.ls("Releases") if each.endswith("Title"))
    names = listed.ls(f"Releases/{release}")
    assert len(names) == 2
    inode = listed.stat(f"Releases/{release}/{name}").inode
    assert Browser(c).stat(f"Releases/{release}/{name}").inode == inode


def test_a_name_that_is_no_track_s_is_found_in_the_listing(full: Config) -> None:
    browser = Browser(full)
    number = browser.stat(RELEASE).inode
    with counted_queries(full) as queries:
        assert browser.absence_may_be_kept(number)
    assert len(queries) == 1 + 1  # the tracks, and everything


@pytest.fixture
def full(c: Config) -> Config:
    """A library of a hundred releases of ten tracks each by ten artists, in the cache only."""
    for number in range(100):
        tracks = [track_row(f"track {number}-{each}", str(each), title=f"Song {each}") for each in range(10)]
        artists = {"main": [f"Artist {number % 10}"]}
        store(
            c,
            release_row(
                f"{number}", title=f"Title {number}", artists=artists, genres=["K-Pop"], tracks=tracks
            ),
        )
    return c


def test_what_was_listed_takes_little_memory_for_each_entry(
    full: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "MOST_SPREAD", 10)  # few beside all that there are, as in a large library
    few = Browser(full)
    for path in few.ls():  # what every mount loads
        few.ls(path)
    list(few.walk("Artists/Artist 1"))
    browser = Browser(full)
    gc.collect()
    tracemalloc.start()
    try:
        entries = _list_all(browser, ROOT_INODE)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert entries > 8000
    assert taken / entries < 100


def test_directories_that_were_listed_are_small(full: Config) -> None:
    browser = Browser(full)
    gc.collect()
    before = sum(type(each) is Candidate for each in gc.get_objects())
    _list_all(browser, ROOT_INODE)
    directories = browser.fs._tree.directories()
    assert len(directories) > 900
    assert not [each for each in directories if hasattr(each, "__dict__")]
    assert {each._memory for each in directories} == {NO_NAMES}  # nothing has changed its name
    gc.collect()
    assert sum(type(each) is Candidate for each in gc.get_objects()) == before  # they are listed by now


def _list_all(browser: Browser, inode: int) -> int:
    """Lists everything below a directory, of which nothing is forgotten; returns how many entries there are."""
    found = [entry.attributes for entry in browser.fs.entries(inode, 0)]
    return len(found) + sum(_list_all(browser, each.inode) for each in found if each.is_directory)


def test_listings_that_were_put_away_are_the_same(many: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = dict(Browser(many).walk())
    monkeypatch.setattr(listings, "MOST_SPREAD", 0)
    browser = Browser(many)
    assert dict(browser.walk()) == kept
    assert {path: browser.stat(path) for path in kept} == kept
