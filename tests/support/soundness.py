"""Whether a library is whole, looked at from outside after a crash or a crowd: sound, files, cache, tree, trash.

What is asked here holds for every library that has come to rest, whatever was done to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rosecache
from rosecache.config import Config
from rosecache.database import close_connections
from rosecache.locks import lock_path
from rosecache.tags import is_audio
from rosecache.update import update_cache
from rosefs.library import arrivals
from rosefs.library.holds import HOLD_SECONDS, recover_holds
from rosefs.library.journal import Journal
from rosefs.library.scratch import remove_scratch
from rosefs.library.undo import Undone, recover
from tests.support.browsing import Browser
from tests.support.library import check_cache, ids_on_disk
from tests.support.sounds import audio_packets_of

_KNOWN_IN_CACHE = re.compile(r"locks|rosecache\.[0-9a-f]+\.sqlite3(-wal|-shm)?")


@dataclass(frozen=True)
class Home:
    """A library with all directories that belong to it, below one directory."""

    top: Path
    workers: int = 1
    renames: bool = False
    cache: str = "cache"

    @property
    def c(self) -> Config:
        return Config(
            music_source_dir=self.source, cache_dir=self.top / self.cache, max_proc=self.workers,
            rename_source_files=self.renames,
        )  # fmt: skip

    @property
    def source(self) -> Path:
        return self.top / "source"

    @property
    def state_dir(self) -> Path:
        return self.top / "state"

    @property
    def journal(self) -> Journal:
        return Journal(self.state_dir)

    @property
    def trash(self) -> Path:
        """The home trash, if XDG_DATA_HOME is ``data`` in this home."""
        return self.top / "data" / "Trash"

    @property
    def incoming(self) -> Path:
        return self.top / "incoming"


@dataclass
class Sounds:
    """What audio files sound like, by their content: most of them are looked at again and again."""

    known: dict[bytes, str] = field(default_factory=dict)

    def below(self, *directories: Path) -> Counter[str]:
        """Returns the sounds of all audio files below some directories, with how many have each."""
        contents = [(hashlib.blake2b(path.read_bytes()).digest(), path) for path in audio_below(*directories)]
        unknown = {content: path for content, path in contents if content not in self.known}
        for content, packets in zip(unknown, audio_packets_of([*unknown.values()]), strict=True):
            digest = hashlib.blake2b(json.dumps(packets).encode(), digest_size=12)
            self.known[content] = digest.hexdigest()
        return Counter(self.known[content] for content, _ in contents)


def audio_below(*directories: Path) -> Iterator[Path]:
    """Yields all audio files below some directories, under temporary names too."""
    for directory in directories:
        yield from (path for path in sorted(directory.rglob("*")) if path.is_file() and is_audio(path.name))


def next_start(home: Home) -> None:
    """Does what ``rosefs cache update`` does a minute after a crash; nothing may be a problem."""
    c, journal = home.c, home.journal
    problems = update_cache(c).problems
    assert problems == [], problems
    arrivals.recover(c, journal)
    outcomes = recover(c, journal)
    assert all(isinstance(outcome, Undone) for outcome in outcomes), outcomes
    # Until then, what was copied into a list is kept, since the program may still be about to delete it.
    recover_holds(c, clock=lambda: time.time() + HOLD_SECONDS + 1)
    remove_scratch(c.cache_dir)


def check_soundness(home: Home) -> None:
    """Checks a library that nobody is at work on, after :func:`next_start`. Raises AssertionError."""
    check_at_rest(home)
    check_nothing_left(home)
    check_ids(home.source)
    check_cache(home.c)
    check_rebuild(home)
    check_tree(home.c)


def check_at_rest(home: Home) -> None:
    """Checks that an update changes nothing, neither the cache nor the disk."""
    before = _stamps(home.source)
    report = update_cache(home.c)
    assert (report.changed, report.evicted, report.problems) == (0, 0, []), report
    assert _stamps(home.source) == before


def _stamps(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in directory.rglob("*")}


def check_nothing_left(home: Home) -> None:
    """Checks that no temporary file, no half of an entry and no lock is left, and that every TOML file is whole."""
    for top in (home.source, home.incoming):
        assert not [str(path) for path in top.rglob(".in-progress.*")]
    for path in home.source.rglob("*.toml"):
        tomllib.loads(path.read_text())
    unknown = [name for name in os.listdir(home.c.cache_dir) if not _KNOWN_IN_CACHE.fullmatch(name)]
    assert not unknown, unknown
    with lock_path(home.c).open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _check_journal(home.journal)
    _check_trash(home.trash)


def _check_journal(journal: Journal) -> None:
    if not journal.directory.exists():
        return
    entries = journal.history()
    assert not [entry.title for entry in entries if not entry.finished and not entry.undone]
    known = {entry.id for entry in entries}
    for path in journal.directory.iterdir():
        assert path.suffix == ".lock" or path.name.split(".")[0] in known, f"{path} belongs to no edit"


def _check_trash(trash: Path) -> None:
    if trash.exists():
        files = {path.name for path in (trash / "files").glob("*")}
        infos = {path.name.removesuffix(".trashinfo") for path in (trash / "info").glob("*")}
        assert files == infos, f"halves in the trash: {sorted(files ^ infos)}"


def check_ids(source: Path) -> None:
    """Checks that every track has an id of its own, and every release one datafile, of an id of its own."""
    ids = Counter(ids_on_disk(source).values())
    assert None not in ids
    assert not [each for each, count in ids.items() if count > 1]
    releases = {path.relative_to(source).parts[0] for path in audio_below(source)}
    datafiles: Counter[str] = Counter()
    for name in releases:
        (datafile,) = (source / name).glob(".rose.*.toml")
        datafiles[datafile.name] += 1
    assert not [each for each, count in datafiles.items() if count > 1]


def picture_of(c: Config) -> Any:
    """Returns all that the cache says of a library, as values that can be compared."""
    collages, playlists = rosecache.list_collages(c), rosecache.list_playlists(c)
    return (
        sorted(rosecache.list_releases(c), key=lambda release: release.id),
        sorted(rosecache.list_tracks(c), key=lambda track: track.id),
        {name: [each.id for each in rosecache.get_collage_releases(c, name)] for name in collages},
        {name: [each.id for each in rosecache.get_playlist_tracks(c, name)] for name in playlists},
    )


def check_rebuild(home: Home) -> None:
    """Checks that the cache is what one built anew from the same disk would be, and that building it writes nothing."""
    before = _stamps(home.source)
    twin = Config(music_source_dir=home.source, cache_dir=home.top / "twin", max_proc=1)
    assert update_cache(twin).problems == []
    mine, other = picture_of(home.c), picture_of(twin)
    close_connections()
    for path in sorted(twin.cache_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    twin.cache_dir.rmdir()
    for one, two in zip(mine, other, strict=True):
        assert one == two, (len(one), len(two), [each for each in one if each not in two][:2])
    assert _stamps(home.source) == before


def check_tree(c: Config) -> None:
    """Checks that the tree shows every release and track that the cache has, with the bytes that the disk has."""
    browser = Browser(c)
    try:
        shown: dict[str, Counter[bytes]] = {}
        for name in browser.releases("Releases"):
            path = f"Releases/{name}"
            files = [name for name in browser.ls(path) if is_audio(name)]
            shown[browser.xattr(path, "user.rosefs.id")] = Counter(
                browser.read(f"{path}/{name}") for name in files
            )
        expected: dict[str, Counter[bytes]] = {
            release.id: Counter() for release in rosecache.list_releases(c)
        }
        for track in rosecache.list_tracks(c):
            expected[track.release.id][track.source_path.read_bytes()] += 1
        assert shown == expected
        assert sorted(browser.ls("Collages")) == sorted(rosecache.list_collages(c))
        assert sorted(browser.ls("Playlists")) == sorted(rosecache.list_playlists(c))
        for _ in browser.walk():
            pass
    finally:
        browser.fs.close()
