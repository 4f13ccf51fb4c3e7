"""What tests of edits share: a library, a journal, and trash directories of the test's own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from rosefs.library.journal import Journal
from tests.conftest import skip_or_fail
from tests.support.audio import make_release
from tests.support.disks import small_disk


@pytest.fixture(autouse=True)
def home_trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home trash, which is not there yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "Trash"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state")


@pytest.fixture
def library(c: Config) -> Config:
    """Three releases in the cache: ``loona`` (2 tracks, a cover), ``blackpink`` (3 tracks), ``nobody`` (1)."""
    source = c.music_source_dir
    make_release(source, "loona", tracks=2, cover=True, artist="LOONA", album="Hash", date="2018")
    make_release(source, "blackpink", tracks=3, artist="BLACKPINK", album="Square", date="2016")
    make_release(source, "nobody", tracks=1, artist="Nobody", album="Demo", date=None)
    update_cache(c)
    return c


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, empty and of 4 MiB, mounted below the test's directory."""
    if os.getuid() != 0:
        skip_or_fail("only root can mount another file system")
    with small_disk(tmp_path / "volume") as mount_point:
        yield mount_point


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@pytest.fixture
def permissions_count() -> Iterator[None]:
    """Takes from root, for the test, what lets it ignore the permissions of files; see capabilities(7)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = _CapabilityHeader(0x20080522, 0)
    data = (_CapabilityData * 2)()
    assert libc.capget(ctypes.byref(header), data) == 0
    before = data[0].effective
    data[0].effective &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(ctypes.byref(header), data) == 0
    try:
        yield
    finally:
        data[0].effective = before
        assert libc.capset(ctypes.byref(header), data) == 0
