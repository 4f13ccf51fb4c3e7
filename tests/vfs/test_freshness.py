"""What the tree shows after the cache changed, and the times of directories that tell programs about it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import rosecache
from rosecache.config import Config
from rosecache.database import connect, database_path
from rosecache.naming import UNNAMED
from rosecache.query import shown
from rosefs.vfs import release_contents
from rosefs.vfs.building import Built
from rosefs.vfs.contents import ReleasesDirectory
from rosefs.vfs.freshness import INTERVAL
from rosefs.vfs.model import ROOT_INODE
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.browsing import Browser
from tests.support.library import UPDATE_PROGRAM, make_list
from tests.support.rows import release_row, remove, store, store_playlist, track_row

HASH = "LOONA - 2018. Hash"


def listings(browser: Browser) -> dict[str, list[str]]:
    """Returns everything that is listed, by path."""
    paths = ["", *(path for path, attributes in browser.walk() if attributes.is_directory)]
    return {path: sorted(browser.ls(path)) for path in paths}


def edit(c: Config, edit: str) -> None:
    source = c.music_source_dir
    ids = [release.id for release in rosecache.list_releases(c)]
    tracks = [track.id for track in rosecache.list_tracks(c)]
    match edit:
        case "nothing":
            pass
        case "a retag":
            for path in (source / "loona").glob("*.opus"):
                set_tags(
                    path, album="Sharp", artist="ARTMS", albumartist="ARTMS", genre="Ambient", label="M",
                    descriptor="Dark",
                )  # fmt: skip
        case "a new title":
            set_tags(source / "loona" / "01.opus", title="Retitled")
        case "a loose track becomes an album":
            set_tags(source / "loose" / "01.opus", releasetype="album")
        case "an album becomes a loose track":
            set_tags(source / "blackpink" / "01.mp3", releasetype="loosetrack")
        case "new again":
            (datafile,) = (source / "loona").glob(".rose.*.toml")
            datafile.write_text('new = true\nadded_at = "2023-10-25T12:00:00-04:00"\n')
        case "a release is added":
            make_release(source, "added", artist="LOONA", genre="Hip Hop", label="YG", descriptor="Lush")
        case "a release is removed":
            shutil.rmtree(source / "blackpink")
        case "a track is removed":
            (source / "loona" / "02.opus").unlink()
        case "a release is renamed":
            (source / "loona").rename(source / "renamed")
        case "an extra file comes":
            (source / "loona" / "booklet.pdf").write_text("pdf")
        case "a collage comes":
            make_list(source / "!collages" / "new.toml", "releases", *ids)
        case "a collage is reordered":
            make_list(source / "!collages" / "c.toml", "releases", *ids[::-1])
        case "a collage goes":
            (source / "!collages" / "c.toml").unlink()
        case "a playlist loses a member":
            make_list(source / "!playlists" / "p.toml", "tracks", *tracks[1:])
        case "a playlist goes":
            (source / "!playlists" / "p.toml").unlink()


EDITS = [
    "nothing", "a retag", "a new title", "a loose track becomes an album", "an album becomes a loose track",
    "new again", "a release is added", "a release is removed", "a track is removed", "a release is renamed",
    "an extra file comes", "a collage comes", "a collage is reordered", "a collage goes",
    "a playlist loses a member", "a playlist goes",
]  # fmt: skip


@pytest.fixture
def listed(library: Config) -> Config:
    """The library with a collage and a playlist of everything."""
    make_list(
        library.collages_dir / "c.toml",
        "releases",
        *[release.id for release in rosecache.list_releases(library)],
    )
    make_list(
        library.playlists_dir / "p.toml", "tracks", *[track.id for track in rosecache.list_tracks(library)]
    )
    rosecache.update_cache(library)
    return library


@pytest.mark.parametrize("change", EDITS)
def test_after_a_change_everything_is_listed_as_in_a_new_mount(listed: Config, change: str) -> None:
    browser = Browser(listed)
    before = listings(browser)
    times = {path: browser.stat(path).mtime for path in before}
    known = {browser.stat(path).inode for path, _ in browser.walk()}
    edit(listed, change)
    browser.update()
    after = listings(browser)
    fresh = Browser(listed)
    assert after == listings(fresh)
    for _, found in fresh.walk():
        if found.inode in known and not found.is_directory:  # the kernel may ask by the number alone
            assert browser.fs.getattr(found.inode) == found
    for path in before.keys() & after.keys():
        # Scanners look again at what has a newer time: what is listed otherwise has one, and none goes back.
        newest = browser.stat(path).mtime
        assert newest >= times[path]
        if before[path] != after[path]:
            assert newest > times[path], path


def test_changes_show_after_a_twentieth_of_a_second_and_are_not_asked_for_before(library: Config) -> None:
    browser = Browser(library)
    browser.ls("Releases")
    make_release(library.music_source_dir, "added")
    rosecache.update_cache(library)
    browser.clock.advance(INTERVAL / 2)
    assert len(browser.releases("Releases")) == 2
    browser.clock.advance(INTERVAL / 2)
    assert len(browser.releases("Releases")) == 3


def test_the_update_of_another_process_shows(library: Config) -> None:
    browser = Browser(library)
    assert len(browser.releases("Releases")) == 2
    make_release(library.music_source_dir, "added", tracks=1)
    subprocess.run(
        [sys.executable, "-c", UPDATE_PROGRAM, library.music_source_dir, library.cache_dir],
        check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    browser.clock.advance(1)
    assert len(browser.releases("Releases")) == 3


def test_every_thread_sees_what_another_thread_found_to_be_new(library: Config) -> None:
    browser = Browser(library)
    browser.ls("Releases")
    answers: list[int] = []

    def look() -> None:
        browser.clock.advance(1)
        answers.append(len(browser.releases("Releases")))

    for number in range(2):
        make_release(library.music_source_dir, f"added {number}", tracks=1)
        rosecache.update_cache(library)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(30)
        look()
    assert answers == [3, 3, 4, 4]


def test_a_database_that_was_replaced_is_read_anew(library: Config) -> None:
    browser = Browser(library)
    before = listings(browser)
    times = {path: browser.stat(path).mtime for path in before}
    make_release(library.music_source_dir, "added", tracks=1, artist="LOONA", genre="K-Pop", label="YG")
    replace_database(library)
    browser.update()
    assert listings(browser) == listings(Browser(library)) != before
    for path in before.keys() & listings(browser).keys():
        assert browser.stat(path).mtime >= times[path]


def replace_database(c: Config) -> None:
    for file in c.cache_dir.glob(f"{database_path(c).name}*"):
        file.unlink()


def test_a_replaced_database_is_noticed_by_who_wrote_to_neither(library: Config) -> None:
    # All that a connection can tell about itself is the same for both; only that it is another one tells.
    with ThreadPoolExecutor(1) as thread:
        browser = thread.submit(Browser, library).result()
        assert len(thread.submit(browser.releases, "Releases").result()) == 2
        browser.clock.advance(1)
        assert len(thread.submit(browser.releases, "Releases").result()) == 2
        replace_database(library)
        make_release(library.music_source_dir, "added", tracks=1)
        rosecache.update_cache(library)
        browser.clock.advance(1)
        assert len(thread.submit(browser.releases, "Releases").result()) == 3


def test_a_time_does_not_go_back_with_another_database(c: Config) -> None:
    paths = (
        "",
        "Releases",
        "Artists",
        "Artists/Artist",
        "Artists/Artist/!All Tracks",
        "Releases/Artist - 2020. Title",
    )
    store(c, release_row("aaa", mtime=9_000))
    browser = Browser(c)
    assert {browser.stat(path).mtime for path in paths} == {9_000}
    replace_database(c)
    store(c, release_row("aaa", mtime=5_000))
    browser.clock.advance(1)
    assert {browser.stat(path).mtime for path in paths} == {9_000}
    assert Browser(c).stat("Artists").mtime == 5_000


def test_a_change_while_a_listing_is_built_is_not_lost(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    store(c, release_row("aaa", labels=["X"]))
    browser = Browser(c)
    assert len(browser.releases("Labels/X")) == 1
    store(c, release_row("bbb", labels=["X"]))
    browser.clock.advance(1)
    browser.stat("Labels/X")
    build = ReleasesDirectory.build

    def build_while_it_changes(self: ReleasesDirectory, generation: int) -> Built:
        built = build(self, generation)
        monkeypatch.setattr(ReleasesDirectory, "build", build)
        store(c, release_row("bbb", labels=["Y"]))
        browser.clock.advance(1)
        browser.stat("Artists")  # another request finds the change, and no listing that it touches
        return built

    monkeypatch.setattr(ReleasesDirectory, "build", build_while_it_changes)
    assert len(browser.releases("Labels/X")) == 2
    assert len(browser.releases("Labels/X")) == 1


@pytest.mark.parametrize(
    ("path", "function"),
    [
        (f"Releases/{{NEW}} {HASH}", "list_releases"),  # asked only for names that the cache does not have
        (f"Releases/{{NEW}} {HASH}/cover.png", "get_release_files"),
    ],
    ids=["release", "cover"],
)
def test_a_release_that_is_renamed_while_it_is_read_is_read_whole(
    c: Config, monkeypatch: pytest.MonkeyPatch, path: str, function: str
) -> None:
    directory = make_release(c.music_source_dir, "one", artist="LOONA", album="Hash", date="2018", cover=True)
    browser = Browser(c)
    browser.update()
    inode = browser.stat(path).inode
    read = getattr(rosecache, function)
    renamed = []

    def rename_first(c: Config, release: Any) -> Any:
        monkeypatch.setattr(rosecache, function, read)
        renamed.append(release)
        directory.rename(c.music_source_dir / "two")
        with ThreadPoolExecutor(1) as other:
            assert other.submit(rosecache.update_cache, c).result().changed == 1
        return read(c, release)

    (c.music_source_dir / "one/note.txt").write_text("what is known is out of date")
    browser.update()
    with connect(c) as connection:
        connection.execute("UPDATE releases SET naming = ?", (UNNAMED,))
    browser.clock.advance(1)
    browser.fs.getattr(ROOT_INODE)  # finds the change
    monkeypatch.setattr(rosecache, function, rename_first)
    assert browser.fs.getattr(inode).inode == inode
    browser.ls(path.removesuffix("/cover.png"))
    assert renamed
    browser.clock.advance(1)
    assert browser.xattr(f"Releases/{{NEW}} {HASH}", "user.rosefs.source_path").endswith("/two")
    assert browser.read(f"Releases/{{NEW}} {HASH}/cover.png") == PICTURE


def test_what_was_read_before_a_change_is_not_shared_after_it(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_as(title: str) -> None:
        store(c, release_row("aaa", title=title, labels=["X"], genres=["G"], tracks=[track_row("t")]))

    store_as("Old")
    browser = Browser(c)
    browser.stat("Labels/X/!All Tracks")
    list_tracks = shown.list_shown_tracks

    def change() -> None:
        store_as("New")
        browser.clock.advance(1)
        browser.stat("Genres")  # another request finds the change

    def change_after_reading(*arguments: Any) -> Any:
        found = list_tracks(*arguments)
        monkeypatch.setattr(release_contents, "list_shown_tracks", list_tracks)
        with ThreadPoolExecutor(1) as other:
            other.submit(change).result()
        return found

    monkeypatch.setattr(release_contents, "list_shown_tracks", change_after_reading)
    (before,) = browser.ls("Labels/X/!All Tracks")
    (after,) = browser.ls("Genres/G/!All Tracks")
    assert "Old" in before
    assert "New" in after
    assert browser.ls("Labels/X/!All Tracks") == [after]


@pytest.mark.parametrize("others", [0, 100])
def test_who_reads_a_directory_gets_everything_once_whatever_comes_and_goes(c: Config, others: int) -> None:
    store(c, *(release_row(f"r{number:02}", title=f"Title {number:02}") for number in range(20)))
    browser = Browser(c)
    fs = browser.fs
    number = browser.stat("Releases").inode
    browser.ls("Releases")
    read = list(itertools.islice(fs.entries(number, 0), 10))
    for gone in range(1, 9):  # as rm does with what it has read
        remove(c, f"r{gone:02}")
    store(c, release_row("r00b", title="Title 00b"), release_row("r19b", title="Title 19b"))
    browser.clock.advance(1)
    for _ in range(others):  # so many that nobody remembers who was reading
        fs.entries(browser.stat(f"Search/releasetitle:{_}").inode, 0)
    read += fs.entries(number, read[-1].offset)
    titles = [entry.name.decode()[-8:] for entry in read[1:]]
    before = [f"Title {number:02}" for number in range(20)]
    assert [title for title in titles if title in before] == before
    assert len({entry.offset for entry in read}) == len(read)
    assert 0 not in {entry.offset for entry in read}
    assert [entry.name for entry in fs.entries(number, read[-2].offset)] == [read[-1].name]


def test_two_may_read_a_directory_at_once(c: Config) -> None:
    store(c, *(release_row(f"r{number:02}", title=f"Title {number:02}") for number in range(20)))
    browser = Browser(c)
    number, expected = browser.stat("Releases").inode, browser.ls("Releases")
    offsets, names = [0, 0], [[], []]  # type: tuple[list[int], list[list[str]]]
    for turn in range(12):
        for entry in itertools.islice(browser.fs.entries(number, offsets[turn % 2]), 4):
            names[turn % 2].append(entry.name.decode())
            offsets[turn % 2] = entry.offset
    assert names == [expected, expected]


def test_a_directory_has_the_time_of_the_newest_change_of_what_it_lists(c: Config) -> None:
    store(
        c,
        release_row("aaa", artists={"main": ["A"]}, labels=["L"], mtime=5_000, tracks=[track_row("t")]),
        release_row("bbb", artists={"main": ["B"]}, labels=["L"], mtime=9_000, new=True),
    )
    store_playlist(c, "p", "t", mtime=4_000)
    browser = Browser(c)
    times = {
        "": 9_000, "Releases": 9_000, "Releases - New": 9_000, "Artists": 9_000, "Artists/A": 5_000,
        "Artists/A/!All Tracks": 5_000, "Artists/A/A - 2020. Title": 5_000, "Artists/B": 9_000,
        "Labels/L": 9_000, "Labels/L/!All Tracks": 9_000, "Loose Tracks": 0, "Playlists/p": 5_000,
        "Playlists/p/p.m3u8": 5_000,
    }  # fmt: skip
    assert {path: browser.stat(path).mtime for path in times} == times


def test_collages_and_playlists_do_without_cached_absence(listed: Config) -> None:
    browser = Browser(listed)
    collage = browser.releases("Collages/c")[0]

    for path in ("Collages", "Collages/c", f"Collages/c/{collage}", "Playlists", "Playlists/p"):
        assert not browser.absence_may_be_kept(browser.stat(path).inode)
    for path in ("", "Releases", "Artists/LOONA", f"Artists/LOONA/{HASH}"):
        assert browser.absence_may_be_kept(browser.stat(path).inode)


def test_what_is_listed_already_or_short_is_cheap(library: Config) -> None:
    browser = Browser(library)
    fs = browser.fs
    releases = browser.stat("Releases").inode
    assert not fs.is_cheap(releases)
    release = browser.stat(f"Releases/{HASH}").inode
    assert not fs.is_cheap(releases)  # nothing was listed to find it
    assert fs.is_cheap(releases, HASH.encode())
    browser.ls("Releases")
    assert fs.is_cheap(releases)
    assert fs.is_cheap(release)  # it is short
    assert fs.is_known(release)
    track = browser.stat(f"Releases/{HASH}/01. Track 1.opus").inode
    assert fs.is_cheap(release)
    assert fs.is_cheap(track)
    browser.clock.advance(INTERVAL)
    assert not fs.is_cheap(releases)  # somebody has to look at the change feed
    assert fs.getattr(releases)
    assert fs.is_cheap(releases)
    set_tags(library.music_source_dir / "loona" / "01.opus", title="New")
    browser.update()
    fs.getattr(1)
    assert not fs.is_cheap(releases)
    assert not fs.is_cheap(track)
