"""By which name a file is about to be changed: asked for where it matters, and told to nobody else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rosecache.config import Config
from rosefs.vfs.edits import Operation
from rosefs.vfs.errors import NotPermittedError, StaleError
from rosefs.vfs.inodes import Way
from rosefs.vfs.model import Changes
from rosefs.vfs.nodes import Key
from rosefs.vfs.ways import Ways
from tests.support.editing import Closing, Editor
from tests.support.library import cached_ids, make_list

HERE: Way = (Key("releases", "", "release"), "01. Track.opus")
THERE: Way = (Key("playlists", "p", ""), "1. Track.opus")
TRACK, MEMBER = "Releases/LOONA - 2018. Hash/01. Track 1.opus", "Playlists/p/1. LOONA - Track 1.opus"
WRITES, TRUNCATES = os.O_RDWR, os.O_WRONLY | os.O_TRUNC


def ask(ways: Ways, asker: int = 1, inode: int = 7, operation: Operation = Operation.WRITE) -> None:
    with pytest.raises(StaleError):
        ways.find(asker, inode, operation)


# Questions ----------------------------------------------------------------------------------------------------


def test_the_way_is_what_was_looked_up_since_it_was_asked_for() -> None:
    ways = Ways()
    ways.found(1, 7, THERE, in_list=True)
    ask(ways)
    ways.found(1, 7, HERE, in_list=False)
    assert ways.find(1, 7, Operation.WRITE) == HERE
    ask(ways)  # the next time again


def test_everybody_has_a_way_of_their_own() -> None:
    ways = Ways()
    ask(ways, 1)
    ask(ways, 2)
    ways.found(2, 7, THERE, in_list=True)
    ways.found(1, 7, HERE, in_list=False)
    ways.found(3, 7, THERE, in_list=True)
    assert ways.find(1, 7, Operation.WRITE) == HERE
    assert ways.find(2, 7, Operation.WRITE) == THERE


def test_only_who_is_about_to_truncate_is_said_to_be() -> None:
    ways = Ways()
    ask(ways, 1, operation=Operation.TRUNCATE)
    ask(ways, 2)
    assert not ways.found(2, 7, THERE, in_list=True)
    assert not ways.found(3, 7, THERE, in_list=True)
    assert ways.found(1, 7, THERE, in_list=True)


def test_who_finds_none_has_no_way() -> None:
    ways = Ways()
    ask(ways)
    assert ways.find(1, 7, Operation.WRITE) is None


def test_a_question_is_over_when_the_path_leads_elsewhere_or_something_else_is_asked() -> None:
    ways = Ways()
    ask(ways)
    ways.found(1, 8, HERE, in_list=False)
    ask(ways)
    ways.give_up(1)
    ask(ways)
    ask(ways, inode=8)
    assert len(ways) == 1
    ask(ways)
    ways.answered(1, 7)
    assert len(ways) == 0


def test_of_those_without_a_number_nobody_knows_who_has_found_what() -> None:
    ways = Ways()
    ask(ways, 0)
    ask(ways, 0, inode=8)  # by another program
    ways.found(0, 8, HERE, in_list=False)
    ways.found(0, 7, HERE, in_list=False)
    assert ways.find(0, 7, Operation.WRITE) == HERE
    assert ways.find(0, 8, Operation.WRITE) == HERE
    ask(ways, 0)
    ways.found(0, 7, HERE, in_list=False)
    ways.found(0, 7, THERE, in_list=True)
    assert ways.find(0, 7, Operation.WRITE) is None


def test_questions_of_those_who_are_gone_take_little_memory() -> None:
    ways = Ways()
    for asker in range(1, 1000):
        ask(ways, asker)
    assert len(ways) == 256
    ask(ways, 1)
    assert ways.find(999, 7, Operation.WRITE) is None


# Files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def editor(library: Config, closing: Closing, tmp_path: Path) -> Editor:
    """A library with a playlist of one track, of which nothing was looked at."""
    make_list(library.playlists_dir / "p.toml", "tracks", cached_ids(library)["loona/01.opus"])
    made = closing.add(Editor(library, tmp_path / "state"))
    made.update()
    return made


def content(editor: Editor) -> bytes:
    return (editor.c.music_source_dir / "loona/01.opus").read_bytes()


def as_the_kernel(editor: Editor, path: str, change: Callable[[int], object]) -> object:
    """Does something to a file by its path; once more, after looking it up, if what was known is said to be stale."""
    try:
        return change(editor.stat(path).inode)
    except StaleError:
        return change(editor.stat(path).inode)


def test_a_file_that_no_list_has_shown_is_written_at_once(editor: Editor) -> None:
    for flags in (WRITES, TRUNCATES):
        opened = editor.fs.open(editor.stat(TRACK).inode, flags)
        editor.fs.write(opened.handle, 0, b"OggS")
        editor.fs.flush(opened.handle)
        editor.fs.release(opened.handle)
    assert content(editor) == b"OggS"


@pytest.mark.parametrize("is_listed", [True, False])
def test_one_that_a_list_has_shown_is_asked_for_first(editor: Editor, is_listed: bool) -> None:
    number = editor.stat(TRACK).inode
    if is_listed:
        entries = list(editor.fs.entries(editor.stat("Playlists/p").inode, 0))
        assert number in [each.attributes.inode for each in entries]
    else:
        assert editor.stat(MEMBER).inode == number
    for flags in (WRITES, TRUNCATES):
        with pytest.raises(StaleError):
            editor.fs.open(number, flags)


def test_it_is_read_at_once_and_its_names_are_kept(editor: Editor) -> None:
    number = editor.stat(MEMBER).inode
    editor.fs.release(editor.fs.open(number, os.O_RDONLY).handle)
    assert editor.stat(MEMBER).keep_name
    assert editor.stat(TRACK).keep_name
    assert all(each.attributes.keep_name for each in editor.entries("Playlists/p"))


def test_opened_by_no_name_it_is_not_truncated_and_only_edited_in_place(editor: Editor) -> None:
    before, number = content(editor), editor.stat(TRACK).inode
    assert editor.stat(MEMBER).inode == number
    with pytest.raises(StaleError):
        editor.fs.open(number, TRUNCATES)
    with pytest.raises(NotPermittedError):
        editor.fs.open(number, TRUNCATES)
    with pytest.raises(StaleError):
        editor.fs.open(number, WRITES)
    opened = editor.fs.open(number, WRITES)
    with pytest.raises(NotPermittedError):
        editor.fs.setattr(number, Changes(size=0), opened.handle)
    editor.fs.release(opened.handle)
    assert content(editor) == before


@pytest.mark.parametrize("changes", [Changes(mode=0o600), Changes(mtime=1_000_000_000)])
def test_attributes_are_set_where_it_is_and_refused_in_a_list(editor: Editor, changes: Changes) -> None:
    editor.stat(MEMBER)
    with pytest.raises(NotPermittedError):
        as_the_kernel(editor, MEMBER, lambda number: editor.fs.setattr(number, changes))
    as_the_kernel(editor, TRACK, lambda number: editor.fs.setattr(number, changes))
    status = (editor.c.music_source_dir / "loona/01.opus").stat()
    assert changes.mode in (None, status.st_mode & 0o777)
    assert changes.mtime in (None, status.st_mtime_ns)


def test_who_has_it_open_sets_attributes_without_being_asked(editor: Editor) -> None:
    """As ``cp -p`` does, by a descriptor, of which the kernel says nothing."""
    number, changes = editor.stat(TRACK).inode, Changes(mtime=1_000_000_000)
    opened = editor.fs.open(number, WRITES, 1)
    assert editor.stat(MEMBER).inode == number
    editor.fs.setattr(number, changes, None, 1)
    editor.fs.setattr(number, changes, None, 2)  # by another thread of the same program
    editor.fs.release(opened.handle)
    with pytest.raises(StaleError):
        editor.fs.setattr(number, changes, None, 1)
    opened = editor.fs.open(number, os.O_RDONLY, 1)
    editor.fs.setattr(number, changes, None, 1)
    with pytest.raises(StaleError):
        editor.fs.setattr(number, changes, None, 2)
    editor.fs.release(opened.handle)


def test_who_has_it_open_through_a_list_sets_no_attributes(editor: Editor) -> None:
    number = editor.stat(MEMBER).inode
    with pytest.raises(StaleError):
        editor.fs.open(number, WRITES, 1)
    editor.fs.lookup(*editor.parent(MEMBER), 1)
    opened = editor.fs.open(number, WRITES, 1)
    editor.stat(TRACK)
    with pytest.raises(NotPermittedError):
        editor.fs.setattr(number, Changes(mtime=1_000_000_000), None, 1)
    editor.fs.release(opened.handle)


def test_who_makes_a_file_that_is_there_says_by_which_name(editor: Editor) -> None:
    number = editor.stat(MEMBER).inode
    opened, attributes = editor.fs.create(*editor.parent(TRACK), 0o644, WRITES, 1)
    assert attributes.inode == number
    editor.fs.release(opened.handle)
    with pytest.raises(StaleError):
        editor.fs.create(*editor.parent(MEMBER), 0o644, TRUNCATES, 1)
    assert editor.stat(MEMBER).inode != number  # what is copied there is another file
