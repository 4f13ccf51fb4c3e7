"""What tests of gestures share: a library of the test's own on a mount that can be changed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import rosecache
from rosecache.config import Config
from rosecache.database import connect
from rosefs.library.journal import Journal
from rosefs.settings import SmartSettings
from tests.support.audio import make_release
from tests.support.clocks import SharedClock
from tests.support.library import cached_ids, make_list, snapshot
from tests.support.mounts import HARD_LIMIT, SHARED_LIMIT, Mounted, mounted_library
from tests.support.sounds import decoded_md5s

RELEASE = "Releases/{NEW} LOONA - 2018. Hash"
MP3_RELEASE = "Releases/{NEW} BLACKPINK - 2016. Square"


@dataclass(frozen=True)
class Workbench:
    """A mounted library: ``loona`` (2 FLAC tracks, a cover, a log), ``blackpink`` (3 MP3 tracks), lists of both."""

    c: Config
    mount: Mounted
    state_dir: Path
    trash: Path
    clock: SharedClock
    """What the mount takes for the time; it goes on by itself too."""

    @property
    def top(self) -> Path:
        return self.mount.path

    @property
    def source(self) -> Path:
        return self.c.music_source_dir

    @property
    def release(self) -> Path:
        return self.top / RELEASE

    @property
    def mp3_release(self) -> Path:
        return self.top / MP3_RELEASE

    @contextmanager
    def mounted_again(self, binding: str) -> Iterator[Workbench]:
        """Mounts the library once more, when it is not mounted any more."""
        directory = self.state_dir.parent
        with mounted_library(self.c, directory, binding, state_dir=self.state_dir, clock=self.clock) as mount:
            yield replace(self, mount=mount)

    def in_trash(self) -> list[str]:
        """Returns the names of what is in the trash, sorted."""
        files = self.trash / "files"
        return sorted(os.listdir(files)) if files.exists() else []

    def journal(self) -> list[str]:
        """Returns the titles of the edits made, oldest first."""
        return [entry.title for entry in Journal(self.state_dir).history()][::-1]

    def check(self) -> None:
        """Checks that the cache is what it would be if it were built anew, and that nothing of ours is left."""
        before = cached_ids(self.c)
        assert rosecache.update_cache(self.c, force=True).problems == []
        assert cached_ids(self.c) == before
        assert not list(self.source.rglob(".in-progress.*"))


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a program that has to succeed without a word of complaint, and returns what it says."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)
    assert (ran.returncode, ran.stderr) == (0, ""), (command, ran)
    return ran.stdout


def wait_for(condition: Callable[[], Any]) -> None:
    """Waits until the condition holds. The mount's own hard limit ends what never happens."""
    while not condition():
        time.sleep(0.01)


def audio_of(directory: Path) -> dict[str, str]:
    """Returns a digest of the decoded audio of every track below a directory, by relative path."""
    paths = [path for path in sorted(directory.rglob("*")) if path.suffix in (".flac", ".mp3")]
    names = [str(path.relative_to(directory)) for path in paths]
    return dict(zip(names, decoded_md5s(paths), strict=True))


def everything(bench: Workbench) -> tuple[dict[str, bytes], list[str], list[str]]:
    """Returns all that a gesture may change: the source, the trash, the journal."""
    return snapshot(bench.source), bench.in_trash(), bench.journal()


_UPDATES = """
import sys
from pathlib import Path
from rosecache.config import Config
from rosecache.update import update_cache
c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]), max_proc=1)
print("ready", flush=True)
while True:
    update_cache(c, force=True)
"""
"""Updates without end, as a process of its own."""


@contextmanager
def updated_all_the_while(bench: Workbench) -> Iterator[None]:
    """Has the cache updated by another process, every file of it, again and again while the block runs."""
    updating = subprocess.Popen(
        [sys.executable, "-c", _UPDATES, bench.source, bench.c.cache_dir], stdout=subprocess.PIPE
    )
    try:
        assert updating.stdout is not None
        assert updating.stdout.readline() == b"ready\n"
        yield
    finally:
        updating.kill()
        updating.communicate()


def make_library(c: Config) -> None:
    source = c.music_source_dir
    loona = make_release(
        source, "loona", tracks=2, format="flac", cover=True, artist="LOONA", album="Hash", date="2018"
    )
    (loona / "rip.log").write_text("a log\n")
    make_release(source, "blackpink", tracks=3, format="mp3", artist="BLACKPINK", album="Square", date="2016")
    rosecache.update_cache(c)
    ids = cached_ids(c)
    with connect(c) as connection:
        releases = dict(connection.execute("SELECT directory, id FROM releases").fetchall())
    make_list(c.collages_dir / "Both.toml", "releases", releases[b"loona"], releases[b"blackpink"])
    first, second = ids["loona/01.flac"], ids["blackpink/01.mp3"]
    make_list(c.playlists_dir / "Mix.toml", "tracks", first, second, first, ids["blackpink/02.mp3"])
    assert rosecache.update_cache(c).problems == []


@contextmanager
def working(
    directory: Path,
    binding: str,
    *,
    expects_log: Sequence[str] = (),
    allows_log: Sequence[str] = (),
    hard_limit: float = HARD_LIMIT,
    prefix: Sequence[str] = (),
    smart: Sequence[SmartSettings] = (),
) -> Iterator[Workbench]:
    """Mounts the library, made in a directory, while the block runs; its trash is there too.

    ``prefix`` is a command that starts the process that serves it.
    """
    c = Config(music_source_dir=directory / "source", cache_dir=directory / "cache", max_proc=1)
    c.cache_dir.mkdir(exist_ok=True)
    make_library(c)
    state_dir, clock = directory / "state", SharedClock.make(directory / "clock")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(directory / "data"))
        with mounted_library(
            c,
            directory,
            binding,
            state_dir=state_dir,
            clock=clock,
            expects_log=expects_log,
            allows_log=allows_log,
            hard_limit=hard_limit,
            prefix=prefix,
            smart=smart,
        ) as mount:
            yield Workbench(c, mount, state_dir, directory / "data" / "Trash", clock)


@pytest.fixture
def bench(tmp_path: Path, binding: str, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """The library; its parameter are the lines that the mount has to log as a warning or worse."""
    with working(tmp_path, binding, expects_log=getattr(request, "param", ())) as bench:
        yield bench


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory, binding: str) -> Iterator[Workbench]:
    """The library, for tests that change nothing of it."""
    allows = ["a copy of it is in the trash"]
    with working(
        tmp_path_factory.mktemp("bench"), binding, hard_limit=SHARED_LIMIT, allows_log=allows
    ) as bench:
        yield bench
