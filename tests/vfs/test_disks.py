"""Which files are opened without waiting for a disk, as far as that can be told without one that is slow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rosecache.config import Config
from rosefs.vfs import disks as disks_module
from rosefs.vfs.disks import Disks
from tests.support.browsing import Browser

TRACK = "Releases/LOONA - 2018. Hash/01. Track 1.opus"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "f"
    file.write_bytes(b"bytes")
    return file


def test_a_file_on_a_disk_that_has_answered_is_at_hand(file: Path) -> None:
    disks = Disks()
    assert not disks.has_at_hand(os.fsencode(file))
    disks.answering.add(file.stat().st_dev)
    assert disks.has_at_hand(os.fsencode(file))
    assert not disks.has_at_hand(os.fsencode(file.with_name("missing")))


def test_a_file_on_another_disk_is_not_at_hand(file: Path) -> None:
    disks = Disks()
    disks.answering.add(file.stat().st_dev)
    assert Path("/proc/self/status").stat().st_dev != file.stat().st_dev
    assert not disks.has_at_hand(b"/proc/self/status")


def test_nothing_is_kept_open(file: Path) -> None:
    disks = Disks()
    disks.answering.add(file.stat().st_dev)
    before = os.listdir("/proc/self/fd")
    assert [disks.has_at_hand(os.fsencode(path)) for path in (file, "/proc/self/status")] == [True, False]
    assert os.listdir("/proc/self/fd") == before


def test_where_the_kernel_does_not_know_the_call_nothing_is_at_hand(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = Disks()
    disks.answering.add(file.stat().st_dev)
    monkeypatch.setattr(disks_module, "_OPENAT2", 100_000)  # no call has this number
    assert not disks.has_at_hand(os.fsencode(file))


def test_a_track_opens_at_once_when_its_disk_has_answered_and_nothing_has_changed(library: Config) -> None:
    browser = Browser(library)
    fs, inode = browser.fs, browser.stat(TRACK).inode
    assert not fs.opens_at_once(inode)
    with browser.opened(TRACK) as (handle, _):
        answers = fs.read_now(handle, 0, 100) is not None
    assert fs.opens_at_once(inode) == answers
    browser.clock.advance(1)  # the change feed is to be looked at
    assert not fs.opens_at_once(inode)
    fs.getattr(inode)
    assert fs.opens_at_once(inode) == answers
    assert not fs.opens_at_once(browser.stat("Releases").inode)
    fs.close()
