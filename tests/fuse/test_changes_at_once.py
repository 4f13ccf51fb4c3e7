"""A thousand changes while programs walk the mount: nothing hangs, and in the end tree, cache and disk agree."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import rosecache
from rosecache.config import Config
from rosecache.database import close_connections
from rosecache.update import update_cache_for_releases
from rosefs.library import lists, releases
from rosefs.library.journal import Journal
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.browsing import Browser
from tests.support.library import check_cache
from tests.support.mounts import SHARED_LIMIT, mounted_library
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse")

CHANGES = 1000
SEED = 20180807
RELEASES = 4


@dataclass
class Shelf:
    """A library that is changed at random, by a tagger and by commands. Names are never used twice."""

    c: Config
    journal: Journal
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    count: int = 0

    @property
    def source(self) -> Path:
        return self.c.music_source_dir

    def name(self, what: str) -> str:
        self.count += 1
        return f"{what} {self.count}"

    def release(self) -> Path:
        """Returns one of the releases on the disk."""
        return self.chance.choice(sorted(path for path in self.source.iterdir() if path.name[0] != "!"))

    def track(self) -> Path:
        return self.chance.choice(sorted(self.release().glob("*.opus")))

    def update(self, *directories: Path) -> None:
        assert update_cache_for_releases(self.c, directories).problems == []

    def known(self, directory: Path) -> rosecache.Release:
        (found,) = (each for each in rosecache.list_releases(self.c) if each.source_path == directory)
        return found


def retitle(shelf: Shelf) -> None:
    track = shelf.track()
    set_tags(track, title=shelf.name("Title"))
    shelf.update(track.parent)


def retag(shelf: Shelf) -> None:
    release, artist = shelf.release(), shelf.name("Artist")
    for track in release.glob("*.opus"):
        set_tags(track, artist=artist, albumartist=artist, label=shelf.chance.choice(["One", "Two", "Three"]))
    shelf.update(release)


def add_release(shelf: Shelf) -> None:
    if len(list(shelf.source.iterdir())) < 2 * RELEASES:
        name = shelf.name("Album")
        shelf.update(make_release(shelf.source, name, tracks=2, artist=name, album=name))


def remove_release(shelf: Shelf) -> None:
    release = shelf.release()
    if len(list(shelf.source.iterdir())) > RELEASES:
        shutil.rmtree(release)
        shelf.update(release)


def rename_release(shelf: Shelf) -> None:
    release, new = shelf.release(), shelf.source / shelf.name("directory")
    release.rename(new)
    shelf.update(release, new)


def add_file(shelf: Shelf) -> None:
    release = shelf.release()
    (release / f"{shelf.name('file')}.log").write_text("log" * shelf.chance.randrange(100))
    shelf.update(release)


def remove_file(shelf: Shelf) -> None:
    release = shelf.release()
    for path in sorted(release.glob("*.log"))[:1]:
        path.unlink()
    shelf.update(release)


def replace_cover(shelf: Shelf) -> None:
    release = shelf.release()
    (release / "cover.png").write_bytes(PICTURE + b"x" * shelf.chance.randrange(100))
    shelf.update(release)


def toggle_new(shelf: Shelf) -> None:
    releases.toggle_new(shelf.c, shelf.journal, shelf.known(shelf.release()))


def change_collage(shelf: Shelf) -> None:
    found = shelf.known(shelf.release())
    members = [each.id for each in rosecache.get_collage_releases(shelf.c, "c")]
    if found.id in members:
        lists.remove(shelf.c, shelf.journal, lists.COLLAGES, "c", found.id)
    else:
        lists.add(shelf.c, shelf.journal, lists.COLLAGES, "c", [found.id])


MEANS: Mapping[Callable[[Shelf], None], int] = {
    retitle: 8, retag: 3, add_release: 3, remove_release: 2, rename_release: 4, add_file: 6, remove_file: 6,
    replace_cover: 6, toggle_new: 8, change_collage: 4,
}  # fmt: skip
"""Ways to change something, and how often each is chosen."""


WALK = """
while [ ! -e "$2" ]; do
    timeout 60 find -L "$1" -ignore_readdir_race -ls 2>/dev/null >"$3"
    [ $? -ne 124 ] || exit 1
    wc -l <"$3"
done
"""
"""Walks until there is a certain file. Names that go while ``find`` is about to look at them are none of its concern,
but it has to come to an end."""


@contextmanager
def walked(top: Path, beside: Path) -> Iterator[None]:
    """Has ``find`` walk a directory again and again while the block runs, and makes sure that it has."""
    stop = beside / "stop"
    # A process of its own starts them: whatever this one starts has for a moment all files open that are open here, and
    # a file that somebody has open for writing gets no id.
    walking = subprocess.Popen(
        ["sh", "-c", WALK, "sh", top, stop, beside / "found"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        stop.touch()
        said, _ = walking.communicate(timeout=120)
    assert walking.returncode == 0
    counts = [int(line) for line in said.split()]
    assert len(counts) > 2
    assert min(counts) > 0


def test_a_thousand_changes_while_find_walks(tmp_path: Path, binding: str) -> None:
    c = Config(music_source_dir=tmp_path / "source", cache_dir=tmp_path / "cache", max_proc=1)
    c.cache_dir.mkdir()
    journal = Journal(tmp_path / "state")
    shelf = Shelf(c, journal)
    for _ in range(RELEASES):
        make_release(c.music_source_dir, shelf.name("Album"), tracks=2, artist="Artist", album="Album")
    assert rosecache.update_cache(c).problems == []
    lists.create(c, journal, lists.COLLAGES, "c")
    with mounted_library(c, tmp_path, binding, hard_limit=SHARED_LIMIT) as mount:
        with walked(mount.path, tmp_path):
            for change in shelf.chance.choices(list(MEANS), list(MEANS.values()), k=CHANGES):
                change(shelf)
        assert rosecache.update_cache(c).problems == []
        check_cache(c)
        twin = Browser(c)
        expected = {path: (found.inode, found.size) for path, found in twin.walk()}
        wait_until(lambda: shown(mount.path) == expected, lambda: differences(shown(mount.path), expected))
        for path in expected:
            there = mount.path / path
            assert there.is_dir() or there.read_bytes() == twin.read(path), path
    close_connections()


def shown(top: Path) -> dict[str, tuple[int, int]]:
    """Returns inode number and size of everything that a mount shows, by path."""
    found = {}
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(directory, name)
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[str(path.relative_to(top))] = (status.st_ino, status.st_size)
    return found


def differences(here: dict[str, tuple[int, int]], there: dict[str, tuple[int, int]]) -> object:
    return {
        path: (here.get(path), there.get(path))
        for path in here.keys() | there.keys()
        if here.get(path) != there.get(path)
    }
