"""What writing ids does when something is in the way: the file stays as it was, and the others get theirs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rosecache import flushing
from rosecache.tags import TEMPORARY_PREFIX, IdWrite, read_ids, recover, write_ids
from rosecache.tags.plans import is_open_for_writing
from tests.support.audio import FORMATS, PICTURE, make_track
from tests.support.flushes import count_flushes
from tests.support.permissions import run_as_user
from tests.support.variants import VARIANTS, without_padding

TRACK, RELEASE = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e"


@pytest.fixture(params=["flac", "mp3, no tag"], ids=["in place", "rewritten"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return VARIANTS[request.param](tmp_path)


def write(*paths: Path) -> list[str]:
    """Writes ids into files of one directory, and returns the reasons of the failures."""
    problems = write_ids(paths[0].parent, [IdWrite(path, TRACK, RELEASE) for path in paths])
    assert [name for name in os.listdir(paths[0].parent) if name.startswith(".")] == []
    return [problem.reason for problem in problems]


WRITE_PROGRAM = """
import sys
from pathlib import Path
from rosecache.tags import IdWrite, write_ids
path, *ids = sys.argv[1:]
for problem in write_ids(Path(path).parent, [IdWrite(Path(path), *ids)]):
    print(problem.reason)
"""


def write_as_user(path: Path) -> list[str]:
    """Writes ids as somebody whom permissions stop, and returns the reasons of the failures."""
    return run_as_user(WRITE_PROGRAM, str(path), TRACK, RELEASE).splitlines()


def expect_untouched(path: Path, act: Callable[[], list[str]]) -> str:
    before, status = path.read_bytes(), path.stat()
    (reason,) = act()
    after = path.stat()
    assert path.read_bytes() == before
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (
        status.st_ino,
        status.st_mtime_ns,
        status.st_mode,
    )
    return reason


def test_file_that_another_program_writes_to(path: Path) -> None:
    with path.open("r+b"):
        assert "another program is writing to it" in expect_untouched(path, lambda: write(path))
    assert write(path) == []


def test_file_that_another_program_reads(path: Path) -> None:
    with path.open("rb"):
        assert write(path) == []
    assert read_ids(path) == (TRACK, RELEASE)


def test_a_program_that_opens_the_file_during_the_check_is_no_danger(path: Path) -> None:
    """The kernel tells the holder of a lease by a signal, and the usual one would end the process."""
    child = os.fork()
    if child == 0:
        real = fcntl.fcntl

        def somebody_opens(fd: int, command: int, argument: int) -> object:
            result = real(fd, command, argument)
            if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
                with contextlib.suppress(BlockingIOError):
                    os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            return result

        pytest.MonkeyPatch().setattr(fcntl, "fcntl", somebody_opens)
        with path.open("rb") as file:
            is_open_for_writing(file.fileno())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    outside = make_track(tmp_path / "outside" / "01.flac")
    link = tmp_path / "release" / "01.flac"
    link.parent.mkdir()
    link.symlink_to(outside)
    assert "symbolic link" in expect_untouched(outside, lambda: write(link))
    assert link.is_symlink()


def test_linked_directory_is_not_written_through(tmp_path: Path) -> None:
    outside = make_track(tmp_path / "outside" / "01.flac")
    release = tmp_path / "release"
    release.mkdir()
    (release / "Disc 2").symlink_to(outside.parent)
    writes = [IdWrite(release / "Disc 2" / "01.flac", TRACK, RELEASE)]
    reason = expect_untouched(outside, lambda: [problem.reason for problem in write_ids(release, writes)])
    assert "outside" in reason


def test_file_outside_of_the_release_is_left_alone(tmp_path: Path) -> None:
    outside = make_track(tmp_path / "other" / "01.flac")
    release = tmp_path / "release"
    release.mkdir()
    for named in (outside, release / ".." / "other" / "01.flac"):
        writes = [IdWrite(named, TRACK, RELEASE)]

        def act(writes: list[IdWrite] = writes) -> list[str]:
            return [problem.reason for problem in write_ids(release, writes)]

        assert "outside" in expect_untouched(outside, act)


def test_release_directory_may_be_a_link_itself(tmp_path: Path) -> None:
    path = make_track(tmp_path / "real" / "01.flac")
    (tmp_path / "link").symlink_to(path.parent)
    linked = tmp_path / "link" / "01.flac"
    assert write_ids(linked.parent, [IdWrite(linked, TRACK, RELEASE)]) == []
    assert read_ids(path) == (TRACK, RELEASE)


def test_other_names_of_a_file_keep_its_content(path: Path) -> None:
    other = path.with_name("shared" + path.suffix)
    other.hardlink_to(path)
    before = path.read_bytes()
    assert write(path) == []
    assert read_ids(path) == (TRACK, RELEASE)
    assert other.read_bytes() == before


@pytest.mark.parametrize("format", FORMATS)
def test_no_room_on_the_disk(format: str, tmp_path: Path) -> None:
    """A limit on file sizes fails a write as a full disk does."""
    big = make_track(tmp_path / f"01.{format}", picture=bytes(100_000), comment="x")
    without_padding(big)
    small = make_track(tmp_path / f"02.{format}", picture=PICTURE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        reason = expect_untouched(big, lambda: write(big, small))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert reason == os.strerror(errno.EFBIG)
    assert read_ids(big) == (None, None)
    assert read_ids(small) == (TRACK, RELEASE)


def test_disk_that_fails_while_the_bytes_are_flushed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = path.read_bytes()
    real = os.fsync

    def failing(fd: int) -> None:
        name = os.readlink(f"/proc/self/fd/{fd}")
        if (name == str(path) and path.read_bytes() != original) or "tags." in name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, "fsync", failing)
    assert expect_untouched(path, lambda: write(path)) == os.strerror(errno.EIO)


def test_file_that_changes_while_ids_are_being_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened once to plan the change, and once to make it."""
    edited = path.read_bytes() + b"edited"
    real = os.open
    opened = []

    def interfering(name: Path, flags: int, *mode: int, **named: int) -> int:
        opened.append(name)
        if opened.count(path) == 2:
            path.write_bytes(edited)
        return real(name, flags, *mode, **named)

    monkeypatch.setattr(os, "open", interfering)
    assert write(path) == ["another program has changed it meanwhile"]
    assert path.read_bytes() == edited


def test_file_that_another_program_opens_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = VARIANTS["mp3, no tag"](tmp_path)
    real = os.fsync
    with contextlib.ExitStack() as opened:

        def interfering(fd: int) -> None:
            real(fd)
            opened.enter_context(path.open("r+b"))

        monkeypatch.setattr(os, "fsync", interfering)
        assert "another program" in expect_untouched(path, lambda: write(path))


def test_file_that_changes_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = VARIANTS["mp3, no tag"](tmp_path)
    edited = path.read_bytes() + b"edited"
    real = os.fsync

    def interfering(fd: int) -> None:
        real(fd)
        path.write_bytes(edited)

    monkeypatch.setattr(os, "fsync", interfering)
    assert write(path) == ["another program has changed it meanwhile"]
    assert path.read_bytes() == edited


def test_many_files_at_once(tmp_path: Path) -> None:
    first = VARIANTS["flac"](tmp_path)
    second = VARIANTS["mp3, no tag"](tmp_path)
    paths = [Path(shutil.copy(first, tmp_path / f"{n}.flac")) for n in range(130)]
    paths += [Path(shutil.copy(second, tmp_path / f"{n}.mp3")) for n in range(130)]
    paths[7].write_bytes(b"broken")
    assert len(write(*paths)) == 1
    assert all(read_ids(path) == (TRACK, RELEASE) for path in paths if path != paths[7])


@pytest.mark.parametrize("tracks", [10, 50])
def test_flushes_are_few(tracks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [make_track(tmp_path / f"{n:02}.flac") for n in range(tracks)]
    flushed = count_flushes(monkeypatch)
    assert write(*paths) == []
    # The journal, and its name when it comes and when it goes; and the files, together.
    assert flushed == {"fsync": 3, "syncfs": 1}
    flushed.clear()
    assert write(*paths) == []
    assert flushed == {}


def test_flushes_where_not_everything_can_be_flushed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [make_track(tmp_path / f"{n:02}.flac") for n in range(10)]
    monkeypatch.setattr(flushing, "_FLUSHED_WHOLE", frozenset())
    flushed = count_flushes(monkeypatch)
    assert write(*paths) == []
    assert flushed == {"fsync": 10 + 3}


def test_read_only_file(path: Path) -> None:
    path.chmod(0o444)
    assert expect_untouched(path, lambda: write_as_user(path)) == os.strerror(errno.EACCES)


def test_read_only_directory(path: Path) -> None:
    path.parent.chmod(0o555)
    try:
        assert expect_untouched(path, lambda: write_as_user(path)) == os.strerror(errno.EACCES)
    finally:
        path.parent.chmod(0o755)


@pytest.mark.usefixtures("need_root")
def test_owner_stays(path: Path) -> None:
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    assert write(path) == []
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 5678, 0o640)


def test_recovery_finds_what_is_left_at_any_depth_and_only_that(tmp_path: Path) -> None:
    disc = tmp_path / "Disc 2"
    disc.mkdir()
    kept = [
        tmp_path / f"{TEMPORARY_PREFIX}hold.1", tmp_path / ".in-progress.other", disc / "01.flac",
        tmp_path / "notes.txt",
    ]  # fmt: skip
    left = [
        disc / f"{TEMPORARY_PREFIX}tags.0123456789abcdef.flac",
        tmp_path / f"{TEMPORARY_PREFIX}journal.01",
    ]
    for path in (*kept, *left):
        path.write_bytes(b"x")
    assert recover(tmp_path) == []
    assert [path.exists() for path in (*kept, *left)] == [True] * len(kept) + [False] * len(left)


def test_recovery_of_a_release_that_needs_none(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    before = path.stat()
    assert recover(tmp_path) == []
    assert path.stat().st_ctime_ns == before.st_ctime_ns
