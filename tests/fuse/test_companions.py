"""What runs beside a mount: on both bindings, from when the mount answers until it ends, whatever goes wrong."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from rosecache.config import Config
from rosefs.fuse.companions import companions_in_thread
from rosefs.fuse.mount import unmount
from rosefs.settings import VfsSettings
from tests.support.audio import make_release
from tests.support.mounts import LibraryTree, mounted
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Diary:
    """Writes into a file when it begins and when it ends."""

    path: Path

    async def __call__(self) -> None:
        self.path.write_text("began")
        try:
            await trio.sleep_forever()
        finally:
            self.path.write_text("ended")


async def fail() -> None:
    raise ExceptionGroup("a mistake", [ValueError("in the program")])


async def finish() -> None:
    pass


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("by_signal", [True, False])
def test_a_companion_lives_as_long_as_the_mount_whatever_becomes_of_others(
    c: Config, tmp_path: Path, binding: str, by_signal: bool
) -> None:
    make_release(c.music_source_dir)
    diary = Diary(tmp_path / "diary")
    with mounted(
        LibraryTree(c, VfsSettings()), tmp_path, binding, companions=(fail, finish, diary),
        expects_log=["the mount goes on without it", "in the program"],
    ) as mount:  # fmt: skip
        wait_until(lambda: diary.path.exists() and diary.path.read_text() == "began", mount.log)
        wait_until(lambda: "the mount goes on without it" in mount.log(), mount.log)
        assert os.listdir(mount.path)
        assert diary.path.read_text() == "began"
        if by_signal:
            mount.process.send_signal(signal.SIGTERM)
        else:
            unmount(mount.path)
        assert mount.process.wait(timeout=60) == 0
        assert diary.path.read_text() == "ended"


def test_those_in_a_thread_may_have_ended_before_the_mount() -> None:
    done = []

    async def note() -> None:
        done.append(True)

    with companions_in_thread([note]) as start:
        start()
    assert done == [True]


def test_where_none_was_started_there_is_nothing_to_end() -> None:
    with companions_in_thread([finish]):
        pass
