"""Where the measurements take place: the library, its cache, mounts of it, and the plain trees beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rosecache.config import Config
from scripts.benchlib import programs
from tests.support.audio import set_tags
from tests.support.bulk import Library, make_library, make_lists
from tests.support.commands import Rosefs
from tests.support.mounts import Mounted

LARGE_DIRECTORY = "Zoe Large - One Long Take"
SHOWN = {
    "Releases": 9, "Artists": 2, "Labels": 1, "Genres": 1, "Releases - New": 1, "Collages": 2, "Playlists": 2,
    "Search": 2,
}  # fmt: skip
"""Which views the plain tree has, and how deep; below that there are empty directories."""

SMART = {
    "Collages": {
        "name": "Smart Collage", "kind": "collage", "matcher": "genre:^Jazz$", "sort": "-releasedate, artist"
    },
    "Playlists": {
        "name": "Smart Playlist", "kind": "playlist", "matcher": "tracktitle:winter", "sort": "tracktitle"
    },
    "Search": {"name": "Saved Search", "kind": "search", "matcher": "releasedate:^19"},
}  # fmt: skip
"""What the configuration lists by matchers, by the views that show it. Each lists at most so many that walks through
everything, which are measured too, are hardly longer for it."""
SMART_LIMIT = 200

_SAMPLE_RATE = 96000
"""Of the noise that the large file holds, one channel of 16 bits, which no encoder makes much smaller."""


@dataclass
class Workspace:
    """A directory with one library in it, and others beside it for some of the measurements.

    Attributes:
        directory: Everything is below it.
        plan: The library, besides one release of one large file.
        large_mib: The least size of that file.
        runs: How often what does not take long is done; the median counts.
        drop_caches: Whether the kernel forgets what it has of all disks before everything that is cold.
        sizes: Of the libraries by which growth is measured, from the smallest on.
        idle_releases: How large the library is whose mount is idle.
        idle_seconds: For how long.
    """

    directory: Path
    plan: Library
    large_mib: int
    runs: int = 3
    drop_caches: bool = False
    sizes: Sequence[int] = (200, 2000, 20_000)
    idle_releases: int = 20_000
    idle_seconds: float = 30.0
    rosefs: Rosefs = field(init=False)

    def __post_init__(self) -> None:
        c = Config(music_source_dir=self.source, cache_dir=self.cache, max_proc=programs.SHARES)
        smart = [{**table, "limit": SMART_LIMIT} for table in SMART.values()]
        self.rosefs = Rosefs.set_up(c, self.directory / "config.toml", smart=smart)

    @property
    def source(self) -> Path:
        return self.directory / "source"

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    @property
    def plain(self) -> Path:
        """A tree as a mount shows it, of directories and hard links."""
        return self.directory / "plain"

    @property
    def large_source(self) -> Path:
        return self.source / LARGE_DIRECTORY / "01.flac"

    @property
    def large_shown(self) -> Path:
        """The large file's path in a mount and in the plain tree."""
        return next((self.plain / "Releases").glob("*One Long Take/*.flac")).relative_to(self.plain)

    @property
    def tracks(self) -> int:
        return self.plan.releases * self.plan.tracks + 1

    def make(self) -> None:
        """Makes the library, without ids and lists."""
        say(f"making {self.plan.releases} releases of {self.plan.tracks} tracks")
        make_library(self.source, self.plan)
        self.large_source.parent.mkdir()
        length = self.large_mib * 2**20 // (2 * _SAMPLE_RATE) + 1
        noise = ["-f", "lavfi", "-i", f"anoisesrc=sample_rate={_SAMPLE_RATE}:duration={length}:seed=1"]
        quick = ["-sample_fmt", "s16", "-compression_level", "0"]
        command = ["ffmpeg", "-nostdin", "-v", "error", *noise, *quick, str(self.large_source)]
        subprocess.run(command, check=True)
        set_tags(
            self.large_source, title="One Long Take", artist="Zoe Large", album="One Long Take", date="2020"
        )

    def other(self, name: str, plan: Library) -> Rosefs:
        """Returns the program, set up for another library, which is made unless it is there."""
        directory = self.directory / name
        c = Config(
            music_source_dir=directory / "source", cache_dir=directory / "cache", max_proc=programs.SHARES
        )
        if not directory.exists():
            make_library(c.music_source_dir, plan)
        return Rosefs.set_up(c, directory / "config.toml")

    def copy(self) -> Path:
        """Returns a copy of the library, for work that changes it and is none of ours."""
        return shutil.copytree(self.source, self.directory / "bare")

    def make_lists(self) -> None:
        """Adds collages and playlists, and has the cache know of them."""
        make_lists(self.source, self.plan)
        self.update()

    def update(self) -> programs.Ran:
        return programs.run("update", self.source, self.cache)

    @contextmanager
    def mount(self, binding: str) -> Iterator[Mounted]:
        """Mounts the library, so that the kernel knows nothing of what it shows."""
        with self.rosefs.mount(self.directory / "mnt", binding) as mount:
            yield mount

    def make_plain(self, binding: str) -> None:
        """Makes the plain tree from what a mount shows, unless it is there."""
        if self.plain.exists():
            return
        say("making a plain tree of what a mount shows")
        with self.mount(binding) as mount:
            self._copy_tree(mount.path)

    def cool(self) -> None:
        """Has the kernel forget what can be forgotten: the large file's pages, and all caches if asked to."""
        if self.drop_caches:
            os.sync()
            Path("/proc/sys/vm/drop_caches").write_text("3")
        _forget_pages(self.large_source)
        _forget_pages(self.plain / self.large_shown)

    def _copy_tree(self, top: Path) -> None:
        """Copies what is measured on both: all of the view of releases, and what artists and labels have, by name.

        A file that is shown again becomes another link of the first copy.
        """
        known: dict[int, Path] = {}
        for view, depth in SHOWN.items():
            for here, below, files in os.walk(top / view):
                target = self.plain / Path(here).relative_to(top)
                target.mkdir(parents=True, exist_ok=True)
                for name in files:
                    path, copy = os.path.join(here, name), target / name
                    number = os.stat(path).st_ino
                    if number in known:
                        os.link(known[number], copy)
                    else:
                        shutil.copyfile(path, copy)
                        known[number] = copy
                if len(target.relative_to(self.plain).parts) >= depth:
                    for name in below:
                        (target / name).mkdir()
                    below.clear()
                below.sort()


def _forget_pages(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def say(text: str) -> None:
    """Tells how far the measurements are."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
