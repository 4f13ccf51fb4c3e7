"""What is no gesture is refused, with a number that no program takes for a reason to copy, and changes nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import rosecache
from tests.fuse.conftest import RELEASE, Workbench, everything, wait_for

pytestmark = pytest.mark.usefixtures("need_fuse")

FLAC = f"{RELEASE}/01. Track 1.flac"
MEMBER = "Playlists/Mix/1. LOONA - Track 1.flac"
OF_COLLAGE = "Collages/Both/1. {NEW} LOONA - 2018. Hash"


@pytest.fixture(scope="module", autouse=True)
def _other_lists(shared_bench: Workbench) -> None:
    """An empty collage and an empty playlist, beside those that have members."""
    for directory in (shared_bench.c.collages_dir, shared_bench.c.playlists_dir):
        (directory / "Other.toml").touch()
    rosecache.update_cache(shared_bench.c)
    wait_for(
        lambda: all("Other" in os.listdir(shared_bench.top / view) for view in ("Collages", "Playlists"))
    )


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
    "a directory in all tracks": lambda top: os.mkdir(top / "Releases/!All Tracks/x"),
    "a directory in the loose tracks": lambda top: os.mkdir(top / "Loose Tracks/x"),
    "a directory in a collage's release": lambda top: os.mkdir(top / OF_COLLAGE / "x"),
    "a file at the top": lambda top: (top / "x").write_bytes(b"x"),
    "a file in a view": lambda top: (top / "Releases/x").write_bytes(b"x"),
    "a file in all tracks": lambda top: (top / "Releases/!All Tracks/x").write_bytes(b"x"),
    "a file beside the collages": lambda top: (top / "Collages/x.toml").write_bytes(b"x"),
    "a file beside the playlists": lambda top: (top / "Playlists/x.m3u8").write_bytes(b"x"),
    "a file in a collage": lambda top: (top / "Collages/Both/x").write_bytes(b"x"),
    "a file in a collage's release": lambda top: (top / OF_COLLAGE / "x").write_bytes(b"x"),
    "cutting off an open member": lambda top: cut_off_open(top / MEMBER),
    "bytes over the generated list": lambda top: (top / "Playlists/Mix/Mix.m3u8").write_bytes(b"x"),
    "a track under another name": lambda top: os.rename(top / FLAC, top / RELEASE / "x.flac"),
    "a track into another release": lambda top: os.rename(top / FLAC, next((top / "Releases").glob("*BLACK*")) / "x"),
    "a track into a playlist": lambda top: os.rename(top / FLAC, top / "Playlists/Mix/x.flac"),
    "a member out of its playlist": lambda top: os.rename(top / MEMBER, top / RELEASE / "x.flac"),
    "a member without a number": lambda top: os.rename(top / MEMBER, top / "Playlists/Mix/x"),
    "a member into another playlist": lambda top: os.rename(top / MEMBER, top / "Playlists/Other/1. x.flac"),
    "a release of a collage into another": lambda top: os.rename(top / OF_COLLAGE, top / "Collages/Other/1. x"),
    "a track out of a collage's release": lambda top: os.rename(top / OF_COLLAGE / "rip.log", top / RELEASE / "x"),
    "a track over a list": lambda top: os.rename(top / FLAC, top / "Playlists/Mix/Mix.m3u8"),
    "a release under another name": lambda top: os.rename(top / RELEASE, top / "Releases/x"),
    "a release into a collage": lambda top: os.rename(top / RELEASE, top / "Collages/Both/x"),
    "a release to another artist": lambda top: os.rename(top / RELEASE, top / "Artists/BLACKPINK/x"),
    "an artist under another name": lambda top: os.rename(top / "Artists/LOONA", top / "Artists/x"),
    "a collage into the playlists": lambda top: os.rename(top / "Collages/Both", top / "Playlists/x"),
    "a view under another name": lambda top: os.rename(top / "Releases", top / "x"),
    "all tracks under another name": lambda top: os.rename(top / "Releases/!All Tracks", top / "Releases/x"),
    "cutting off a generated list": lambda top: os.truncate(top / "Playlists/Mix/Mix.m3u8", 1),
    "removing a view": lambda top: os.rmdir(top / "Releases"),
    "removing an artist": lambda top: os.rmdir(top / "Artists/LOONA"),
    "removing the collages": lambda top: os.rmdir(top / "Collages"),
    "a link": lambda top: os.link(top / FLAC, top / RELEASE / "x.flac"),
    "a link into a playlist": lambda top: os.link(top / FLAC, top / "Playlists/Mix/x.flac"),
    "a symbolic link into a collage": lambda top: os.symlink(top / RELEASE, top / "Collages/Both/x"),
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
        (lambda top: os.mkdir(top / RELEASE), errno.EEXIST),
        (lambda top: os.rmdir(top / RELEASE), errno.ENOTEMPTY),
        (lambda top: os.rmdir(top / "Releases/!All Tracks"), errno.ENOTEMPTY),
        (lambda top: os.rmdir(top / "Collages/Both"), errno.ENOTEMPTY),
        (lambda top: os.rmdir(top / "Playlists/Mix"), errno.ENOTEMPTY),
        (lambda top: os.rename(top / "Playlists/Mix", top / "Playlists/Other"), errno.EEXIST),
        (lambda top: os.rename(top / "Collages/Other", top / "Collages/Both"), errno.EEXIST),
        (lambda top: os.rename(top / "Collages/nothing", top / "Collages/x"), errno.ENOENT),
        (lambda top: os.mkdir(top / "Playlists" / ("x" * 256)), errno.ENAMETOOLONG),
        (lambda top: os.unlink(top / RELEASE), errno.EISDIR),
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
    before, shown = everything(bench), tree(bench)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        what(bench.top)
    assert caught.value.errno == expected
    assert everything(bench) == before
    assert tree(bench) == shown


@pytest.mark.parametrize(
    "command",
    [
        ("cp", "-r", "{source}/blackpink", "{top}/Artists/LOONA/another"),
        ("mv", "{source}/loona/rip.log", "{top}/Playlists/Mix/"),
        ("mv", "{source}/blackpink", "{top}/Releases - New/"),
        ("mv", "{top}/Collages/Both/1. {{NEW}} LOONA - 2018. Hash", "{top}/Collages/Other/"),
        ("mv", "{top}/Playlists/Mix/1. LOONA - Track 1.flac", "{top}/Playlists/Other/"),
        ("ln", "{track}", "{release}/x.flac"),
        ("ln", "{track}", "{top}/Playlists/Mix/x.flac"),
        ("ln", "-s", "{track}", "{release}/x.flac"),
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
