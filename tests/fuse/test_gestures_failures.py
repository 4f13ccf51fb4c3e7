"""What the disk of the source refuses reaches the program that caused it, and leaves everything as it was."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.fuse.conftest import Workbench, run, wait_for, working
from tests.support import disks
from tests.support.audio import make_release
from tests.support.library import snapshot
from tests.support.permissions import as_user

pytestmark = pytest.mark.usefixtures("need_fuse")

ROOM = 8


@pytest.fixture
def small_disk(tmp_path: Path, need_root: None) -> Iterator[Path]:
    """A source directory on a file system of its own, of a few megabytes."""
    with disks.small_disk(tmp_path / "small", kib=ROOM * 1024) as directory:
        yield directory


def _holds(path: Path, content: bytes) -> bool:
    return path.stat().st_size == len(content) and path.read_bytes() == content


def test_a_full_disk_leaves_the_old_file(small_disk: Path, tmp_path: Path, binding: str) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2 * ROOM * 2**20))
    with working(small_disk, binding, expects_log=["No space left on device"]) as bench:
        before = snapshot(bench.source)
        for target in ("rip.log", "01. Track 1.flac", "cover.png", "new file"):
            ran = subprocess.run(["cp", large, bench.release / target], capture_output=True, check=False)
            assert ran.returncode == 1
            assert b"No space left on device" in ran.stderr
            wait_for(lambda: snapshot(bench.source) == before)
        for name in ("rip.log", "cover.png"):
            wait_for(partial(_holds, bench.release / name, before[f"loona/{name}"]))
        assert "new file" not in os.listdir(bench.release)
        bench.check()


def test_a_full_disk_is_told_to_who_imports(small_disk: Path, tmp_path: Path, binding: str) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "01.flac").write_bytes(os.urandom(2 * ROOM * 2**20))
    library = tmp_path / "library"  # whose log is on another disk
    for directory in (library, small_disk / "source"):
        directory.mkdir()
    (library / "source").symlink_to(small_disk / "source")
    with working(library, binding, expects_log=["No space left on device"]) as bench:
        before, releases = snapshot(bench.source), bench.top / "Releases"
        ran = subprocess.run(["cp", "-r", album, f"{releases}/"], capture_output=True, check=False)
        assert ran.returncode == 1
        assert b"No space left on device" in ran.stderr
        run("truncate", "-s", "0", releases / "album/01.flac")
        run("rm", "-r", releases / "album")
        assert snapshot(bench.source) == before
        bench.check()


def test_after_a_failed_save_the_kernel_shows_the_old_bytes(small_disk: Path, binding: str) -> None:
    with working(small_disk, binding, expects_log=["No space left on device"]) as bench:
        log = bench.release / "rip.log"
        assert log.read_bytes() == b"a log\n"
        with pytest.raises(OSError) as caught, log.open("r+b", buffering=0) as file:  # noqa: PT011, PT012
            file.write(b"b")
            while file.write(b"x" * 2**20):
                pass
        assert caught.value.errno == errno.ENOSPC
        if binding == "pyfuse3":
            assert log.read_bytes() == b"a log\n"
        wait_for(lambda: log.read_bytes() == b"a log\n")


@pytest.mark.parametrize("bench", [["Read-only file system"]], indirect=True)
def test_a_disk_that_is_read_only_says_so(bench: Workbench) -> None:
    if os.getuid() != 0:
        skip_or_fail("only root can mount another file system")
    before = snapshot(bench.source)
    run("mount", "--bind", bench.source, bench.source)
    try:
        run("mount", "-o", "remount,ro,bind", bench.source)
        for write, expected in (
            (lambda: os.open(bench.release / "rip.log", os.O_RDWR), errno.EROFS),
            (lambda: os.truncate(bench.release / "rip.log", 1), errno.EROFS),
            (lambda: os.rename(bench.release / "rip.log", bench.release / "x"), errno.EROFS),
            (lambda: os.mkdir(bench.top / "Collages/x"), errno.EROFS),
            (lambda: os.mkdir(bench.top / "Releases/x"), errno.EROFS),
            (lambda: os.unlink(bench.release / "rip.log"), errno.EPERM),  # there is no trash for it
        ):
            with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
                write()
            assert caught.value.errno == expected
    finally:
        run("umount", "--lazy", bench.source)
    assert snapshot(bench.source) == before
    (bench.release / "rip.log").write_text("written again")
    wait_for(lambda: (bench.source / "loona/rip.log").read_text() == "written again")


def test_what_the_source_does_not_permit_is_told(tmp_path: Path, binding: str) -> None:
    with working(tmp_path, binding, expects_log=["Permission denied"], prefix=as_user()) as bench:
        before, journal = snapshot(bench.source), bench.journal()
        album = make_release(tmp_path / "downloads", "album", tracks=1)
        directory, lists = bench.source / "loona", bench.source / "!playlists"
        (directory / "rip.log").chmod(0o400)
        for path in (directory, lists, bench.source):
            path.chmod(0o555)
        try:
            for command in (
                ("cp", album / "01.opus", bench.release / "rip.log"),
                ("cp", album / "01.opus", bench.release / "new.opus"),
                ("sed", "-i", "s/log/x/", bench.release / "rip.log"),
                ("mv", bench.release / "rip.log", bench.release / "x.log"),
                ("rm", bench.release / "rip.log"),
                ("rm", "-r", bench.release),
                ("rm", bench.top / "Playlists/Mix/1. LOONA - Track 1.flac"),
                ("mv", bench.top / "Playlists/Mix", bench.top / "Playlists/Other"),
                ("mkdir", bench.top / "Playlists/Another"),
                ("cp", "-r", album, bench.top / "Releases/"),
            ):
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
                assert ran.returncode != 0, command
                assert re.search("Permission denied|Operation not permitted", ran.stderr), (command, ran)
        finally:
            for path in (bench.source, directory, lists):
                path.chmod(0o755)
        assert snapshot(bench.source) == before
        assert (bench.in_trash(), bench.journal()) == ([], journal)
        assert (bench.release / "rip.log").read_bytes() == b"a log\n"
        bench.check()
