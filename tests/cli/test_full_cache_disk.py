"""The disk of the cache and of the journal is full: one clear error, and all is well when there is room again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release
from tests.support.disks import fill_disk, small_disk
from tests.support.waiting import wait_until

_MANY = 12

pytestmark = pytest.mark.usefixtures("need_root")


@pytest.fixture
def small(c: Config, tmp_path: Path) -> Iterator[Path]:
    """A small disk, with the cache and the state directory on it."""
    with small_disk(tmp_path / "small") as disk:
        yield disk


@pytest.fixture
def rosefs(c: Config, small: Path, tmp_path: Path) -> Cli:
    """The commands, on a library whose cache and journal are on the small disk."""
    config = tmp_path / "config.toml"
    config.write_text(
        f"music_source_dir = '{c.music_source_dir}'\ncache_dir = '{small}/cache'\nmax_proc = 1\n"
        f"state_dir = '{small}/state'\n"
    )
    return Cli(config)


def make_many(c: Config, name: str) -> None:
    """Makes more than the room that databases have left in themselves takes."""
    for number in range(_MANY):
        make_release(c.music_source_dir, f"{name} {number}", tracks=1, artist=f"{number} " + "x" * 20_000)


def test_a_command_says_what_to_do(c: Config, rosefs: Cli, small: Path) -> None:
    make_release(c.music_source_dir, "R", tracks=1)
    filler = fill_disk(small)
    assert "the cache cannot be used" in rosefs.error("cache", "update")
    filler.unlink()
    rosefs("cache", "update")
    make_many(c, "more")
    filler = fill_disk(small)
    assert "cache_dir" in rosefs.error("cache", "update")
    assert "Nothing is changed" in rosefs.error("collages", "create", "X")
    filler.unlink()
    rosefs("collages", "create", "X")
    assert f"changed   {_MANY}\n" in rosefs("cache", "update").stdout


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_says_so_once_and_catches_up(
    c: Config, rosefs: Cli, small: Path, mountpoint: Path, binding: str
) -> None:
    make_release(c.music_source_dir, "R", tracks=1)
    arguments = ("--config", rosefs.config, "mount", c.music_source_dir, mountpoint, "--fuse", binding)
    with mounting(mountpoint, *arguments) as running:
        filler = fill_disk(small)
        make_many(c, "later")
        assert running.process.stderr is not None
        while "could not be brought up to date" not in running.process.stderr.readline():
            pass
        with pytest.raises(OSError, match="No space left on device"):
            (mountpoint / "Collages/X").mkdir()
        assert os.listdir(mountpoint / "Releases")
        filler.unlink()
        (mountpoint / "Collages/X").mkdir()
        wait_until(lambda: len(os.listdir(mountpoint / "Releases")) == _MANY + 2)
        running.process.send_signal(signal.SIGTERM)
        status, errors = running.end()
    assert status == 0
    assert "could not be brought up to date" not in errors  # again
