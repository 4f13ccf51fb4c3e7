"""Writing without a kernel: identity, names just written, and what is left for later, by a clock that is moved."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from rosefs.library import lists
from rosefs.library.errors import CacheBehindError
from rosefs.vfs.errors import NotEmptyError, ReadOnlyError, SourceWriteError
from rosefs.vfs.later import Later
from rosefs.vfs.model import Changes
from tests.support.audio import PICTURE, set_tags
from tests.support.browsing import Browser, Clock
from tests.support.editing import Closing, Editor
from tests.support.library import cached_ids, make_list, snapshot

RELEASE = "Releases/LOONA - 2018. Hash"
SINGLE = "Releases/BLACKPINK - 2016. Square - Single"


@pytest.fixture
def edit(closing: Closing, tmp_path: Path) -> Callable[[Config], Editor]:
    """Makes editors, of the library's configuration or another one, and closes them in the end."""
    return lambda c: closing.add(Editor(c, tmp_path / "state"))


def test_without_a_journal_nothing_is_changed(browser: Browser, library: Config) -> None:
    before = snapshot(library.music_source_dir)
    fs, inode = browser.fs, browser.stat(f"{RELEASE}/01. Track 1.opus").inode
    parent = browser.stat(RELEASE).inode
    for attempt in (
        lambda: fs.create(parent, b"x", 0o644, os.O_WRONLY),
        lambda: fs.open(inode, os.O_RDWR),
        lambda: fs.setattr(inode, Changes(size=0)),
        lambda: fs.mkdir(parent, b"x"),
        lambda: fs.unlink(parent, b"01. Track 1.opus"),
        lambda: fs.rmdir(parent, b"x"),
        lambda: fs.rename(parent, b"01. Track 1.opus", parent, b"x", 0),
        lambda: fs.setxattr(parent, b"user.rosefs.new", b"true"),
        lambda: fs.removexattr(parent, b"user.rosefs.new"),
    ):
        with pytest.raises(ReadOnlyError):
            attempt()
    assert snapshot(library.music_source_dir) == before


def test_modes_show_what_can_be_written(
    browser: Browser, library: Config, edit: Callable[[Config], Editor]
) -> None:
    editor = edit(library)
    for path in (RELEASE, f"{RELEASE}/01. Track 1.opus"):
        assert not browser.stat(path).mode & 0o222
        assert editor.stat(path).mode & 0o200


def test_a_release_emptied_stays_for_a_moment(library: Config, edit: Callable[[Config], Editor]) -> None:
    editor = edit(library)
    with pytest.raises(NotEmptyError):
        editor.rmdir(SINGLE)
    editor.unlink(f"{SINGLE}/01. Track 1.mp3")
    assert [name for name in editor.ls(SINGLE) if not name.startswith(".")] == []
    editor.later(9)
    assert editor.exists(SINGLE)
    editor.later(1)
    assert not editor.exists(SINGLE)
    assert len(list((library.music_source_dir / "blackpink").glob(".rose.*.toml"))) == 1


def test_a_hidden_datafile_comes_back(library: Config, edit: Callable[[Config], Editor]) -> None:
    editor = edit(library)
    (datafile,) = [name for name in editor.ls(RELEASE) if name.startswith(".rose.")]
    editor.unlink(f"{RELEASE}/{datafile}")
    assert datafile not in editor.ls(RELEASE)
    assert not editor.exists(f"{RELEASE}/{datafile}")
    assert datafile in editor.ls(f"Artists/LOONA/{RELEASE.partition('/')[2]}")
    editor.later(10)
    assert datafile in editor.ls(RELEASE)


def test_what_is_not_saved_yet_is_shown_in_every_view(
    library: Config, edit: Callable[[Config], Editor]
) -> None:
    editor = edit(library)
    opened, attributes = editor.fs.create(*editor.parent(f"{RELEASE}/new"), 0o644, os.O_WRONLY)
    assert editor.fs.write(opened.handle, 3, b"abc") == 3
    for path in (f"{RELEASE}/new", f"Labels/BlockBerry/{RELEASE.partition('/')[2]}/new"):
        assert editor.read(path) == b"\0\0\0abc"
        assert (editor.stat(path).size, editor.stat(path).inode) == (6, attributes.inode)
    assert not (library.music_source_dir / "loona/new").exists()
    editor.fs.flush(opened.handle)
    assert (library.music_source_dir / "loona/new").read_bytes() == b"\0\0\0abc"
    assert editor.stat(f"{RELEASE}/new").inode == attributes.inode
    editor.fs.release(opened.handle)


def test_without_a_flush_the_last_release_saves(library: Config, edit: Callable[[Config], Editor]) -> None:
    editor = edit(library)
    editor.write(f"{RELEASE}/new", b"content", flush=False)
    editor.fs.close()
    assert (library.music_source_dir / "loona/new").read_bytes() == b"content"


@pytest.mark.parametrize("in_tags", [True, False], ids=["ids in tags", "ids in the datafile"])
@pytest.mark.parametrize("seconds", [0, 8], ids=["at once", "after it got an id of its own"])
def test_a_file_renamed_over_a_track_becomes_that_track(
    library: Config, edit: Callable[[Config], Editor], in_tags: bool, seconds: float
) -> None:
    c = msgspec.structs.replace(library, write_ids_to_tags=in_tags)
    update_cache(c)
    ids, source = cached_ids(c), c.music_source_dir / "loona"
    editor = edit(c)
    editor.write(f"{RELEASE}/saved.opus", (source / "02.opus").read_bytes())
    if seconds:
        _age(source / "saved.opus")
        editor.later(seconds)
    editor.rename(f"{RELEASE}/saved.opus", f"{RELEASE}/01. Track 1.opus")
    assert cached_ids(c) == ids
    update_cache(c, force=True)
    assert cached_ids(c) == ids


@pytest.mark.parametrize("in_tags", [True, False], ids=["ids in tags", "ids in the datafile"])
def test_a_track_stays_itself_whatever_is_written_to_it(
    library: Config, edit: Callable[[Config], Editor], in_tags: bool
) -> None:
    c = msgspec.structs.replace(library, write_ids_to_tags=in_tags)
    update_cache(c)
    ids, source = cached_ids(c), c.music_source_dir / "loona"
    other = (source / "02.opus").read_bytes()
    edit(c).write(f"{RELEASE}/01. Track 1.opus", other)
    assert cached_ids(c) == ids
    if not in_tags:
        assert (source / "01.opus").read_bytes() == other


def _age(path: Path) -> None:
    """Has an update take a file for one that was left alone: its time lies in the future, which says nothing."""
    os.utime(path, (4e9, 4e9))


def test_writing_on_after_the_source_was_renamed(library: Config, edit: Callable[[Config], Editor]) -> None:
    c = msgspec.structs.replace(library, rename_source_files=True)
    update_cache(c)
    editor = edit(c)
    path = f"{RELEASE}/01. Track 1.opus"
    content = editor.read(path)
    inode = editor.stat(path).inode
    opened = editor.fs.open(inode, os.O_RDWR)
    new = library.cache_dir / "new.opus"
    for album in ("First", "Second"):
        new.write_bytes(content)
        set_tags(new, album=album, title=f"Of {album}")
        editor.fs.setattr(inode, Changes(size=0), opened.handle)
        editor.fs.write(opened.handle, 0, new.read_bytes())
        editor.fs.flush(opened.handle)
        (release,) = c.music_source_dir.glob(f"*{album}")
        assert sorted(each.name for each in release.glob("*.opus")) == [
            f"01. Of {album}.opus", "02. Track 2.opus"
        ]  # fmt: skip
    editor.fs.release(opened.handle)
    assert not list(c.music_source_dir.rglob(".in-progress.*"))


def test_later_does_what_is_due_once_and_the_rest_at_the_end() -> None:
    clock = Clock()
    done: list[object] = []
    later = Later(clock)
    later.at(clock() + 5, "a", lambda: done.append("a"))
    later.at(clock() + 5, "b", lambda: done.append("b"))
    later.at(clock() + 9, "b", lambda: done.append("b, later"))
    later.at(clock() + 9, "c", lambda: done.append("c"))
    later.cancel("c")
    later.run_due()
    assert done == []
    clock.advance(5)
    later.run_due()
    later.run_due()
    assert done == ["a"]
    later.end()
    assert done == ["a", "b, later"]
    later.at(clock(), "d", lambda: done.append("d"))
    later.run_due(everything=True)
    assert done == ["a", "b, later"]


@pytest.mark.expects_log("something left for later failed")
def test_a_failure_does_not_keep_from_the_rest() -> None:
    clock = Clock()
    done: list[object] = []
    later = Later(clock)
    later.at(clock(), "a", lambda: done.append(1 // 0))
    later.at(clock(), "b", lambda: done.append(2))
    later.end()
    assert done == [2]


def _with_lists(library: Config) -> None:
    ids = cached_ids(library)
    make_list(library.playlists_dir / "Mix.toml", "tracks", ids["loona/01.opus"], ids["blackpink/01.mp3"])
    (library.playlists_dir / "Mix.png").write_bytes(PICTURE)
    update_cache(library)


@pytest.mark.parametrize(("edit_of_lists", "name"), [("remove", "1. "), ("delete_cover", "cover.png")])
def test_what_could_not_be_removed_from_a_list_is_shown(
    library: Config,
    edit: Callable[[Config], Editor],
    monkeypatch: pytest.MonkeyPatch,
    edit_of_lists: str,
    name: str,
) -> None:
    _with_lists(library)
    editor = edit(library)
    before = editor.ls("Playlists/Mix")
    (shown,) = (each for each in before if each.startswith(name))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(lists, edit_of_lists, refuse)
        with pytest.raises(SourceWriteError):
            editor.unlink(f"Playlists/Mix/{shown}")
    assert editor.ls("Playlists/Mix") == before
    assert editor.exists(f"Playlists/Mix/{shown}")
    editor.unlink(f"Playlists/Mix/{shown}")
    assert editor.ls("Playlists/Mix") == [each for each in before if each != shown]


@pytest.mark.expects_log("the cache is behind")
def test_what_was_removed_from_a_list_is_gone_although_the_cache_is_behind(
    library: Config, edit: Callable[[Config], Editor], monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_lists(library)
    editor = edit(library)
    first, *others = editor.ls("Playlists/Mix")

    def behind(*_: object, **__: object) -> None:
        raise CacheBehindError("the cache is behind")

    with monkeypatch.context() as patch:
        patch.setattr("rosefs.library.editing.refresh", behind)
        editor.unlink(f"Playlists/Mix/{first}")
    assert editor.ls("Playlists/Mix") == others
    editor.update()
    assert editor.ls("Playlists/Mix") == others


@pytest.mark.expects_log("the cache is behind")
def test_what_was_done_is_no_failure_although_the_cache_is_behind(
    library: Config, edit: Callable[[Config], Editor], monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = edit(library)
    release = editor.stat(RELEASE).inode

    def behind(*_: object, **__: object) -> None:
        raise CacheBehindError("the cache is behind")

    with monkeypatch.context() as patch:
        patch.setattr("rosefs.library.editing.refresh", behind)
        editor.fs.setxattr(release, b"user.rosefs.new", b"true")
    editor.update()
    assert editor.fs.getxattr(release, b"user.rosefs.new") == b"true"
