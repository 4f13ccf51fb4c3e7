"""What is no gesture is refused, with a number that no program takes for a reason to copy, and changes nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.conftest import RELEASE, Workbench, everything

pytestmark = pytest.mark.usefixtures("need_fuse")

FLAC = f"{RELEASE}/01. Track 1.flac"
MEMBER = "Playlists/Mix/1. LOONA - Track 1.flac"
OF_COLLAGE = "Collages/Both/1. {NEW} LOONA - 2018. Hash"


def tree(bench: Workbench) -> list[str]:
    """Returns every path of some views."""
    return sorted(
        os.path.join(directory, name)
        for view in ("Releases", "Collages", "Playlists", "Artists")
        for directory, below, names in os.walk(bench.top / view)
        for name in (*below, *names)
    )


def cut_off_open(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(5)


REFUSED: dict[str, Callable[[Path], object]] = {
    "a directory at the top": lambda top: os.mkdir(top / "x"),
    "a directory in a view": lambda top: os.mkdir(top / "Releases - New/x"),
    "a directory in an artist": lambda top: os.mkdir(top / "Artists/LOONA/x"),
    "a directory in a release": lambda top: os.mkdir(top / RELEASE / "x"),
    "a directory in a playlist": lambda top: os.mkdir(top / "Playlists/Mix/x"),
    "a file at the top": lambda top: (top / "x").write_bytes(b"x"),
    "a file in a view": lambda top: (top / "Releases/x").write_bytes(b"x"),
    "a file in all tracks": lambda top: (top / "Releases/!All Tracks/x").write_bytes(b"x"),
    "a file in a collage": lambda top: (top / "Collages/Both/x").write_bytes(b"x"),
    "a file in a collage's release": lambda top: (top / OF_COLLAGE / "x").write_bytes(b"x"),
    "cutting off an open member": lambda top: cut_off_open(top / MEMBER),
    "bytes over the generated list": lambda top: (top / "Playlists/Mix/Mix.m3u8").write_bytes(b"x"),
    "a track under another name": lambda top: os.rename(top / FLAC, top / RELEASE / "x.flac"),
    "a track into another release": lambda top: os.rename(top / FLAC, next((top / "Releases").glob("*BLACK*")) / "x"),
    "a track into a playlist": lambda top: os.rename(top / FLAC, top / "Playlists/Mix/x.flac"),
    "a member out of its playlist": lambda top: os.rename(top / MEMBER, top / RELEASE / "x.flac"),
    "a member without a number": lambda top: os.rename(top / MEMBER, top / "Playlists/Mix/x"),
    "a release under another name": lambda top: os.rename(top / RELEASE, top / "Releases/x"),
    "a release into a collage": lambda top: os.rename(top / RELEASE, top / "Collages/Both/x"),
    "a release to another artist": lambda top: os.rename(top / RELEASE, top / "Artists/BLACKPINK/x"),
    "an artist under another name": lambda top: os.rename(top / "Artists/LOONA", top / "Artists/x"),
    "a collage into the playlists": lambda top: os.rename(top / "Collages/Both", top / "Playlists/x"),
    "removing a view": lambda top: os.rmdir(top / "Releases"),
    "removing an artist": lambda top: os.rmdir(top / "Artists/LOONA"),
    "removing all tracks": lambda top: os.rmdir(top / "Releases/!All Tracks"),
    "a link": lambda top: os.link(top / FLAC, top / RELEASE / "x.flac"),
    "a symbolic link": lambda top: os.symlink("x", top / RELEASE / "x"),
    "a named pipe": lambda top: os.mkfifo(top / RELEASE / "x"),
    "another owner": lambda top: os.chown(top / FLAC, 12345, 12345),
    "what a desktop litters": lambda top: os.mkdir(top / "Collages/.Trash-1000"),
    "what another desktop litters": lambda top: (top / RELEASE / "._01. Track 1.flac").write_bytes(b"x"),
    "a store of that desktop": lambda top: (top / RELEASE / ".DS_Store").write_bytes(b"x"),
    "a second datafile": lambda top: (top / RELEASE / ".rose.x.toml").write_bytes(b"x"),
    "the times of a view": lambda top: os.utime(top / "Releases"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_gesture_changes_nothing(shared_bench: Workbench, what: str) -> None:
    bench = shared_bench
    before, shown = everything(bench), tree(bench)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        REFUSED[what](bench.top)
    assert caught.value.errno in (errno.EPERM, errno.EACCES, errno.EROFS)
    assert everything(bench) == before
    assert tree(bench) == shown


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (lambda top: os.mkdir(top / "Collages/Both"), errno.EEXIST),
        (lambda top: os.mkdir(top / "Collages/Both/x"), errno.EINVAL),
        (lambda top: (top / "Playlists/Mix/x.flac").write_bytes(b"x"), errno.EINVAL),
        (lambda top: (top / MEMBER).write_bytes(b"x"), errno.EINVAL),
        (lambda top: os.rename(top / "Playlists/Mix", top / "Playlists/a:b"), errno.EINVAL),
        (lambda top: os.mkdir(top / "Playlists/a:b"), errno.EINVAL),
        (lambda top: os.mkdir(os.fsencode(top / "Playlists") + b"/\xff"), errno.EINVAL),
        (lambda top: os.unlink(top / RELEASE / "nothing"), errno.ENOENT),
        (lambda top: os.rmdir(top / "Collages/nothing"), errno.ENOENT),
        (lambda top: os.rmdir(top / FLAC), errno.ENOTDIR),
        (lambda top: os.unlink(top / "Collages/Both"), errno.EISDIR),
        (lambda top: os.open(top / FLAC, os.O_CREAT | os.O_EXCL | os.O_RDWR), errno.EEXIST),
    ],
)
def test_what_is_wrong_with_a_gesture(
    shared_bench: Workbench, what: Callable[[Path], object], expected: int
) -> None:
    bench = shared_bench
    before = everything(bench)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        what(bench.top)
    assert caught.value.errno == expected
    assert everything(bench) == before


@pytest.mark.parametrize(
    "command",
    [
        ("cp", "-r", "{source}/blackpink", "{top}/Artists/LOONA/another"),
        ("mv", "{source}/loona/rip.log", "{top}/Playlists/Mix/"),
        ("mv", "{source}/blackpink", "{top}/Releases - New/"),
        ("ln", "{track}", "{release}/x.flac"),
    ],
)
def test_programs_that_try_it_say_so_and_lose_nothing(
    shared_bench: Workbench, command: tuple[str, ...]
) -> None:
    bench = shared_bench
    before = everything(bench)
    places = {
        "top": bench.top, "release": bench.release, "source": bench.source,
        "track": bench.release / "01. Track 1.flac",
    }  # fmt: skip
    ran = subprocess.run([word.format(**places) for word in command], capture_output=True, check=False)
    assert ran.returncode != 0
    assert ran.stderr
    assert everything(bench) == before
