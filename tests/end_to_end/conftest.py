"""What the end-to-end tests share: one large library, made and read once, and a mount of it by each binding."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rosecache.config import Config
from tests.conftest import skip_or_fail
from tests.support.audio import FORMATS
from tests.support.bulk import Library, make_library, make_lists
from tests.support.commands import Rosefs
from tests.support.mounts import Mounted

RELEASES = 400
TRACKS = 10
PATIENCE_SECONDS = 300

VIEWS = ("releases", "loose_tracks", "collages", "playlists")
"""What the large mount shows: every track, and every kind of directory. The other views are made as these are, and
would have each program walk the same four thousand tracks thirty times; the mount of the small library shows all."""


@dataclass(frozen=True)
class Big:
    """The large library: what was planned, and the program set up for it."""

    plan: Library
    rosefs: Rosefs

    @property
    def source(self) -> Path:
        return self.rosefs.c.music_source_dir


def made_library(directory: Path, plan: Library, *, views: Sequence[str] | None = None) -> Big:
    """Makes a library in a directory and brings its cache up to date, as a user would."""
    c = Config(music_source_dir=directory / "source", cache_dir=directory / "cache", max_proc=2)
    make_library(c.music_source_dir, plan)
    rosefs = Rosefs.set_up(c, directory / "config.toml", views=views)
    rosefs.run("cache", "update")
    make_lists(c.music_source_dir, plan)
    rosefs.run("cache", "update")
    return Big(plan, rosefs)


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Big]:
    """Four hundred releases of ten tracks in five formats, with collages and playlists. Not to be changed."""
    directory = tmp_path_factory.mktemp("big")
    yield made_library(directory, Library(RELEASES, TRACKS), views=VIEWS)
    shutil.rmtree(directory)  # pytest keeps the directories of three runs, and this is a large one


@pytest.fixture(scope="module")
def big_mount(
    big: Big, binding: str, need_fuse: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mounted]:
    """The large library, mounted."""
    with big.rosefs.mount(tmp_path_factory.mktemp("mount") / "mnt", binding) as mount:
        yield mount


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Big:
    """Twenty-five releases of two tracks, shown in every view. Not to be changed."""
    return made_library(tmp_path_factory.mktemp("small"), Library(25, 2))


@pytest.fixture(scope="module")
def small_mount(
    small: Big, binding: str, need_fuse: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mounted]:
    """The small library, mounted."""
    with small.rosefs.mount(tmp_path_factory.mktemp("mount") / "mnt", binding) as mount:
        yield mount


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end and returns what came of it; without the program the test is skipped."""
    if shutil.which(command[0]) is None:
        skip_or_fail(f"{command[0]} is not installed")
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape",
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def output_of(*command: str | Path) -> str:
    """Runs a program that has to succeed without a complaint, and returns what it printed."""
    ran = run(*command)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def releases_shown(mount: Mounted) -> Iterator[Path]:
    """Yields the directory of every release, once."""
    for view in ("Releases", "Loose Tracks"):
        yield from (path for path in sorted((mount.path / view).iterdir()) if path.name != "!All Tracks")


def is_audio(path: Path) -> bool:
    return path.suffix[1:] in FORMATS


def eventually(condition: Callable[[], bool], explain: Callable[[], str]) -> None:
    """Waits until a condition holds; after a minute without, the test fails with an explanation."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)
