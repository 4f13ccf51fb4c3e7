"""The lock of a release: for threads, processes and caches, and no trap for the one who holds it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosecache.update import assign, update_cache, update_cache_for_releases
from rosecache.update.release import lock_release
from tests.support.audio import make_release
from tests.support.library import UPDATE_PROGRAM, check_cache


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


def test_who_holds_a_release_can_update_it(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    with lock_release(c, b"R"), lock_release(c, b"R"):
        assert update_cache(c).changed == 1
        renamed = directory.rename(directory.with_name("Renamed"))
        report = update_cache_for_releases(c, [directory, renamed])
        assert (report.changed, report.problems) == (1, [])
    check_cache(c)


def test_an_update_waits_for_who_holds_a_release(c: Config, tmp_path: Path) -> None:
    """Also one with another cache of the same library, which shares no lock file."""
    make_release(c.music_source_dir, "R")
    other = msgspec.structs.replace(c, cache_dir=tmp_path / "other")
    for config in (c, other):
        updated = threading.Event()

        def update(config: Config = config, updated: threading.Event = updated) -> None:
            update_cache(config)
            updated.set()

        with lock_release(c, b"R"):
            thread = threading.Thread(target=update)
            thread.start()
            assert not updated.wait(0.2)
        assert updated.wait(30)
        thread.join()
    check_cache(c)


def test_updates_leave_no_descriptor_open(c: Config) -> None:
    for number in range(3):
        make_release(c.music_source_dir, f"R{number}")
    update_cache(c, force=True)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        update_cache(c, force=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_two_processes_rename_one_library_at_once(c: Config) -> None:
    for number in range(12):
        make_release(c.music_source_dir, f"R{number}", tracks=1, artist="A", album=f"Album {number % 4}")
    program = UPDATE_PROGRAM.replace("max_proc=2", "max_proc=2, rename_source_files=True")
    scans = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(c.music_source_dir), str(c.cache_dir)],
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for scan in scans:
        scan.communicate(timeout=120)
        assert scan.returncode == 0
    assert update_cache(c).problems == []
    check_cache(c)
    assert len(list(c.music_source_dir.rglob("*.opus"))) == 12
