"""Changes are seen in every view of a mount whose kernel remembers for an hour, and what is the same costs nothing.

Beside the mount there is its twin: the same tree in this process and without a kernel, which looked at the same things
at the same times. What it shows is what the mount has to show.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import rosecache
from rosecache.config import Config
from rosecache.database import close_connections
from rosecache.datafiles import read_members
from rosefs.library import lists, releases
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from rosefs.settings import SmartSettings
from rosefs.vfs.errors import FileSystemError
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.browsing import Browser
from tests.support.clocks import SharedClock
from tests.support.counting import CountingFileSystem, counted
from tests.support.library import UPDATE_PROGRAM, cached_ids, make_list
from tests.support.mounts import SHARED_LIMIT, Mounted, mounted_library
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse")

Shown = tuple[int, int, int] | None
"""Inode number, size and time of what a path leads to; None if it leads nowhere."""

ABSENT = ("folder.jpg", "Artists/ARTMS", "Labels/Modhaus", "Artists/LOONA/new.log", "Releases/folder.jpg")
RELEASE = "Releases/{NEW} LOONA - 2018. Hash"
SMART = (
    SmartSettings(name="First", kind="collage", matcher="new:true", sort="releasetitle", limit=2),
    SmartSettings(name="Ones", kind="playlist", matcher="tracktitle:Track 1", sort="-releasetitle", limit=3),
    SmartSettings(name="Saved", kind="search", matcher="artist:LOONA"),
)
UNRELATED = "Artists/BLACKPINK/{NEW} BLACKPINK - 2016. Square"


@dataclass(frozen=True)
class Twins:
    """A mounted library, of ``loona``, ``blackpink``, ``other``, two lists and smart ones, and its twin."""

    c: Config
    mount: Mounted
    clock: SharedClock
    journal: Journal
    twin: Browser

    @property
    def top(self) -> Path:
        return self.mount.path

    @property
    def source(self) -> Path:
        return self.c.music_source_dir

    def paths(self) -> set[str]:
        """Returns every path that the twin lists."""
        return {path for path, _ in self.twin.walk()}

    def look(self, paths: set[str]) -> None:
        """Has the kernel look at everything, and so remember it."""
        subprocess.run(["find", self.top, "-ls"], check=True, stdout=subprocess.DEVNULL)
        for path in paths:
            seen(self.top / path)

    def differences(self, paths: set[str], listed: set[str]) -> dict[str, tuple[Shown, Shown]]:
        """Returns what the mount shows otherwise than its twin.

        What is not listed any more and still has a name has the newest time that it was ever seen with.
        """
        here = {path: seen(self.top / path) for path in paths}
        there = {path: shown(self.twin, path) for path in paths}
        for unlisted in paths - listed:
            here[unlisted], there[unlisted] = (
                each and (*each[:2], 0) for each in (here[unlisted], there[unlisted])
            )
        return {path: (here[path], there[path]) for path in paths if here[path] != there[path]}

    def expect_no_difference(self, before: set[str]) -> None:
        """Waits until every path that leads somewhere, or did before, is the same in the mount and in its twin."""
        self.twin.clock.advance(1)
        listed = {"", *self.paths()}
        paths = before | listed
        wait_until(lambda: not self.differences(paths, listed), lambda: self.differences(paths, listed))
        for path in paths:
            if os.path.isdir(self.top / path):
                assert sorted(os.listdir(self.top / path)) == sorted(self.twin.ls(path)), path


def seen(path: Path) -> Shown:
    """Returns what ``stat`` shows."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def shown(twin: Browser, path: str) -> Shown:
    try:
        found = twin.stat(path)
    except FileSystemError:
        return None
    return found.inode, found.size, found.mtime


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, binding: str) -> Iterator[Twins]:
    """For all tests: each begins with the library as it finds it, and what destroys most comes last."""
    tmp_path = tmp_path_factory.mktemp("twins")
    c = Config(music_source_dir=tmp_path / "source", cache_dir=tmp_path / "cache", max_proc=1)
    c.cache_dir.mkdir()
    make_release(
        c.music_source_dir, "loona", tracks=2, format="flac", cover=True, artist="LOONA", album="Hash",
        date="2018", label="BlockBerry",
    )  # fmt: skip
    make_release(c.music_source_dir, "blackpink", tracks=2, artist="BLACKPINK", album="Square", date="2016")
    make_release(c.music_source_dir, "other", tracks=1, artist="LOONA", album="Other", date="2019")
    rosecache.update_cache(c)
    ids = cached_ids(c)
    make_list(c.playlists_dir / "Mix.toml", "tracks", ids["loona/01.flac"], ids["blackpink/01.opus"])
    make_list(c.collages_dir / "Both.toml", "releases", release_id(c, "loona"))
    assert rosecache.update_cache(c).problems == []
    clock = SharedClock.make(tmp_path / "clock")
    with (
        pytest.MonkeyPatch.context() as patch,
        mounted_library(
            c, tmp_path, binding, state_dir=tmp_path / "state", clock=clock, kind=CountingFileSystem,
            hard_limit=SHARED_LIMIT, smart=SMART,
        ) as mount,
    ):  # fmt: skip
        patch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        yield Twins(c, mount, clock, Journal(tmp_path / "state"), Browser(c, SMART))
    close_connections()


def release_id(c: Config, directory: str) -> str:
    (found,) = (each.id for each in rosecache.list_releases(c) if each.source_path.name == directory)
    return found


def update(twins: Twins) -> None:
    """Brings the cache up to date in a process of its own."""
    command: list[str | Path] = [sys.executable, "-c", UPDATE_PROGRAM, twins.source, twins.c.cache_dir]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)


# What is the same ---------------------------------------------------------------------------------------


def test_what_is_known_is_not_asked_for_again(twins: Twins) -> None:
    paths = [RELEASE, UNRELATED, f"{RELEASE}/01. Track 1.flac", "Artists/Nobody", f"{RELEASE}/folder.jpg"]
    first = [seen(twins.top / path) for path in paths]
    before = counted(twins.top)
    for _ in range(3):
        assert [seen(twins.top / path) for path in paths] == first
    assert counted(twins.top) == before


def test_what_was_listed_is_not_asked_for_again(twins: Twins, binding: str) -> None:
    views = [str(path) for path in twins.top.iterdir() if path.name != "Collages"]
    find = ["find", *views, str(twins.top / "Collages/Both"), "-ls"]
    asked = []
    for _ in range(3):
        before = counted(twins.top)
        listed = subprocess.run(find, check=True, capture_output=True, text=True, timeout=60).stdout
        asked.append(counted(twins.top) - before)
    directories = sum(line.split()[2].startswith("d") for line in listed.splitlines())
    # When the mount has listed a directory, the kernel asks once more for the time at which that was read last.
    listed_once = Counter(getattr=directories)
    if binding == "pyfuse3":
        assert asked[1] - listed_once == {}
        assert asked[2] == {}
    else:
        assert asked[2] - listed_once == {"entries": asked[2]["entries"]}


def test_who_opens_a_file_first_asks_for_no_attributes(twins: Twins) -> None:
    path = twins.top / RELEASE / "01. Track 1.flac"
    seen(path)
    before = counted(twins.top)
    with path.open("rb", buffering=0) as file:
        assert os.fstat(file.fileno()).st_size == path.stat().st_size
    assert counted(twins.top) - before == {"open": 1}


@pytest.mark.parametrize("path", ["Collages/Both", "Playlists/Mix", "Playlists/Ones", "Search/Saved"])
def test_what_a_list_has_is_not_asked_for_again(twins: Twins, path: str, binding: str) -> None:
    asked = []
    for _ in range(3):
        before = counted(twins.top)
        for parent, directories, files in os.walk(twins.top / path):
            for name in (*directories, *files):
                assert seen(Path(parent, name)) is not None
        asked.append(counted(twins.top) - before)
    # Without READDIRPLUS a directory is listed again, and then asked for its time.
    assert set(asked[-1]) == (set() if binding == "pyfuse3" else {"entries", "getattr"})


def test_a_smart_collage_is_asked_for_its_releases_and_for_nothing_else(twins: Twins, binding: str) -> None:
    collage = twins.top / "Collages/First"
    for _ in range(2):
        names = os.listdir(collage)
        files = [path for name in names for path in collage.joinpath(name).iterdir()]
        assert all(map(seen, files))
    before = counted(twins.top)
    assert os.listdir(collage) == names
    assert all(map(seen, files))
    asked = counted(twins.top) - before
    assert asked["lookup"] == len(files)  # of the directory that a file is in
    assert binding == "llfuse" or set(asked) == {"lookup"}


def test_to_write_where_a_file_is_in_a_list_too_takes_one_question_more(twins: Twins) -> None:
    track = next((twins.top / RELEASE).glob("01.*"))
    seen(next((twins.top / "Playlists/Mix").glob("1. *")))
    fds = [
        os.open(track, os.O_RDWR) for _ in range(2)
    ]  # who opens a file first may have its attributes forgotten
    seen(track)
    before = counted(twins.top)
    fds.append(os.open(track, os.O_RDWR))
    asked = counted(twins.top) - before
    for fd in fds:
        os.close(fd)
    assert asked == {"open": 2, "lookup": 3}  # of the view, the release and the track


def test_a_change_elsewhere_costs_no_request_where_nothing_changed(twins: Twins) -> None:
    known = [f"{UNRELATED}/01. Track 1.opus", f"{UNRELATED}/folder.jpg", UNRELATED, "Artists/BLACKPINK"]
    first = [seen(twins.top / path) for path in known]
    seen(twins.top / RELEASE)
    set_tags(twins.source / "loona/01.flac", title="Changed")
    rosecache.update_cache(twins.c)
    new = twins.top / RELEASE / "01. Changed.flac"
    wait_until(lambda: seen(new) and "01. Changed.flac" in os.listdir(new.parent))
    counted(twins.top)  # when the kernel has been told
    seen(twins.top / "Artists")  # its time is that of the change
    before = counted(twins.top)
    assert [seen(twins.top / path) for path in known] == first
    assert counted(twins.top) - before == {}


def test_without_a_change_nothing_is_told(twins: Twins) -> None:
    twins.look(twins.paths())
    before = counted(twins.top)
    # Somebody writes, and changes nothing: a whole look of the follower at the feed is in between.
    rosecache.update_cache(twins.c)
    make_release(twins.source, "last", tracks=1, artist="Last")
    told = counted(twins.top)["told"]
    rosecache.update_cache(twins.c)
    wait_until(lambda: counted(twins.top)["told"] > told)
    assert told == before["told"]


# What changed -------------------------------------------------------------------------------------------


def retag(twins: Twins) -> None:
    for path in (twins.source / "loona").glob("*.flac"):
        set_tags(path, artist="ARTMS", albumartist="ARTMS", album="Dall", label="Modhaus", genre="Ambient")


def retitle(twins: Twins) -> None:
    set_tags(twins.source / "loona/01.flac", title="Another Title")


def add_release(twins: Twins) -> None:
    make_release(twins.source, "new", tracks=1, artist="ARTMS", album="Dall", label="Modhaus")


def add_file(twins: Twins) -> None:
    (twins.source / "loona/new.log").write_text("a log")


def remove_track(twins: Twins) -> None:
    (twins.source / "loona/02.flac").unlink()


def remove_release(twins: Twins) -> None:
    shutil.rmtree(twins.source / "loona")


def rename_directory(twins: Twins) -> None:
    (twins.source / "blackpink").rename(twins.source / "renamed")


def replace_cover(twins: Twins) -> None:
    (twins.source / "loona/cover.png").write_bytes(PICTURE[::-1])


def replace_cover_by_another_kind(twins: Twins) -> None:
    (twins.source / "loona/cover.png").unlink()
    (twins.source / "loona/cover.jpg").write_bytes(PICTURE)


def edit_playlist(twins: Twins) -> None:
    ids = cached_ids(twins.c)
    make_list(twins.c.playlists_dir / "Mix.toml", "tracks", ids["other/01.opus"], ids["loona/01.flac"])


def remove_playlist(twins: Twins) -> None:
    (twins.c.playlists_dir / "Mix.toml").unlink()


def add_to_collage(twins: Twins) -> None:
    lists.add(twins.c, twins.journal, lists.COLLAGES, "Both", [release_id(twins.c, "other")])


def remove_from_lists(twins: Twins) -> None:
    ids = cached_ids(twins.c)
    make_list(twins.c.playlists_dir / "Mix.toml", "tracks", ids["other/01.opus"])
    make_list(twins.c.collages_dir / "Both.toml", "releases", release_id(twins.c, "other"))


def reorder_lists(twins: Twins) -> None:
    playlist, collage = twins.c.playlists_dir / "Mix.toml", twins.c.collages_dir / "Both.toml"
    make_list(playlist, "tracks", *[each.id for each in reversed(read_members(playlist, "tracks"))])
    make_list(collage, "releases", *[each.id for each in reversed(read_members(collage, "releases"))])


def push_out_of_smart_lists(twins: Twins) -> None:
    make_release(twins.source, "pushing", tracks=1, artist="A", album="A first one")
    make_release(twins.source, "pushing too", tracks=1, artist="Z", album="Zzz last one")


def set_playlist_cover(twins: Twins) -> None:
    (twins.c.playlists_dir / "Mix.png").write_bytes(PICTURE)


def clear_new(twins: Twins) -> None:
    release = rosecache.get_release(twins.c, release_id(twins.c, "loona"))
    assert release is not None
    releases.set_new(twins.c, twins.journal, release, False)


CHANGES: Mapping[str, Callable[[Twins], None]] = {
    function.__name__: function
    for function in (
        retitle, add_file, replace_cover, replace_cover_by_another_kind, edit_playlist, add_to_collage, reorder_lists,
        set_playlist_cover, clear_new, add_release, retag, push_out_of_smart_lists, remove_track, rename_directory,
        remove_from_lists, remove_playlist, remove_release,
    )
}  # fmt: skip


def test_the_bytes_of_a_file_that_was_replaced_are_read(twins: Twins) -> None:
    cover = twins.top / RELEASE / "cover.png"
    assert cover.read_bytes() == PICTURE
    replace_cover(twins)
    rosecache.update_cache(twins.c)
    wait_until(lambda: cover.read_bytes() == PICTURE[::-1])


def test_an_open_directory_is_as_it_was_and_opened_again_as_it_is(twins: Twins) -> None:
    directory = os.open(twins.top / "Releases", os.O_RDONLY)
    try:
        old = os.listdir(directory)
        add_release(twins)
        rosecache.update_cache(twins.c)
        wait_until(lambda: len(os.listdir(twins.top / "Releases")) == len(old) + 1)
        again = os.open(".", os.O_RDONLY, dir_fd=directory)  # as a shell does that stands in it
        try:
            assert len(os.listdir(again)) == len(old) + 1
        finally:
            os.close(again)
    finally:
        os.close(directory)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_in_every_view(twins: Twins, change: str) -> None:
    twins.expect_no_difference(set())
    before = {*twins.paths(), *ABSENT}
    twins.look(before)
    CHANGES[change](twins)
    update(twins)
    twins.expect_no_difference(before)


# Edits through the mount -----------------------------------------------------------------------------------


def remove_track_by_rm(twins: Twins) -> None:
    (track(twins)).unlink()


def write_tags_by_tagger(twins: Twins) -> None:
    set_tags(track(twins), title="Written", genre="Written")


def add_file_by_cp(twins: Twins) -> None:
    (track(twins).parent / "notes.txt").write_text("notes")


def rename_file_by_mv(twins: Twins) -> None:
    os.rename(track(twins).parent / "notes.txt", track(twins).parent / "new.log")


def clear_new_by_mv(twins: Twins) -> None:
    name = track(twins).parent.name
    run("mv", twins.top / "Releases - New" / name, twins.top / "Releases")


def make_collage_by_mkdir(twins: Twins) -> None:
    (twins.top / "Collages/Made").mkdir()


def remove_member_by_rm(twins: Twins) -> None:
    next((twins.top / "Playlists/Mix").glob("1. *")).unlink()


def move_members_by_mv(twins: Twins) -> None:
    for path in (twins.top / "Playlists/Mix", twins.top / "Collages/Shelf"):
        os.rename(next(path.glob("2. *")), path / "1. x")


def remove_from_collage_by_rm(twins: Twins) -> None:
    run("rm", "-r", next((twins.top / "Collages/Shelf").glob("1. *")))


def rename_lists_by_mv(twins: Twins) -> None:
    run("mv", twins.top / "Playlists/Mix", twins.top / "Playlists/Made")
    run("mv", twins.top / "Collages/Shelf", twins.top / "Collages/Made")


def remove_lists_by_rm(twins: Twins) -> None:
    run("rm", "-r", twins.top / "Playlists/Mix", twins.top / "Collages/Shelf")


def add_to_lists_by_cp(twins: Twins) -> None:
    release = next((twins.top / "Releases").glob("*Other*"))
    run("cp", next(release.glob("01. *")), twins.top / "Playlists/Mix/new.opus")
    run("cp", "-r", release, twins.top / "Collages/Shelf")


def copy_over_member_by_cp(twins: Twins) -> None:
    run("cp", twins.source / "other/01.opus", next((twins.top / "Playlists/Mix").glob("1. *")))


def remove_and_undo(twins: Twins) -> None:
    next((twins.top / "Playlists/Mix").glob("1. *")).unlink()
    undo(twins.c, twins.journal)


def remove_datafile_by_rm(twins: Twins) -> None:
    next(track(twins).parent.glob(".rose.*")).unlink()


def remove_release_by_rm(twins: Twins) -> None:
    run("rm", "-r", track(twins).parent)


GESTURES: Mapping[str, Callable[[Twins], None]] = {
    function.__name__: function
    for function in (
        write_tags_by_tagger, add_file_by_cp, rename_file_by_mv, clear_new_by_mv, make_collage_by_mkdir,
        remove_member_by_rm, move_members_by_mv, remove_from_collage_by_rm, rename_lists_by_mv, remove_lists_by_rm,
        add_to_lists_by_cp, copy_over_member_by_cp, remove_and_undo, remove_datafile_by_rm, remove_track_by_rm,
        remove_release_by_rm,
    )
}  # fmt: skip


def track(twins: Twins) -> Path:
    return next((twins.top / "Artists/Edited").glob("*/01. *"))


def run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("gesture", GESTURES)
def test_an_edit_is_seen_in_every_view(twins: Twins, gesture: str) -> None:
    make_release(twins.source, "edited", tracks=2, format="flac", artist="Edited", album="Edited")
    (twins.source / "edited/notes.txt").write_text("kept")
    rosecache.update_cache(twins.c)
    ids = cached_ids(twins.c)
    make_list(twins.c.playlists_dir / "Mix.toml", "tracks", ids["edited/01.flac"], ids["edited/02.flac"])
    edited, shelf = release_id(twins.c, "edited"), twins.c.collages_dir / "Shelf.toml"
    make_list(
        shelf,
        "releases",
        edited,
        next(each.id for each in rosecache.list_releases(twins.c) if each.id != edited),
    )
    rosecache.update_cache(twins.c)
    twins.expect_no_difference(set())
    before = {*twins.paths(), *ABSENT}
    twins.look(before)
    GESTURES[gesture](twins)
    twins.look(before)  # what is hidden for a moment, or has its number for a moment, among it
    twins.clock.advance(15)
    twins.expect_no_difference(before)
    shutil.rmtree(twins.source / "edited", ignore_errors=True)
    for directory in (twins.c.collages_dir, twins.c.playlists_dir):
        for name in ("Made.toml", "Mix.toml", "Shelf.toml"):
            (directory / name).unlink(missing_ok=True)
    rosecache.update_cache(twins.c)


def test_a_file_seen_in_a_playlist_can_be_written_where_it_was_seen_before(twins: Twins) -> None:
    make_release(twins.source, "seen", tracks=1, format="flac", artist="Seen", album="Seen")
    rosecache.update_cache(twins.c)
    make_list(twins.c.playlists_dir / "Seen.toml", "tracks", cached_ids(twins.c)["seen/01.flac"])
    update(twins)
    wait_until(lambda: list((twins.top / "Playlists").glob("Seen/1. *")))
    here = next((twins.top / "Artists/Seen").glob("*/01. *"))
    content = here.read_bytes()
    assert next((twins.top / "Playlists/Seen").glob("1. *")).read_bytes() == content
    here.write_bytes(content)  # opens with O_TRUNC, which is something else in a playlist
    assert here.read_bytes() == content
