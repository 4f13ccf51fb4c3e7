"""What both bindings make of a tree's answers, and of its failures, as programs on a real mount see it."""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import mmap
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rosefs.fuse.mount import Timeouts
from rosefs.fuse.translation import trusted_timeouts
from rosefs.vfs.disks import Disks
from tests.support.memory_tree import (
    CALLS,
    LOOKUPS,
    RENUMBER,
    TIME,
    BrokenDiskTree,
    Content,
    FailingTree,
    MemoryTree,
    StallingTree,
)
from tests.support.mounts import SHARED_LIMIT, Mounted, mounted

pytestmark = pytest.mark.usefixtures("need_fuse")

SONG = bytes(itertools.islice(itertools.cycle(range(251)), 1_000_003))
CONTENT: dict[str, Content] = {
    "song.opus": SONG,
    "empty": b"",
    "sub": {"file": b"in sub", "b\u00e9\U0001f3b5": b"\xc3\xa9"},
}
FRESH = Timeouts(entry=0, attributes=0, absent=0)


def counted(path: Path, what: str) -> dict[str, int]:
    """Returns what the served tree has counted."""
    counts: dict[str, int] = json.loads(os.getxattr(path, what))
    return counts


def wait_for(condition: Callable[[], Any]) -> None:
    """Waits until the condition holds. The mount's own hard limit ends what never happens."""
    while not condition():
        time.sleep(0.01)


@pytest.fixture(scope="module", params=[True, False], ids=["from memory", "in threads"])
def mount(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, binding: str
) -> Iterator[Mounted]:
    tree = partial(MemoryTree, CONTENT, cheap=request.param)
    with mounted(tree, tmp_path_factory.mktemp("tree"), binding, hard_limit=SHARED_LIMIT) as mount:
        yield mount


# Attributes -----------------------------------------------------------------------------------------------


def test_stat_shows_what_the_tree_knows(mount: Mounted) -> None:
    shown = (mount.path / "song.opus").stat()
    assert stat.S_ISREG(shown.st_mode)
    assert stat.S_IMODE(shown.st_mode) == 0o644
    assert (shown.st_size, shown.st_nlink, shown.st_uid) == (len(SONG), 1, os.getuid())
    assert (shown.st_mtime_ns, shown.st_ctime_ns, shown.st_atime_ns) == (TIME, TIME + 1, TIME + 2)
    assert shown.st_blocks == 1954  # of 512 bytes, rounded up
    assert shown.st_blksize == 4096


def test_the_top_directory_is_a_directory_with_inode_1(mount: Mounted) -> None:
    shown = mount.path.stat()
    assert stat.S_ISDIR(shown.st_mode)
    assert shown.st_ino == 1


def test_a_listing_and_a_lookup_agree_on_the_inode(mount: Mounted) -> None:
    entries = list(os.scandir(mount.path))
    assert entries
    for entry in entries:
        assert entry.inode() == (mount.path / entry.name).stat().st_ino


def test_a_missing_name_is_enoent_again_and_again(mount: Mounted) -> None:
    for directory in (mount.path, mount.path / "sub"):
        for _ in range(3):
            with pytest.raises(FileNotFoundError):
                (directory / "folder.jpg").stat()


class DeafKernel:
    """A kernel from before it could be told what to forget."""

    keeps_listings = False

    def forget_entry(self, parent: int, name: bytes) -> bool:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def forget_attributes(self, inode: int) -> bool:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def drop_pages(self, inode: int) -> bool:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.expects_log("asks every second")
def test_a_kernel_that_cannot_be_told_what_changed_asks_every_second() -> None:
    assert trusted_timeouts(DeafKernel(), Timeouts()) == Timeouts(1, 1, 1)
    assert trusted_timeouts(DeafKernel(), FRESH) == FRESH


def test_the_kernel_remembers_an_absent_name_only_where_it_may(tmp_path: Path, binding: str) -> None:
    timeouts = Timeouts(entry=1000, attributes=1000, absent=1000)
    with mounted(partial(MemoryTree, CONTENT), tmp_path, binding, timeouts=timeouts) as mount:
        (mount.path / "sub").stat()
        before = counted(mount.path, CALLS)["lookup"]
        for _ in range(5):
            assert not (mount.path / "absent").exists()
        after_top = counted(mount.path, CALLS)["lookup"]
        for _ in range(5):
            assert not (mount.path / "sub/absent").exists()
        after_sub = counted(mount.path, CALLS)["lookup"]
    assert (after_top - before, after_sub - after_top) == (1, 5)


def test_a_timeout_of_zero_makes_the_kernel_ask_every_time(tmp_path: Path, binding: str) -> None:
    with mounted(partial(MemoryTree, CONTENT), tmp_path, binding, timeouts=FRESH) as mount:
        for _ in range(5):
            (mount.path / "song.opus").stat()
        assert counted(mount.path, CALLS)["lookup"] == 5


def test_extended_attributes(mount: Mounted) -> None:
    assert os.listxattr(mount.path) == [CALLS, LOOKUPS]
    assert os.listxattr(mount.path / "empty") == []
    assert counted(mount.path, CALLS)["lookup"] >= 1
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        os.getxattr(mount.path, "user.unknown")
    assert caught.value.errno == errno.ENODATA


def test_statfs_passes_the_numbers_on(mount: Mounted) -> None:
    there, here = os.statvfs("/"), os.statvfs(mount.path)
    for field in ("f_bsize", "f_frsize", "f_blocks", "f_files", "f_namemax"):
        assert getattr(here, field) == getattr(there, field), field


# Reading --------------------------------------------------------------------------------------------------


def test_a_file_reads_byte_for_byte(mount: Mounted) -> None:
    assert (mount.path / "song.opus").read_bytes() == SONG
    assert (mount.path / "empty").read_bytes() == b""
    assert (mount.path / "sub/b\u00e9\U0001f3b5").read_bytes() == b"\xc3\xa9"


@pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 1), (1, 4095), (4095, 2), (131_071, 131_073), (999_999, 4), (1_000_002, 10), (1_000_003, 1), (2**40, 9)],
)  # fmt: skip
def test_positioned_reads(mount: Mounted, offset: int, size: int) -> None:
    fd = os.open(mount.path / "song.opus", os.O_RDONLY)
    try:
        assert os.pread(fd, size, offset) == SONG[offset : offset + size]
    finally:
        os.close(fd)


def test_mmap(mount: Mounted) -> None:
    with (
        (mount.path / "song.opus").open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
    ):
        assert mapped[500_001:500_100] == SONG[500_001:500_100]
        assert mapped[:] == SONG


def test_pages_stay_cached_across_opens(mount: Mounted) -> None:
    assert (mount.path / "song.opus").read_bytes() == SONG
    before = counted(mount.path, CALLS)["read"]
    assert (mount.path / "song.opus").read_bytes() == SONG
    assert counted(mount.path, CALLS)["read"] == before


@pytest.mark.parametrize("at", ["open", "read"])
def test_readers_of_a_slow_disk_delay_nobody_else(tmp_path: Path, binding: str, at: str) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow: dict[str, Content] = {f"slow{number}": b"slow%d" % number for number in range(12)}
    tree = partial(StallingTree, CONTENT | slow, gate=gate, at=at)
    with (
        ThreadPoolExecutor(len(slow)) as readers,
        mounted(tree, tmp_path, binding) as mount,
    ):
        reads = [readers.submit((mount.path / name).read_bytes) for name in slow]
        wait_for(lambda: counted(mount.path, CALLS).get(at, 0) >= len(slow))
        assert (mount.path / "song.opus").read_bytes() == SONG
        assert sorted(os.listdir(mount.path / "sub")) == sorted(["file", "b\u00e9\U0001f3b5"])
        assert not any(read.done() for read in reads)
        with gate.open("wb"):
            assert [read.result() for read in reads] == list(slow.values())


@pytest.mark.parametrize("at_once", [True, False])
def test_a_file_goes_to_a_thread_only_if_it_may_take_long_to_open(tmp_path: Path, at_once: bool) -> None:
    with mounted(partial(MemoryTree, CONTENT, cheap=at_once), tmp_path, "pyfuse3") as mount:
        for _ in range(3):
            assert (mount.path / "song.opus").read_bytes() == SONG
        calls = counted(mount.path, CALLS)
    assert calls["open"] == 3
    assert calls["open in a thread"] == (0 if at_once else 3)


@pytest.mark.parametrize("timeouts", [FRESH, Timeouts()])
def test_a_disk_that_has_to_be_asked_is_not_asked(tmp_path: Path, binding: str, timeouts: Timeouts) -> None:
    with mounted(partial(MemoryTree, CONTENT), tmp_path, binding, timeouts=timeouts) as mount:
        song, disks = mount.path / "song.opus", Disks()
        disks.answering.add(song.stat().st_dev)
        before = counted(mount.path, CALLS)["lookup"]
        assert disks.has_at_hand(os.fsencode(song)) == (timeouts != FRESH)
        assert counted(mount.path, CALLS)["lookup"] == before


# Listing --------------------------------------------------------------------------------------------------

MANY: dict[str, Content] = {
    f"{number:05} a name of some length, as tracks have": b"" for number in range(5000)
}


def test_a_large_directory_is_listed_whole(tmp_path: Path, binding: str) -> None:
    with mounted(partial(MemoryTree, MANY), tmp_path, binding) as mount:
        assert os.listdir(mount.path) == list(MANY)


def test_two_listings_of_a_directory_do_not_disturb_each_other(tmp_path: Path, binding: str) -> None:
    with (
        mounted(partial(MemoryTree, MANY), tmp_path, binding) as mount,
        os.scandir(mount.path) as one,
        os.scandir(mount.path) as other,
    ):
        pairs = list(itertools.zip_longest(one, other))
        assert [a.name for a, _ in pairs] == [b.name for _, b in pairs] == list(MANY)


def test_a_listing_can_be_rewound(tmp_path: Path, binding: str) -> None:
    with mounted(partial(MemoryTree, MANY), tmp_path, binding) as mount:
        fd = os.open(mount.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert os.listdir(fd) == os.listdir(fd) == list(MANY)
        finally:
            os.close(fd)


def test_a_listing_by_small_buffers_is_whole(tmp_path: Path, binding: str) -> None:
    """Many calls that take a few entries each, as by a C library with a small buffer."""
    with mounted(partial(MemoryTree, MANY), tmp_path, binding) as mount:
        fd = os.open(mount.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert [name for name in names_by_getdents(fd, 200) if name not in (".", "..")] == list(MANY)
        finally:
            os.close(fd)


def names_by_getdents(fd: int, size: int) -> Iterator[str]:
    """Yields what getdents64(2) gives through a buffer of this size."""
    libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(size)
    while (length := libc.getdents64(fd, buffer, ctypes.c_size_t(size))) > 0:
        at = 0
        while at < length:
            (record,) = struct.unpack_from("=H", buffer, at + 16)
            yield os.fsdecode(buffer.raw[at + 19 : at + record].split(b"\0")[0])
            at += record
    assert length == 0, os.strerror(ctypes.get_errno())


def test_lookups_are_counted_exactly(tmp_path: Path, binding: str) -> None:
    """Whatever the kernel counts it takes back when the number is gone: nothing is left, nothing is negative."""
    some = dict(itertools.islice(MANY.items(), 1000))
    with mounted(partial(MemoryTree, some), tmp_path, binding, timeouts=FRESH) as mount:

        def look_at_everything() -> set[str]:
            return {str(entry.stat().st_ino) for entry in os.scandir(mount.path)}

        old = look_at_everything()
        assert len(old) == len(some)
        assert old & counted(mount.path, LOOKUPS).keys()
        counted(mount.path, RENUMBER)
        assert look_at_everything().isdisjoint(old)
        wait_for(lambda: old.isdisjoint(counted(mount.path, LOOKUPS)))


# Failures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("lookup", lambda path: (path / "sub/file").stat()),
        ("entries", lambda path: os.listdir(path / "sub")),
        ("open", lambda path: (path / "song.opus").read_bytes()),
        ("read", lambda path: (path / "song.opus").read_bytes()),
        ("getxattr", lambda path: os.getxattr(path / "song.opus", "user.x")),
        ("listxattr", lambda path: os.listxattr(path / "song.opus")),
        ("getattr", lambda path: (path / "song.opus").stat()),
    ],
)
def test_a_mistake_in_a_handler_is_eio_and_the_mount_goes_on(
    tmp_path: Path, binding: str, method: str, act: Callable[[Path], object]
) -> None:
    handler = "readdir" if method == "entries" else method
    expected = [f"ERROR .*{handler} failed unexpectedly; answered with EIO", "ZeroDivisionError", "Traceback"]
    tree = partial(FailingTree, CONTENT, method=method)
    with mounted(tree, tmp_path, binding, timeouts=FRESH, expects_log=expected) as mount:
        for _ in range(2):
            with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
                act(mount.path)
            assert caught.value.errno == errno.EIO
        assert (mount.path).stat().st_ino == 1


def test_a_failing_disk_is_eio_and_logged_without_a_traceback(tmp_path: Path, binding: str) -> None:
    expected = [r"WARNING .*read: /music/a\.opus: Input/output error"]
    with mounted(partial(BrokenDiskTree, CONTENT), tmp_path, binding, expects_log=expected) as mount:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
            (mount.path / "song.opus").read_bytes()
        assert caught.value.errno == errno.EIO
        assert "Traceback" not in mount.log()
