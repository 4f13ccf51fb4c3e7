"""Reading: the bytes of the source, what the kernel may keep of them, and files that change underneath."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

import rosecache
from rosecache.config import Config
from rosefs.vfs.disks import Disks
from rosefs.vfs.errors import (
    AccessDeniedError,
    BadHandleError,
    IsADirectoryFsError,
    NoAttributeError,
    NoEntryError,
    ReadOnlyError,
    SourceIOError,
    StaleError,
)
from rosefs.vfs.handles import SourceContent
from tests.support.audio import set_tags
from tests.support.browsing import Browser
from tests.support.library import make_list, release_id_on_disk

RELEASE = "Releases/LOONA - 2018. Hash"
TRACK = f"{RELEASE}/01. Track 1.opus"


@pytest.fixture
def source(library: Config) -> Path:
    """The source file of TRACK."""
    return library.music_source_dir / "loona" / "01.opus"


def test_every_file_reads_as_its_source(browser: Browser, library: Config) -> None:
    below = [(path, found) for path, found in browser.walk("Releases") if not found.is_directory]
    assert len(below) > 6
    for path, attributes in below:
        source = (
            Path(browser.xattr(path, "user.rosefs.source_path")) if path.endswith(("opus", "mp3")) else None
        )
        content = browser.read(path)
        assert len(content) == attributes.size
        if source is not None:
            assert content == source.read_bytes()
            assert attributes.mtime == source.stat().st_mtime_ns


def test_who_opens_first_what_was_found_alone_and_then_listed_has_nothing_forgotten(browser: Browser) -> None:
    inode = browser.stat(TRACK).inode
    browser.ls("Artists/LOONA/LOONA - 2018. Hash")
    browser.ls(RELEASE)
    for _ in range(2):
        opened = browser.fs.open(inode, os.O_RDONLY)
        assert opened.keep_cache
        browser.fs.release(opened.handle)


def test_a_read_gives_the_bytes_at_its_place(browser: Browser, source: Path) -> None:
    content = source.read_bytes()
    with browser.opened(TRACK) as (handle, _):
        for offset, size in (
            (0, 10),
            (100, 1000),
            (len(content) - 5, 4096),
            (len(content), 10),
            (1 << 40, 1),
        ):
            assert browser.fs.read(handle, offset, size) == content[offset : offset + size]


def test_what_is_in_the_page_cache_is_read_at_once_where_the_disk_can(browser: Browser, source: Path) -> None:
    content = source.read_bytes()
    with browser.opened(TRACK) as (handle, _):
        at_once = [
            browser.fs.read_now(handle, 100, 1000),
            browser.fs.read_now(handle, len(content) - 5, 4096),
        ]
    assert at_once in ([content[100:1100], content[-5:]], [None, None])


def test_a_device_that_cannot_tell_is_not_asked_again(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*arguments: object) -> int:
        asked.append(arguments)
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "preadv", refuse)
    disks = Disks()
    first, second = (SourceContent(os.fsencode(source), disks) for _ in range(2))
    assert [first.read_now(0, 10), first.read_now(0, 10), second.read_now(0, 10)] == [None] * 3
    assert len(asked) == 1
    assert (disks.refusing, disks.answering) == ({source.stat().st_dev}, set())


def test_a_read_that_came_short_is_none(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "preadv", lambda *_: 7)
    assert SourceContent(os.fsencode(source), Disks()).read_now(0, 1000) is None


@pytest.mark.parametrize(
    "flags", [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND]
)
def test_nothing_can_be_opened_for_writing(browser: Browser, flags: int) -> None:
    with pytest.raises(ReadOnlyError):
        browser.fs.open(browser.stat(TRACK).inode, flags)


def test_a_directory_cannot_be_opened_as_a_file(browser: Browser) -> None:
    with pytest.raises(IsADirectoryFsError):
        browser.fs.open(browser.stat("Releases").inode, os.O_RDONLY)


def test_handles_end_once(browser: Browser) -> None:
    fs = browser.fs
    file = fs.open(browser.stat(TRACK).inode, os.O_RDONLY).handle
    fs.release(file)
    with pytest.raises(BadHandleError):
        fs.read(file, 0, 1)
    with pytest.raises(BadHandleError):
        fs.release(file)
    assert fs.counters().handles == 0


def test_pages_are_kept_while_the_file_is_unchanged(browser: Browser, source: Path) -> None:
    kept = []
    for changes in (False, False, True, False):
        if changes:
            os.utime(source)
        with browser.opened(TRACK) as (_, keep_cache):
            kept.append(keep_cache)
    assert kept == [True, True, False, True]  # who opens it first finds what was shown, and no pages


def test_what_was_shown_otherwise_is_not_kept_by_who_opens_it_first(browser: Browser, source: Path) -> None:
    other = f"{RELEASE}/02. Track 2.opus"
    browser.stat(TRACK)
    browser.stat(other)
    for path in (source, source.with_name("02.opus")):
        set_tags(path, genre="Ambient")
    with browser.opened(TRACK) as (_, keep_cache):
        assert not keep_cache  # the cache does not know of it yet
    browser.update()
    with browser.opened(other) as (_, keep_cache):
        assert not keep_cache  # the cache does, and the kernel may not


def test_a_file_that_changed_since_the_update_shows_its_real_size(browser: Browser, source: Path) -> None:
    cached = browser.stat(TRACK)
    with source.open("ab") as file:
        file.write(b"more")
    assert browser.stat(TRACK) == cached
    content = browser.read(TRACK)
    assert content == source.read_bytes()
    real = browser.stat(TRACK)
    assert (real.inode, real.size, real.mtime) == (cached.inode, cached.size + 4, source.stat().st_mtime_ns)
    assert browser.stat("Artists/LOONA/LOONA - 2018. Hash/01. Track 1.opus") == real
    browser.update()
    assert browser.stat(TRACK) == real


def test_a_file_replaced_while_it_is_open_gets_another_number(browser: Browser, source: Path) -> None:
    fs = browser.fs
    before = source.read_bytes()
    number = browser.stat(TRACK).inode
    playing = fs.open(number, os.O_RDONLY).handle
    new = source.with_name("new")
    new.write_bytes(before + b"!")
    new.rename(source)
    with pytest.raises(StaleError):
        fs.open(number, os.O_RDONLY)
    renumbered = browser.stat(TRACK).inode
    assert renumbered != number
    assert browser.read(TRACK) == before + b"!"
    assert browser.stat("Releases/!All Tracks/LOONA - 2018. Hash - 01. Track 1.opus").inode == renumbered
    assert fs.read(playing, 0, 1 << 20) == before
    fs.release(playing)
    assert browser.stat(TRACK).inode == renumbered
    assert fs.getattr(number).inode == number


def test_a_file_replaced_while_it_is_closed_keeps_its_number(browser: Browser, source: Path) -> None:
    browser.read(TRACK)
    number = browser.stat(TRACK).inode
    shutil.copyfile(source, source.with_name("new"))
    source.with_name("new").rename(source)
    with browser.opened(TRACK) as (_, keep_cache):
        assert not keep_cache
    assert browser.stat(TRACK).inode == number


def test_a_release_directory_that_was_renamed_is_found_again(browser: Browser, source: Path) -> None:
    browser.stat(TRACK)
    content = source.read_bytes()
    source.parent.rename(source.parent.with_name("moved"))
    with pytest.raises(NoEntryError):
        browser.read(TRACK)
    inode = browser.stat(TRACK).inode
    browser.update()
    browser.clock.advance(-1)  # nobody has looked at the change feed yet: open has to
    opened = browser.fs.open(inode, os.O_RDONLY)
    assert browser.fs.read(opened.handle, 0, 1 << 20) == content


def test_a_file_that_is_gone(browser: Browser, source: Path) -> None:
    number = browser.stat(TRACK).inode
    source.unlink()
    with pytest.raises(NoEntryError):
        browser.fs.open(number, os.O_RDONLY)
    browser.update()
    with pytest.raises(NoEntryError):
        browser.fs.getattr(number)
    assert "01. Track 1.opus" not in browser.ls(RELEASE)


def test_a_pipe_in_the_place_of_a_file_blocks_nobody(browser: Browser, source: Path) -> None:
    source.unlink()
    os.mkfifo(source)
    with pytest.raises(NoEntryError):
        browser.read(TRACK)


def test_a_file_that_may_not_be_read(browser: Browser, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inode = browser.stat(TRACK).inode

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # the permissions themselves do not stop root
    with pytest.raises(AccessDeniedError, match=f"{source}: Permission denied"):
        browser.fs.open(inode, os.O_RDONLY)


def test_a_disk_that_fails_says_how(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with browser.opened(TRACK) as (handle, _):
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(SourceIOError, match="Input/output error") as raised:
            browser.fs.read(handle, 0, 10)
    assert raised.value.errno == 5


def test_a_read_survives_the_release_of_its_handle(
    browser: Browser, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, released = threading.Event(), threading.Event()
    pread = os.pread

    def wait(fd: int, size: int, offset: int) -> bytes:
        reading.set()
        assert released.wait(30)
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", wait)
    handle = browser.fs.open(browser.stat(TRACK).inode, os.O_RDONLY).handle
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(browser.fs.read(handle, 0, 1 << 20)))
    thread.start()
    assert reading.wait(30)
    browser.fs.release(handle)
    released.set()
    thread.join(30)
    assert answers == [source.read_bytes()]


def test_a_generated_list_that_changes_while_it_is_open(library: Config) -> None:
    track = rosecache.list_tracks(library)[0].id
    make_list(library.playlists_dir / "p.toml", "tracks", track)
    browser = Browser(library)
    browser.update()
    number = browser.stat("Playlists/p/p.m3u8").inode
    with browser.opened("Playlists/p/p.m3u8") as (handle, _):
        before = browser.fs.read(handle, 0, 1 << 20)
        make_list(library.playlists_dir / "p.toml", "tracks", track, track)
        browser.update()
        assert browser.fs.read(handle, 0, 1 << 20) == before
        with pytest.raises(StaleError):
            browser.fs.open(browser.stat("Playlists/p/p.m3u8").inode, os.O_RDONLY)
        assert browser.stat("Playlists/p/p.m3u8").inode != number
        assert (
            len(browser.read("Playlists/p/p.m3u8")) == browser.stat("Playlists/p/p.m3u8").size > len(before)
        )


def test_extended_attributes_tell_where_things_come_from(browser: Browser, source: Path) -> None:
    release_id = release_id_on_disk(source.parent)
    fs = browser.fs

    def attributes(path: str) -> dict[str, str]:
        names = [name.decode() for name in fs.listxattr(browser.stat(path).inode)]
        return {name.removeprefix("user.rosefs."): browser.xattr(path, name) for name in names}

    assert attributes(RELEASE) == {"id": release_id, "source_path": str(source.parent), "new": "false"}
    track = attributes(TRACK)
    assert (track["release_id"], track["source_path"]) == (release_id, str(source))
    assert len(track["id"]) == 36
    for path in ("", "Releases", "Artists/LOONA", "Releases/!All Tracks", f"{RELEASE}/cover.png"):
        assert attributes(path) == {}
        with pytest.raises(NoAttributeError):
            browser.xattr(path, "user.rosefs.id")
    with pytest.raises(NoAttributeError):
        browser.xattr(TRACK, "security.selinux")


def test_the_source_disk_is_what_df_shows(browser: Browser, library: Config) -> None:
    assert browser.fs.statfs().f_blocks == os.statvfs(library.music_source_dir).f_blocks > 0
    shutil.rmtree(library.music_source_dir)
    with pytest.raises(SourceIOError):
        browser.fs.statfs()


def test_a_retag_is_read_as_the_new_file(browser: Browser, source: Path) -> None:
    browser.read(TRACK)
    set_tags(source, genre="Pop")
    browser.update()
    assert browser.read(TRACK) == source.read_bytes()
    assert browser.stat(TRACK).size == source.stat().st_size
