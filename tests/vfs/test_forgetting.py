"""What the kernel is told to forget after a change, and what it may keep: by a kernel that takes note, and no mount."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

import rosecache
from rosecache.config import Config
from rosecache.database import connect, log_path, log_stamp
from rosefs.library.journal import Journal
from rosefs.rules.smart import parse_smart
from rosefs.settings import SmartSettings, VfsSettings
from rosefs.vfs import freshness
from rosefs.vfs.errors import AbsentError
from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.nodes import Key
from rosefs.vfs.overlay import MOMENT
from rosefs.vfs.telling import Telling
from tests.support.audio import make_release, set_tags
from tests.support.browsing import Browser, Clock
from tests.support.library import cached_ids, make_list

HASH = "LOONA - 2018. Hash"
SQUARE = "BLACKPINK - 2016. Square - Single"


@dataclass
class NotingKernel:
    """A kernel that knows everything and notes what it was told: names with their directory's path, and inodes."""

    keeps_listings: bool = False
    entries: set[tuple[int, str]] = field(default_factory=set)
    attributes: set[int] = field(default_factory=set)
    pages: set[int] = field(default_factory=set)

    def forget_entry(self, parent: int, name: bytes) -> bool:
        self.entries.add((parent, name.decode()))
        return True

    def forget_attributes(self, inode: int) -> bool:
        self.attributes.add(inode)
        return True

    def drop_pages(self, inode: int) -> bool:
        self.pages.add(inode)
        return True


class Watched(Browser):
    """A tree with a kernel that has looked at everything."""

    def __init__(self, c: Config, fs: FileSystem | None = None) -> None:
        super().__init__(c)
        if fs is not None:
            self.fs = fs
            assert isinstance(fs._clock, Clock)
            self.clock = fs._clock
        self.kernel = NotingKernel()
        self.fs.connect(self.kernel)
        self.paths = {attributes.inode: path for path, attributes in self.walk()}
        self.paths[1] = ""
        for path in self.paths.values():
            self.stat(path)

    def told(self) -> tuple[set[str], set[str], set[str]]:
        """Looks at the change feed, and returns the paths that the kernel was told: names, attributes, pages."""
        self.clock.advance(1)
        self.fs.follow()
        self.settle()
        kernel, paths = self.kernel, self.paths
        names = {os.path.join(paths[parent], name) for parent, name in kernel.entries}
        return names, {paths[each] for each in kernel.attributes}, {paths[each] for each in kernel.pages}

    def releases_by_directory(self) -> dict[str, str]:
        return {release.source_path.name: release.id for release in rosecache.list_releases(self.c)}

    def settle(self) -> None:
        assert self.fs._telling.wait(60)


@pytest.fixture
def watched(library: Config) -> Iterator[Watched]:
    ids = cached_ids(library)
    make_list(library.playlists_dir / "p.toml", "tracks", ids["loona/01.opus"], ids["blackpink/01.mp3"])
    rosecache.update_cache(library)
    watched = Watched(library)
    yield watched
    watched.fs.close()


def test_without_a_change_nothing_is_told_and_nothing_asked_but_the_version_now_and_then(
    watched: Watched,
) -> None:
    statements: list[str] = []
    with connect(watched.c) as connection:
        watched.fs.follow()
        connection.set_trace_callback(statements.append)
        for _ in range(3):
            watched.fs.follow()
        assert statements == []
        for _ in range(3):
            watched.clock.advance(1)
            watched.fs.follow()
        connection.set_trace_callback(None)
    assert statements == ["PRAGMA data_version"] * 3
    assert watched.told() == (set(), set(), set())


def test_what_is_written_is_seen_at_the_next_look(watched: Watched) -> None:
    watched.fs.follow()
    for title in ("Another", "Yet Another"):
        set_tags(watched.c.music_source_dir / "loona/01.opus", title=title)
        rosecache.update_cache(watched.c)
        watched.kernel.attributes.clear()
        watched.fs.follow()  # at the same time, by the clock
        watched.settle()
        assert watched.kernel.attributes


def test_what_the_log_does_not_tell_of_is_seen_soon(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = log_stamp(log_path(watched.c))
    monkeypatch.setattr(freshness, "log_stamp", lambda path: stamp)
    watched.fs.follow()
    set_tags(watched.c.music_source_dir / "loona/01.opus", title="Another")
    rosecache.update_cache(watched.c)
    watched.fs.follow()
    watched.settle()
    assert not watched.kernel.attributes
    watched.clock.advance(1)
    watched.fs.follow()
    watched.settle()
    assert watched.kernel.attributes


@pytest.mark.expects_log("the mount does not see changes of the cache: busy")
def test_what_could_not_be_read_is_read_at_the_next_look(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise sqlite3.OperationalError("busy")

    watched.fs.follow()
    set_tags(watched.c.music_source_dir / "loona/01.opus", title="Another")
    rosecache.update_cache(watched.c)
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "changes_since", fail)
        watched.fs.follow()
    watched.fs.follow()
    watched.settle()
    assert watched.kernel.attributes


def test_a_retag_takes_no_name_back(watched: Watched) -> None:
    set_tags(watched.c.music_source_dir / "loona/01.opus", title="Another")
    rosecache.update_cache(watched.c)
    names, attributes, pages = watched.told()
    assert names == set()
    assert f"Releases/{HASH}/01. Track 1.opus" in pages or any(
        path.endswith("Track 1.opus") for path in pages
    )
    assert f"Artists/LOONA/{HASH}" in attributes
    assert f"Artists/BLACKPINK/{SQUARE}" not in attributes
    assert "Artists/BLACKPINK" not in attributes
    assert not any("BLACKPINK" in path for path in attributes | pages)


def test_names_of_what_is_gone_are_told(watched: Watched) -> None:
    for path in (watched.c.music_source_dir / "blackpink").iterdir():
        path.unlink()
    rosecache.update_cache(watched.c)
    names, _, _ = watched.told()
    assert {f"Releases/{SQUARE}", f"Artists/BLACKPINK/{SQUARE}", f"Genres/Hip Hop/{SQUARE}"} <= names
    assert not any(HASH in path for path in names)


@pytest.mark.parametrize("title", [None, "Another"])
def test_what_became_of_a_track_that_was_found_alone_is_told(library: Config, title: str | None) -> None:
    """The name goes with the track, and stays when it is called otherwise: until another track is called so."""
    browser, kernel = Browser(library), NotingKernel()
    browser.fs.connect(kernel)
    release = browser.stat(f"Releases/{HASH}").inode
    track = browser.stat(f"Releases/{HASH}/01. Track 1.opus")
    source = library.music_source_dir / "loona"
    if title is None:
        (source / "01.opus").unlink()
    else:
        set_tags(source / "01.opus", title=title)
    browser.update()
    browser.fs.follow()
    assert browser.fs._telling.wait(60)
    gone = (release, "01. Track 1.opus")
    assert (gone in kernel.entries) == (title is None)
    assert browser.exists(f"Releases/{HASH}/01. Track 1.opus") == (title is not None)
    if title is not None:
        assert browser.stat(f"Releases/{HASH}/01. Track 1.opus").inode == track.inode
        assert "01. Another.opus" in browser.ls(f"Releases/{HASH}")
    browser.fs.close()


def test_what_is_not_new_any_more_is_gone_from_there_only(watched: Watched) -> None:
    (datafile,) = (watched.c.music_source_dir / "loona").glob(".rose.*.toml")
    text = datafile.read_text()
    datafile.write_text(text.replace("new = false", "new = true"))
    rosecache.update_cache(watched.c)
    watched.told()
    name = watched.releases("Releases - New")[0]
    watched.paths |= {watched.stat("Releases - New").inode: "Releases - New"}
    watched.kernel.entries.clear()
    datafile.write_text(text)
    rosecache.update_cache(watched.c)
    names, _, _ = watched.told()
    assert {path for path in names if not path.endswith(".opus")} == {f"Releases - New/{name}"}


def test_absent_names_are_told_where_they_may_have_come(watched: Watched) -> None:
    for path in ("Artists/ARTMS", f"Releases/{HASH}/new.log", f"Releases/{SQUARE}/new.log", "Labels/Modhaus"):
        with pytest.raises(AbsentError):
            watched.stat(path)
    source = watched.c.music_source_dir
    make_release(source, "new", artist="ARTMS", label="M")
    (source / "loona/new.log").write_text("log")
    rosecache.update_cache(watched.c)
    names, _, _ = watched.told()
    assert names == {"Artists/ARTMS", f"Releases/{HASH}/new.log"}


def test_an_absent_name_is_told_in_the_form_in_which_it_was_asked_for(watched: Watched) -> None:
    decomposed = "Bjo\u0308rk"
    with pytest.raises(AbsentError):
        watched.stat(f"Artists/{decomposed}")
    make_release(watched.c.music_source_dir, "new", artist="Bj\u00f6rk")
    rosecache.update_cache(watched.c)
    assert watched.told()[0] == {f"Artists/{decomposed}"}
    assert watched.stat("Artists/Bj\u00f6rk").keep_name
    assert not watched.stat(f"Artists/{decomposed}").keep_name  # of which nobody knows when it ends


def test_an_open_file_keeps_its_pages(watched: Watched) -> None:
    cover = f"Releases/{HASH}/cover.png"
    with watched.opened(cover):
        (watched.c.music_source_dir / "loona/rip.log").write_text("log")
        rosecache.update_cache(watched.c)
        watched.told()
    number = watched.stat(cover).inode
    assert number in watched.kernel.attributes
    assert number not in watched.kernel.pages


def test_a_playlist_list_is_told_with_its_playlist_only(watched: Watched) -> None:
    list_file = watched.stat("Playlists/p/p.m3u8").inode
    set_tags(watched.c.music_source_dir / "loose/01.opus", title="Another")
    rosecache.update_cache(watched.c)
    watched.told()
    assert list_file not in watched.kernel.pages
    set_tags(watched.c.music_source_dir / "loona/01.opus", title="Another")
    rosecache.update_cache(watched.c)
    watched.told()
    assert list_file in watched.kernel.pages


def test_after_a_resync_everything_is_told_but_names_that_still_work(watched: Watched) -> None:
    with pytest.raises(AbsentError):
        watched.stat("folder.jpg")
    for file in watched.c.cache_dir.glob("*.sqlite3*"):
        file.unlink()
    (watched.c.music_source_dir / "loona/02.opus").unlink()
    rosecache.update_cache(watched.c)
    names, attributes, pages = watched.told()
    assert {path.rpartition("/")[2] for path in names} <= {
        "folder.jpg",
        "02. Track 2.opus",
        "LOONA - 2018. Hash - 02. Track 2.opus",
    }
    assert "folder.jpg" in names
    assert attributes | pages == set(watched.paths.values())


def test_with_other_settings_no_name_is_known_any_more(watched: Watched) -> None:
    with pytest.raises(AbsentError):
        watched.stat("folder.jpg")
    watched.fs.reconfigure(watched.c.path_templates, VfsSettings())
    names, attributes, pages = watched.told()
    assert set(watched.paths.values()) - {""} <= names
    assert "folder.jpg" in names
    assert attributes | pages == set(watched.paths.values())


@pytest.mark.expects_log("the kernel is to forget everything")
def test_when_the_cache_does_not_answer_everything_is_told(watched: Watched) -> None:
    set_tags(watched.c.music_source_dir / "loona/01.opus", title="Another")
    rosecache.update_cache(watched.c)

    def fail(directory: object, release_ids: object) -> NoReturn:
        raise sqlite3.OperationalError("disk I/O error")

    releases = watched.fs._tree.directory(Key("releases", "", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(releases), "lost", fail)
        names, attributes, pages = watched.told()
    assert set(watched.paths.values()) - {""} <= names
    assert attributes | pages == set(watched.paths.values())


def test_names_out_of_an_old_listing_are_not_kept(watched: Watched) -> None:
    fs = watched.fs
    number = watched.stat("Releases").inode
    read = list(fs.entries(number, 0))
    assert all(entry.attributes.keep_name for entry in read)
    make_release(watched.c.music_source_dir, "new")
    rosecache.update_cache(watched.c)
    watched.told()
    assert not any(entry.attributes.keep_name for entry in fs.entries(number, read[0].offset))
    assert all(entry.attributes.keep_name for entry in watched.entries("Releases"))


# Lists ----------------------------------------------------------------------------------------------------


MIX = [
    "1. LOONA - Track 1.opus",
    "2. BLACKPINK - Track 1.mp3",
    "3. LOONA - Track 1.opus",
    "4. LOONA - Track 2.opus",
]
SMART = (
    SmartSettings(name="First", kind="collage", matcher="releasetitle:", sort="releasetitle", limit=1),
    SmartSettings(name="Ones", kind="playlist", matcher="tracktitle:Track 1", sort="releasetitle"),
    SmartSettings(name="Saved", kind="search", matcher="releasetitle:Hash"),
)


@pytest.fixture
def lists(library: Config, tmp_path: Path) -> Iterator[Watched]:
    """A tree with lists that can be changed, and with smart ones, whose kernel has looked at everything."""
    ids = cached_ids(library)
    found = {release.source_path.name: release.id for release in rosecache.list_releases(library)}
    first = ids["loona/01.opus"]
    make_list(
        library.playlists_dir / "Mix.toml",
        "tracks",
        first,
        ids["blackpink/01.mp3"],
        first,
        ids["loona/02.opus"],
    )
    make_list(library.collages_dir / "Both.toml", "releases", found["loona"], found["blackpink"])
    rosecache.update_cache(library)
    watched = Watched(library, FileSystem(
        library, VfsSettings(), journal=Journal(tmp_path / "state"), clock=Clock(), smart=parse_smart(SMART),
    ))  # fmt: skip
    yield watched
    watched.fs.close()


def test_names_in_lists_are_kept(lists: Watched) -> None:
    paths = ("Playlists/Mix", "Collages/Both", "Collages/First/!All Tracks", "Playlists/Ones", "Search/Saved")
    for path in (*paths, "Collages", "Playlists", f"Collages/Both/1. {HASH}"):
        entries = lists.entries(path)
        assert all(each.attributes.keep_name for each in entries)
        assert all(lists.stat(f"{path}/{each.name.decode()}").keep_name for each in entries)


def test_absence_is_kept_in_no_collage_and_no_playlist(lists: Watched) -> None:
    for path in (
        "Collages",
        "Collages/Both",
        "Collages/First",
        "Playlists",
        "Playlists/Mix",
        "Playlists/Ones",
    ):
        assert not lists.absence_may_be_kept(lists.stat(path).inode)
    assert lists.absence_may_be_kept(lists.stat("Search/Saved").inode)


def test_names_of_what_left_a_list_are_told_and_what_was_renumbered_is_found_still(lists: Watched) -> None:
    ids = cached_ids(lists.c)
    make_list(lists.c.playlists_dir / "Mix.toml", "tracks", ids["blackpink/01.mp3"], ids["loona/02.opus"])
    make_list(lists.c.collages_dir / "Both.toml", "releases", lists.releases_by_directory()["blackpink"])
    rosecache.update_cache(lists.c)
    names, _, _ = lists.told()
    assert {name for name in names if name.startswith("Playlists/Mix/")} == {
        f"Playlists/Mix/{MIX[0]}",
        f"Playlists/Mix/{MIX[2]}",
    }
    assert {name for name in names if name.startswith("Collages/Both/")} == {
        f"Collages/Both/1. {HASH}",
        *(
            f"Collages/Both/!All Tracks/{HASH} - {track}"
            for track in ("01. Track 1.opus", "02. Track 2.opus")
        ),
    }
    for path in (f"Playlists/Mix/{MIX[1]}", f"Playlists/Mix/{MIX[3]}", f"Collages/Both/2. {SQUARE}"):
        assert lists.stat(path).keep_name


def test_all_names_of_a_list_that_is_gone_are_told(lists: Watched) -> None:
    (lists.c.playlists_dir / "Mix.toml").unlink()
    (lists.c.collages_dir / "Both.toml").unlink()
    rosecache.update_cache(lists.c)
    names, _, _ = lists.told()
    assert {
        "Playlists/Mix",
        "Collages/Both",
        *(f"Playlists/Mix/{name}" for name in MIX),
        f"Collages/Both/1. {HASH}",
    } <= names


def test_other_names_of_what_is_removed_are_told_at_once(lists: Watched) -> None:
    ids = cached_ids(lists.c)
    moved = [ids["blackpink/01.mp3"], ids["loona/02.opus"]]
    make_list(lists.c.playlists_dir / "Mix.toml", "tracks", *moved)
    rosecache.update_cache(lists.c)
    lists.told()
    old, new = f"Playlists/Mix/{MIX[3]}", "Playlists/Mix/2. LOONA - Track 2.opus"
    assert lists.stat(old).keep_name  # a name that was taken away
    assert lists.stat(new).keep_name
    lists.kernel.entries.clear()
    directory = lists.stat("Playlists/Mix").inode
    lists.fs.unlink(directory, b"2. LOONA - Track 2.opus")
    lists.settle()
    assert {(directory, MIX[3]), (directory, "2. LOONA - Track 2.opus")} <= lists.kernel.entries
    assert not lists.exists(old)


def test_names_are_not_kept_while_numbers_are_and_told_when_these_close_up(lists: Watched) -> None:
    directory = lists.stat("Playlists/Mix").inode
    lists.fs.unlink(directory, os.fsencode(MIX[0]))
    assert lists.ls("Playlists/Mix")[0] == MIX[1]
    assert not any(each.attributes.keep_name for each in lists.entries("Playlists/Mix"))
    assert not lists.stat(f"Playlists/Mix/{MIX[2]}").keep_name
    lists.settle()
    lists.kernel.entries.clear()
    lists.clock.advance(MOMENT)
    lists.fs.run_due()
    lists.settle()
    assert lists.kernel.entries == {(directory, MIX[2])}  # which is the track itself now
    assert lists.ls("Playlists/Mix")[:2] == ["1. BLACKPINK - Track 1.mp3", "2. LOONA - Track 1.opus"]
    assert lists.stat(f"Playlists/Mix/{MIX[1]}").keep_name


def test_numbers_do_not_close_up_while_programs_remove(lists: Watched) -> None:
    directory = lists.stat("Playlists/Mix").inode
    for name in MIX[:3]:
        lists.fs.unlink(directory, os.fsencode(name))
        lists.clock.advance(MOMENT - 1)
        lists.fs.run_due()
        assert lists.ls("Playlists/Mix")[-2] == MIX[3]
    lists.clock.advance(1)
    lists.fs.run_due()
    assert lists.ls("Playlists/Mix")[0] == "1. LOONA - Track 2.opus"


def test_names_of_a_file_that_is_removed_are_told_in_playlists_too(lists: Watched) -> None:
    release = lists.stat(f"Releases/{HASH}").inode
    lists.kernel.entries.clear()
    lists.fs.unlink(release, b"02. Track 2.opus")
    names, _, _ = lists.told()
    assert {f"Playlists/Mix/{MIX[3]}", f"Collages/Both/1. {HASH}/02. Track 2.opus"} <= names


def test_of_a_smart_list_all_names_are_told_once_and_it_is_not_found_out_what_is_in_it(
    lists: Watched,
) -> None:
    paths = ("Playlists/Ones", "Collages/First/!All Tracks")

    def told() -> set[str]:
        names, _, _ = lists.told()
        lists.kernel.entries.clear()
        return {name for name in names if name.startswith(paths)}

    expected = {f"{path}/{name}" for path in paths for name in lists.ls(path)}
    make_release(lists.c.music_source_dir, "new", tracks=1, artist="A", album="A", title="Another")
    rosecache.update_cache(lists.c)
    assert told() == expected
    set_tags(lists.c.music_source_dir / "loona/02.opus", title="Another")
    rosecache.update_cache(lists.c)
    assert told() == set()  # of which none is kept
    (track,) = lists.entries("Collages/First/!All Tracks")  # the other list is not looked at
    assert track.name == b"A - 2020. A - 01. Another.opus"
    assert track.attributes.keep_name
    assert told() == {name for name in expected if name.startswith(paths[1])}  # it is not listed any more
    set_tags(lists.c.music_source_dir / "loona/02.opus", title="Yet Another")
    rosecache.update_cache(lists.c)
    assert told() == {f"Collages/First/!All Tracks/{track.name.decode()}"}


def test_a_smart_collage_is_asked_for_what_it_lists_and_files_in_it_keep_their_old_names(
    lists: Watched,
) -> None:
    (release,) = lists.releases("Collages/First")
    assert not any(each.attributes.keep_name for each in lists.entries("Collages/First"))
    assert not lists.stat(f"Collages/First/{release}").keep_name
    (track,) = (name for name in lists.ls(f"Collages/First/{release}") if name.startswith("01."))
    path = f"Collages/First/{release}/{track}"
    assert lists.stat(path).keep_name
    set_tags(Path(lists.xattr(path, "user.rosefs.source_path")), title="Another")
    rosecache.update_cache(lists.c)
    names, _, _ = lists.told()
    assert not any(name.startswith("Collages/First/1. ") for name in names)
    assert track not in lists.ls(f"Collages/First/{release}")
    assert lists.exists(path)


def test_a_renamed_list_is_found_by_what_the_kernel_takes_for_it(lists: Watched) -> None:
    top, old = lists.stat("Playlists").inode, lists.stat("Playlists/Mix").inode
    lists.kernel.entries.clear()
    lists.fs.rename(top, b"Mix", top, b"Other", 0)
    assert {(old, name) for name in (*MIX, "Mix.m3u8")} <= lists.kernel.entries  # before it is answered
    listed = lists.forget(lists.fs.entries(old, 0))
    assert [each.name.decode() for each in listed] == [*MIX, "Other.m3u8"]
    assert not any(each.attributes.keep_name for each in listed)
    assert not lists.fs.lookup(old, os.fsencode(MIX[0])).keep_name
    new = lists.stat("Playlists/Other")
    assert new.keep_name
    assert new.inode != old
    assert all(each.attributes.keep_name for each in lists.entries("Playlists/Other"))
    lists.fs.mkdir(top, b"Mix")
    assert lists.stat("Playlists/Mix").inode not in (old, new.inode)
    assert lists.ls("Playlists/Mix") == ["Mix.m3u8"]
    assert lists.ls("Playlists/Other") == [*MIX, "Other.m3u8"]


# Listings -----------------------------------------------------------------------------------------------


@pytest.fixture
def keeping(watched: Watched) -> Watched:
    """A tree whose kernel keeps listings, of which it has all."""
    watched.kernel.keeps_listings = True
    for path, attributes in watched.walk():
        if attributes.is_directory:
            read_to_the_end(watched, path)
    watched.told()
    watched.kernel.pages.clear()
    return watched


def read_to_the_end(browser: Browser, path: str) -> None:
    entries, inode = browser.entries(path), browser.stat(path).inode
    assert browser.forget(browser.fs.entries(inode, entries[-1].offset if entries else 0)) == []


def dropped(keeping: Watched) -> set[str]:
    """Returns of which directories listings were dropped."""
    keeping.settle()
    return {
        path for inode in keeping.kernel.pages if (path := keeping.paths[inode]).rpartition(".")[2] != "opus"
    }


def test_what_is_true_stays_with_the_kernel(keeping: Watched) -> None:
    for path in ("", "Releases", f"Releases/{HASH}", "Playlists", "Playlists/p", "Releases/!All Tracks"):
        read_to_the_end(keeping, path)
    assert dropped(keeping) == set()


def test_listings_of_what_a_change_concerns_are_dropped(keeping: Watched) -> None:
    set_tags(keeping.c.music_source_dir / "loona/01.opus", title="Another")
    rosecache.update_cache(keeping.c)
    keeping.told()
    expected = {f"Releases/{HASH}", f"Artists/LOONA/{HASH}", "Releases/!All Tracks", "Playlists/p"}
    assert expected <= dropped(keeping)
    assert not any("BLACKPINK" in path for path in dropped(keeping))


def test_what_is_hidden_for_a_moment_is_dropped_and_not_kept(keeping: Watched) -> None:
    path = f"Releases/{HASH}"
    cover = keeping.stat(f"{path}/cover.png").inode
    directory, file = (keeping.fs._inodes.get(each).node.key for each in (keeping.stat(path).inode, cover))
    keeping.fs._overlay.hide(directory, file)
    assert dropped(keeping) == {path}
    keeping.kernel.pages.clear()
    read_to_the_end(keeping, path)
    assert dropped(keeping) == {path}
    keeping.clock.advance(MOMENT)
    keeping.kernel.pages.clear()
    read_to_the_end(keeping, path)
    assert dropped(keeping) == set()


def test_what_is_hidden_everywhere_is_dropped_everywhere(keeping: Watched) -> None:
    track = keeping.stat(f"Releases/{HASH}/01. Track 1.opus").inode
    node = keeping.fs._inodes.get(track).node
    keeping.fs._overlay.hide_everywhere(node.key, node.release_id, MOMENT)
    assert {f"Releases/{HASH}", f"Artists/LOONA/{HASH}", "Releases/!All Tracks", "Playlists/p"} <= dropped(
        keeping
    )


def test_what_was_begun_for_a_moment_is_not_kept_when_another_has_finished_it(keeping: Watched) -> None:
    path = f"Releases/{HASH}"
    inode, cover = keeping.stat(path).inode, keeping.stat(f"{path}/cover.png").inode
    directory, file = (keeping.fs._inodes.get(each).node.key for each in (inode, cover))
    keeping.fs._overlay.hide(directory, file)
    next(keeping.fs.entries(inode, 0))  # and then whoever reads this goes away
    keeping.clock.advance(MOMENT)
    dropped(keeping)
    keeping.kernel.pages.clear()
    read_to_the_end(keeping, path)
    assert dropped(keeping) == {path}


def test_a_directory_that_closes_up_is_dropped(keeping: Watched) -> None:
    releases = keeping.fs._tree.directory(Key("releases", "", ""))
    releases.close_up()
    assert dropped(keeping) == {"Releases"}


# Telling ------------------------------------------------------------------------------------------------


class SlowKernel(NotingKernel):
    """A kernel that keeps whoever tells it names waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def forget_entry(self, parent: int, name: bytes) -> bool:
        self.gate.wait(60)
        return super().forget_entry(parent, name)


@contextmanager
def telling_to(kernel: NotingKernel) -> Iterator[Telling]:
    telling = Telling()
    telling.connect(kernel)
    yield telling
    telling.end()


def test_no_thread_is_woken_for_what_is_listed_first(library: Config) -> None:
    browser = Browser(library)
    browser.fs.connect(NotingKernel())
    assert dict(browser.walk("Artists"))
    assert browser.fs._telling._threads == []
    browser.fs.close()


def test_names_of_a_directory_in_use_are_told_afterwards() -> None:
    kernel = NotingKernel()
    with telling_to(kernel) as telling:
        with telling.holding((7,)):
            telling.entries(7, [b"here"])
            telling.entries(8, [b"elsewhere"])
            assert telling.wait(60)
            assert kernel.entries == {(8, "elsewhere")}
        assert telling.wait(60)
        assert kernel.entries == {(7, "here"), (8, "elsewhere")}


def test_a_listing_is_dropped_at_once_and_when_nobody_reads_it() -> None:
    kernel = NotingKernel(keeps_listings=True)
    with telling_to(kernel) as telling:
        with telling.holding((7,)):
            telling.listing(7)
            assert telling.wait(60)
            assert (kernel.entries, kernel.pages) == (set(), {7})
            kernel.pages.clear()
        assert telling.wait(60)
        assert kernel.pages == {7}
        assert {directory for directory, _ in kernel.entries} == {7}  # that message waits for the readers


def test_a_kernel_that_keeps_no_listings_is_not_told_of_them() -> None:
    kernel = NotingKernel()
    with telling_to(kernel) as telling:
        telling.listing(7)
        assert telling.wait(60)
        assert (telling.told, kernel.pages) == (0, set())


def test_an_operation_does_not_wait_for_a_kernel_that_waits() -> None:
    kernel = SlowKernel()
    with telling_to(kernel) as telling:
        with telling.holding((7,)):
            telling.entries(8, [b"x"])
        assert kernel.entries == set()
        telling.attributes(9)  # others go on
        kernel.gate.set()
        assert telling.wait(60)
        assert (kernel.entries, kernel.attributes) == ({(8, "x")}, {9})


class UnknowingKernel(NotingKernel):
    """A kernel that has not got the answer yet by which it will know of an inode."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def forget_attributes(self, inode: int) -> bool:
        self.times += 1
        return False


def test_what_the_kernel_did_not_know_is_told_once_more() -> None:
    kernel = UnknowingKernel()
    with telling_to(kernel) as telling:
        telling.attributes(9)
        for _ in range(3):
            assert telling.wait(60)
            telling.tell_again()
        assert telling.wait(60)
    assert kernel.times == 2


def fail() -> None:
    raise ZeroDivisionError


@pytest.mark.expects_log("may not have been told")
def test_a_mistake_ends_no_thread() -> None:
    kernel = NotingKernel()
    with telling_to(kernel) as telling:
        for _ in range(10):
            telling.find_out(fail)
        telling.attributes(9)
        assert telling.wait(60)
        assert kernel.attributes == {9}


def test_what_is_looked_up_while_it_is_forgotten_is_told_still(
    library: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread has been told that the kernel forgets a directory, and another looks it up before it is let go of."""
    browser, kernel = Browser(library), NotingKernel()
    browser.fs.connect(kernel)
    directory = f"Releases/{HASH}"
    (inode,) = {browser.stat(directory).inode for _ in range(2)}
    browser.ls(directory)  # one lookup more
    forget = browser.fs._inodes.forget

    def forget_and_look_up(number: int, count: int) -> list[Key]:
        keys = forget(number, count)
        monkeypatch.undo()
        assert browser.exists(f"{directory}/01. Track 1.opus")
        with pytest.raises(AbsentError):
            browser.fs.lookup(inode, b"02. New.opus")
        return keys

    monkeypatch.setattr(browser.fs._inodes, "forget", forget_and_look_up)
    browser.fs.forget(inode, 3)
    set_tags(library.music_source_dir / "loona/01.opus", title="Old")
    set_tags(library.music_source_dir / "loona/02.opus", title="New")
    rosecache.update_cache(library)
    browser.clock.advance(1)
    browser.fs.follow()
    assert browser.fs._telling.wait(60)
    assert (inode, "02. New.opus") in kernel.entries
    assert browser.exists(f"{directory}/01. Track 1.opus")  # as a name that was taken away
    browser.fs.close()
