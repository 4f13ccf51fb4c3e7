"""The journal: what is written before an edit, what of a failed one is left, and how it is bounded."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from uuid6 import uuid7

from rosefs.library import hands
from rosefs.library.errors import JournalError, NotFoundError, TrashError
from rosefs.library.journal import Edit, Journal
from rosefs.library.steps import (
    Created,
    Header,
    Line,
    Renamed,
    Replaced,
    Restored,
    Trashed,
    decode_lines,
    encode_line,
)
from rosefs.library.trash import Trashed as InTrash
from tests.support.library import snapshot


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a file ``a`` and a directory ``d``."""
    directory = tmp_path / "place"
    (directory / "d").mkdir(parents=True)
    (directory / "a").write_bytes(b"old content")
    (directory / "d" / "x").write_bytes(b"x")
    return directory


def lines_of(journal: Journal) -> list[dict[str, object]]:
    (file,) = journal.directory.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_an_edit_is_a_file_of_a_header_its_steps_and_an_end(place: Path, journal: Journal) -> None:
    with journal.edit("try everything") as edit:
        edit.rename(place / "a", place / "b")
        edit.create(place / "c", b"made")
        edit.replace(place / "b", b"new content")
        edit.trash(place / "d")
    kinds = [line["kind"] for line in lines_of(journal)]
    assert kinds == ["header", "renamed", "created", "replaced", "trashed", "done"]
    header = lines_of(journal)[0]
    assert header["title"] == "try everything"
    assert header["id"] == journal.history()[0].id
    assert snapshot(place) == {"b": b"new content", "c": b"made"}


def test_the_journal_is_for_its_owner_alone(place: Path, journal: Journal) -> None:
    with journal.edit("x") as edit:
        edit.rename(place / "a", place / "b")
        edit.replace(place / "b", os.urandom(200_000))
        edit.replace(place / "b", b"")
    assert stat.S_IMODE(journal.directory.stat().st_mode) == 0o700
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in journal.directory.iterdir()}
    assert modes == {".jsonl": 0o600, ".old": 0o600, ".lock": 0o600}


@pytest.mark.parametrize("action", ["rename", "create", "replace", "trash"])
def test_each_step_is_on_the_disk_before_it_is_done(
    place: Path, journal: Journal, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    flushed: list[tuple[int, int]] = []
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        flushed.append((status.st_ino, status.st_size))
        fsync(descriptor)

    def looking(*arguments: object) -> None:
        (file,) = journal.directory.glob("*.jsonl")
        seen.append(json.loads(file.read_text().splitlines()[-1])["kind"])
        assert (file.stat().st_ino, file.stat().st_size) in flushed
        raise OSError(errno.EIO, "stop here")

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(hands, "rename_new", looking)
    monkeypatch.setattr("rosefs.library.trash.rename_new", looking)
    if action == "replace":
        monkeypatch.setattr(os, "rename", looking)
    with journal.edit("x") as edit:
        does: dict[str, Callable[[], object]] = {
            "rename": lambda: edit.rename(place / "a", place / "b"),
            "create": lambda: edit.create(place / "c", b""),
            "replace": lambda: edit.replace(place / "a", b"new"),
            "trash": lambda: edit.trash(place / "a"),
        }
        with pytest.raises((OSError, TrashError), match="stop here"):
            does[action]()
    assert seen == [f"{action.removesuffix('e')}ed"]
    assert snapshot(place) == {"a": b"old content", "d/x": b"x"}
    assert journal.history() == []  # nothing came of it


def test_only_the_bytes_that_differ_are_kept(place: Path, journal: Journal) -> None:
    audio = os.urandom(1_000_000)
    (place / "a").write_bytes(b"HEAD title=Old;" + audio)
    with journal.edit("retag") as edit:
        edit.replace(place / "a", b"HEAD title=A longer one;" + audio)
    assert sum(path.stat().st_size for path in journal.directory.iterdir()) < 1500
    (step,) = journal.history()[0].steps
    assert isinstance(step, Replaced)
    assert (step.prefix, step.old, step.suffix) == (len(b"HEAD title="), b"Old", len(audio) + 1)


def test_replacing_by_the_same_content_is_no_edit(place: Path, journal: Journal) -> None:
    before = (place / "a").stat()
    with journal.edit("x") as edit:
        edit.replace(place / "a", b"old content")
    assert (place / "a").stat() == before
    assert journal.history() == []


def test_nothing_is_written_through_a_link(place: Path, journal: Journal) -> None:
    (place / "link").symlink_to("a")
    with journal.edit("x") as edit:
        with pytest.raises(PermissionError, match="symbolic link"):
            edit.replace(place / "link", b"new")
        (place / "ready").write_bytes(b"new")
        with pytest.raises(PermissionError, match="symbolic link"):
            edit.put(place / "link", place / "ready")
    assert (place / "link").is_symlink()
    assert (place / "a").read_bytes() == b"old content"


def test_nothing_is_ever_written_over_another_file(place: Path, journal: Journal) -> None:
    with journal.edit("x") as edit:
        with pytest.raises(FileExistsError):
            edit.create(place / "a", b"new")
        with pytest.raises(FileExistsError):
            edit.rename(place / "d", place / "a")
        with pytest.raises(FileExistsError):
            edit.create_tree(place / "a", place / "d", place / ".in-progress.a", lambda done, total: None)
    assert snapshot(place) == {"a": b"old content", "d/x": b"x"}
    assert journal.history() == []


def test_a_file_that_another_program_changes_meanwhile_is_left_to_it(
    place: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = encode_line

    def change_first(line: Line) -> bytes:
        if isinstance(line, Replaced):
            (place / "a").write_bytes(b"somebody else's")
        return encode(line)

    monkeypatch.setattr("rosefs.library.making.encode_line", change_first)
    with pytest.raises(OSError, match="changed by another program"), journal.edit("x") as edit:
        edit.replace(place / "a", b"ours")
    assert (place / "a").read_bytes() == b"somebody else's"
    assert not list(place.glob(".in-progress.*"))


# Failures ---------------------------------------------------------------------------------------------------


class StopError(Exception):
    pass


def test_an_edit_that_fails_is_taken_back_and_leaves_no_trace(
    place: Path, journal: Journal, home_trash: Path
) -> None:
    (place / "tree").mkdir()
    before = snapshot(place)

    def do_everything(edit: Edit) -> None:
        edit.rename(place / "a", place / "b")
        edit.replace(place / "b", os.urandom(100_000))
        edit.replace(place / "b", b"newer")
        edit.create(place / "c", b"made")
        edit.create_tree(place / "e", place / "d", place / ".in-progress.e", lambda done, total: None)
        edit.trash(place / "d")
        edit.restore(edit.trash(place / "c"))
        raise StopError

    with pytest.raises(StopError), journal.edit("x") as edit:
        do_everything(edit)
    assert snapshot(place) == before
    assert journal.history() == []
    assert [path.name for path in journal.directory.iterdir() if path.suffix != ".lock"] == []
    assert list((home_trash / "files").iterdir()) == []


def test_an_edit_may_go_on_after_a_step_that_failed(place: Path, journal: Journal) -> None:
    with journal.edit("x") as edit:
        edit.rename(place / "a", place / "b")
        with pytest.raises(FileNotFoundError):
            edit.rename(place / "nothing", place / "c")
        with pytest.raises(FileExistsError):
            edit.rename(place / "d", place / "b")
        edit.create(place / "c", b"made")
    (entry,) = journal.history()
    assert [type(step) for step in entry.steps] == [Renamed, Created]
    assert entry.finished


@pytest.mark.expects_log("is half done")
def test_what_cannot_be_taken_back_is_said_and_stays_in_the_journal(place: Path, journal: Journal) -> None:
    def do_what_cannot_be_taken_back(edit: Edit) -> None:
        edit.rename(place / "a", place / "b")
        (place / "a").write_bytes(b"somebody else's")
        raise StopError

    with pytest.raises(StopError) as raised, journal.edit("x") as edit:
        do_what_cannot_be_taken_back(edit)
    assert "could not all be taken back" in raised.value.__notes__[0]
    (entry,) = journal.history()
    assert not entry.finished
    assert (place / "b").read_bytes() == b"old content"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Makes every write past a size fail, as a full disk does; see setrlimit(2)."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_journal_that_cannot_be_written_lets_nothing_happen(place: Path, journal: Journal) -> None:
    before = snapshot(place)

    def rename_often(edit: Edit) -> None:
        for number in range(10):
            edit.rename(place / ("a" if not number else f"a{number - 1}"), place / f"a{number}")

    with pytest.raises(JournalError, match="File too large"), file_size_limit(800), journal.edit("x") as edit:
        rename_often(edit)
    assert snapshot(place) == before
    assert journal.history() == []


def test_a_journal_without_permission_lets_nothing_happen(
    place: Path, journal: Journal, permissions_count: None
) -> None:
    journal.state_dir.mkdir(mode=0o500)
    with pytest.raises(JournalError, match="Permission denied"), journal.edit("x") as edit:
        edit.trash(place / "a")
    assert (place / "a").exists()


# History ----------------------------------------------------------------------------------------------------


def make_edits(journal: Journal, place: Path, count: int) -> None:
    for number in range(count):
        with journal.edit(f"edit {number}") as edit:
            edit.create(place / f"new{number}", b"")


def test_history_is_newest_first_and_limited(place: Path, journal: Journal) -> None:
    assert journal.history() == []
    make_edits(journal, place, 4)
    assert [entry.title for entry in journal.history()] == ["edit 3", "edit 2", "edit 1", "edit 0"]
    assert [entry.title for entry in journal.history(2)] == ["edit 3", "edit 2"]


def test_an_edit_is_found_by_an_end_of_its_id(place: Path, journal: Journal) -> None:
    make_edits(journal, place, 2)
    entry = journal.history()[1]
    assert journal.find(entry.id) == entry
    assert journal.find(entry.id[-12:]) == entry
    for unknown in ("", "x", "../../etc/passwd"):
        with pytest.raises(NotFoundError, match="rosefs history"):
            journal.find(unknown)


def test_the_time_is_when_it_began_with_the_offset(tmp_path: Path, place: Path) -> None:
    journal = Journal(tmp_path / "state", clock=lambda: 1_700_000_000.0)
    make_edits(journal, place, 1)
    time = datetime.fromisoformat(journal.history()[0].time)
    assert time.timestamp() == 1_700_000_000.0
    assert time.utcoffset() is not None


def test_the_oldest_edits_go_first_when_there_are_too_many(tmp_path: Path, place: Path) -> None:
    journal = Journal(tmp_path / "state", max_edits=3)
    make_edits(journal, place, 5)
    assert [entry.title for entry in journal.history()] == ["edit 4", "edit 3", "edit 2"]


def test_the_oldest_edits_go_first_when_they_take_too_much(tmp_path: Path, place: Path) -> None:
    journal = Journal(tmp_path / "state", max_bytes=450_000)
    for number in range(4):
        with journal.edit(f"edit {number}") as edit:
            edit.replace(place / "a", os.urandom(200_000))
    assert [entry.title for entry in journal.history()] == ["edit 3", "edit 2"]
    kept = [path.name for path in journal.directory.iterdir() if path.suffix == ".old"]
    assert all(name.startswith(tuple(entry.id for entry in journal.history())) for name in kept)
    assert sum(path.stat().st_size for path in journal.directory.iterdir()) <= 450_000


def test_edits_that_are_taken_back_as_one_count_as_one_and_go_together(tmp_path: Path, place: Path) -> None:
    journal = Journal(tmp_path / "state", max_edits=2)
    for number in range(6):
        with journal.edit(f"edit {number}", group="run" if number < 4 else None) as edit:
            edit.replace(place / "a", b"%d" % number)
        assert len(journal.history()) == (number + 1 if number < 5 else 2)
    assert [entry.title for entry in journal.history()] == ["edit 5", "edit 4"]


def test_an_edit_in_the_making_stays_however_old(tmp_path: Path, place: Path) -> None:
    journal = Journal(tmp_path / "state", max_edits=2)
    with journal.edit("long") as edit:
        edit.rename(place / "a", place / "b")
        make_edits(journal, place, 4)
        assert [entry.title for entry in journal.history()] == ["edit 3", "long"]


def test_the_newest_edit_stays_whatever_it_takes(tmp_path: Path, place: Path) -> None:
    journal = Journal(tmp_path / "state", max_bytes=10)
    for number in range(2):
        with journal.edit(f"edit {number}") as edit:
            edit.replace(place / "a", os.urandom(100_000 - number))
    assert [entry.title for entry in journal.history()] == ["edit 1"]


def test_a_torn_last_line_was_never_written(place: Path, journal: Journal) -> None:
    with journal.edit("x") as edit:
        edit.rename(place / "a", place / "b")
        edit.rename(place / "b", place / "c")
    (file,) = journal.directory.glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:-5])
    (entry,) = journal.history()
    assert len(entry.steps) == 1
    assert not entry.finished


def test_what_is_no_edit_is_passed_over(place: Path, journal: Journal) -> None:
    make_edits(journal, place, 1)
    (journal.directory / "0.jsonl").write_bytes(b"")
    (journal.directory / "1.jsonl").write_bytes(b'{"kind": "header", "id": 3}\n')
    (journal.directory / "2.jsonl").write_bytes(b"\xff\n")
    (journal.directory / "note.txt").write_bytes(b"hello")
    assert [entry.title for entry in journal.history()] == ["edit 0"]


# Lines ------------------------------------------------------------------------------------------------------

ODD = Path(os.fsdecode(b"/music/caf\xe9 \xff\n\xe2\x82\xac"))


@pytest.mark.parametrize(
    "line",
    [
        Header(
            id="1",
            time="2024-01-01T00:00:00+01:00",
            title="délete \U0001f3b5",
            program="p",
            undoes=("0",),
            group="g",
        ),
        Renamed(old=ODD, new=Path("/b"), digest=None),
        Trashed(at=InTrash(ODD, Path("/t/files/x"), Path("/t/info/x.trashinfo"), "[Trash Info]\n")),
        Restored(at=InTrash(ODD, ODD, ODD, "")),
        Created(path=ODD, digest="00", temporary=ODD),
        Replaced(
            path=ODD, prefix=1, suffix=2, new_size=9, old_digest="a", new_digest="b", old=bytes(range(256))
        ),
    ],
)
def test_lines_round_trip_with_any_path_and_any_bytes(line: Line) -> None:
    data = encode_line(line)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert list(decode_lines(data)) == [line]
    for path in ("old", "path"):
        if isinstance(found := getattr(next(iter(decode_lines(data))), path, None), Path):
            assert os.fsencode(found) == b"/music/caf\xe9 \xff\n\xe2\x82\xac"


class _Meanwhile(hands.Hands):
    """Hands that give another program its chance just before a step is done."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    def _about_to(self, step: Line) -> None:
        self._action()


def test_another_name_for_a_file_is_no_change_of_it_and_other_content_is(place: Path) -> None:
    (place / "new").write_bytes(b"new content")
    _Meanwhile(lambda: os.link(place / "a", place / "held")).put(place / "a", place / "new")
    assert (place / "a").read_bytes() == b"new content"
    assert (place / "held").read_bytes() == b"old content"
    (place / "new").write_bytes(b"newer content")
    with pytest.raises(OSError, match="by another program"):
        _Meanwhile(lambda: (place / "a").write_bytes(b"theirs")).put(place / "a", place / "new")
    assert (place / "a").read_bytes() == b"theirs"


def test_later_edits_have_greater_ids_also_when_the_clock_was_put_back(
    place: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = str(uuid7())
    for number in range(3):
        with journal.edit(f"edit {number}") as edit:
            edit.create(place / f"new {number}", b"")
        monkeypatch.setattr("rosefs.library.journal.new_id", lambda: before)
    entries = journal.history()
    assert [entry.title for entry in entries] == ["edit 2", "edit 1", "edit 0"]
    assert {UUID(entry.id).version for entry in entries} == {7}
