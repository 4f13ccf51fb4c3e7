"""Many at work on one library at once: processes and threads that update, edit, tag and browse, each by chance."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mutagen import MutagenError

import rosecache
from rosecache.config import Config
from rosecache.database import close_connections
from rosecache.errors import RosecacheError
from rosecache.tags import TagChanges, is_audio, read_tags
from rosecache.update import update_cache
from rosefs.library import covers, imports, lists, releases
from rosefs.library.retag import ReleaseEdit, TrackEdit, retag
from rosefs.library.undo import undo
from tests.support.audio import set_tags
from tests.support.browsing import Browser
from tests.support.library import ids_on_disk
from tests.support.soundness import Home, check_ids
from tests.support.waiting import wait_until

T = TypeVar("T")
_NUMBER = re.compile(r" \[\d+\]")
Role = Callable[["Place", random.Random], None]
"""Does one thing."""


@dataclass(frozen=True)
class Place:
    """Where a crowd is at work: a library, and where it is mounted."""

    home: Home
    mount: Path | None = None

    @property
    def c(self) -> Config:
        return self.home.c


# What each does ---------------------------------------------------------------------------------------------


def update(place: Place, chance: random.Random) -> None:
    update_cache(place.c, force=chance.random() < 0.2)


def tag(place: Place, chance: random.Random) -> None:
    """Does as careful taggers do: writes a copy, and renames it over the file."""
    files = [path for path in sorted(place.home.source.glob("[!.]*/[!.]*")) if is_audio(path.name)]
    path = any_of(chance, files)
    copy = path.with_name(f".in-progress.{os.getpid()}.{threading.get_ident()}{path.suffix}")
    shutil.copyfile(path, copy)
    set_tags(
        copy, title=f"Title {chance.randrange(1000)}", genre=chance.choice(["Techno", "K-Pop", "Ambient"])
    )
    os.replace(copy, path)


def browse(place: Place, chance: random.Random) -> None:
    """Walks the mount, and reads some of it."""
    assert place.mount is not None
    view = place.mount / chance.choice(["Releases", "Artists", "Genres", "Collages", "Playlists", "."])
    for directory, _, names in os.walk(view):
        for name in names:
            if chance.random() < 0.1:
                with suppress(FileNotFoundError):
                    Path(directory, name).read_bytes()


def query(place: Place, chance: random.Random) -> None:
    for release in rosecache.list_releases(place.c):
        rosecache.get_tracks_of_release(place.c, release)


def edit(place: Place, chance: random.Random) -> None:
    """Makes one of the edits of the commands."""
    c, journal = place.c, place.home.journal
    release = any_of(chance, rosecache.list_releases(c))
    track = any_of(chance, rosecache.list_tracks(c))
    kind, member = chance.choice([(lists.COLLAGES, release.id), (lists.PLAYLISTS, track.id)])
    names = rosecache.list_collages(c) if kind is lists.COLLAGES else rosecache.list_playlists(c)
    name = any_of(chance, names) if names else "New"
    other = f"List {chance.randrange(6)}"
    image = place.home.top / "new.png"
    edits: list[Callable[[], object]] = [
        lambda: releases.toggle_new(c, journal, release),
        lambda: covers.set_cover(c, journal, release, image),
        lambda: covers.delete_cover(c, journal, release),
        lambda: lists.create(c, journal, kind, other),
        lambda: lists.add(c, journal, kind, name, [member]),
        lambda: lists.remove(c, journal, kind, name, member),
        lambda: lists.rename(c, journal, kind, name, other),
        lambda: lists.delete(c, journal, kind, name),
        lambda: _retag(place, release, chance),
        lambda: _delete(place, release),
        lambda: imports.import_release(c, journal, place.home.incoming / "album"),
        lambda: undo(c, journal),
        lambda: undo(c, journal),
    ]
    chance.choice(edits)()


def _delete(place: Place, release: rosecache.Release) -> None:
    """Deletes a release, unless few are left: of a source without any, an update believes nothing."""
    if len(rosecache.list_releases(place.c)) > 4:
        releases.delete_release(place.c, place.home.journal, release)


def _retag(place: Place, release: rosecache.Release, chance: random.Random) -> None:
    paths = [track.source_path for track in rosecache.get_tracks_of_release(place.c, release)]
    changes = TagChanges(
        edition=f"Edition {chance.randrange(100)}", labels=("Label " * chance.choice([1, 400]),)
    )
    retag(
        place.c,
        place.home.journal,
        [ReleaseEdit(release, [TrackEdit(each, read_tags(each), changes) for each in paths])],
    )


def gesture(place: Place, chance: random.Random) -> None:
    """Changes something through the mount, as programs do."""
    assert place.mount is not None
    collages, shown = place.mount / "Collages", place.mount / "Releases"
    names = sorted(os.listdir(collages))
    new = collages / f"List {chance.randrange(6)}"
    track = any_of(chance, sorted((shown / "!All Tracks").iterdir()))
    gestures: list[Callable[[], object]] = [
        new.mkdir,
        lambda: (collages / any_of(chance, names)).rename(new),
        lambda: track.write_bytes(track.read_bytes()),
        lambda: os.setxattr(shown / any_of(chance, sorted(os.listdir(shown))), "user.rosefs.new", b"true"),
    ]
    chance.choice(gestures)()


ROLES: Sequence[tuple[Role, ...]] = (
    (update, update), (edit, edit, query), (edit, tag), (browse, gesture), (browse, browse, query),
)  # fmt: skip
"""Processes, with what each of their threads does again and again."""

REFUSALS = (RosecacheError, OSError, MutagenError)
"""What may come of doing something to what somebody else has changed or has in hand just now."""


def refusals_of(role: str) -> tuple[type[Exception], ...]:
    """Returns what may come of a role: nobody's work keeps an update or a query from being done."""
    return () if role in (update.__name__, query.__name__) else REFUSALS


def any_of(chance: random.Random, things: Sequence[T]) -> T:
    if not things:
        raise FileNotFoundError("somebody else has removed it")
    return chance.choice(things)


# All at once ------------------------------------------------------------------------------------------------


def work_together(place: Place, seed: str, seconds: float, times: int) -> Counter[str]:
    """Lets everybody work at once, in a process per entry of ``ROLES``; each does something so many times.

    Returns:
        How many things were done by each role, without what was refused.

    Raises:
        AssertionError: One of them failed in a way that is no refusal; standard error says how.
    """
    close_connections()
    reading, writing = os.pipe()
    children = []
    for number, roles in enumerate(ROLES):
        child = os.fork()
        if child == 0:
            _be(place, roles, f"{seed} {number}", time.monotonic() + seconds, times, writing)
        children.append(child)
    os.close(writing)
    with open(reading, "rb") as pipe:
        done = Counter(pipe.read().decode().split())
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert not any(statuses), statuses
    return done


def _be(place: Place, roles: Sequence[Role], seed: str, end: float, times: int, done: int) -> None:
    """Is one of the processes: never returns."""
    broken: list[BaseException] = []

    def repeat(role: Role, chance: random.Random) -> None:
        try:
            for _ in range(times):
                if time.monotonic() > end:
                    break
                with suppress(*refusals_of(role.__name__)):
                    role(place, chance)
                    os.write(done, f"{role.__name__} ".encode())
        except BaseException as error:
            broken.append(error)
            traceback.print_exc()
            raise
        finally:
            close_connections()

    threads = [
        threading.Thread(target=repeat, args=(role, random.Random(f"{seed} {number}")))
        for number, role in enumerate(roles)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stderr.flush()
    os._exit(1 if broken else 0)


def scan_together(homes: Sequence[Home]) -> None:
    """Has several processes scan one source for the first time at the same time, and checks what they make of it.

    Each track has one id afterwards, each release one datafile, and every cache comes to say the same.
    """
    close_connections()
    with _at_once() as gate:
        children = []
        for home in homes:
            child = os.fork()
            if child == 0:
                gate()
                try:
                    update_cache(home.c)
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
    assert not any(os.waitpid(child, 0)[1] for child in children)
    check_ids(homes[0].source)
    ids = ids_on_disk(homes[0].source)
    for home in homes:
        assert update_cache(home.c).problems == []
    assert ids_on_disk(homes[0].source) == ids
    for home in homes:
        report = update_cache(home.c)
        assert (report.changed, report.evicted, report.problems) == (0, 0, [])
    close_connections()


@contextmanager
def _at_once() -> Iterator[Callable[[], None]]:
    """Gives a function that waits, in processes that are started in the block, until the block is left."""
    reading, writing = os.pipe()

    def wait() -> None:
        os.close(writing)
        os.read(reading, 1)

    yield wait
    os.close(writing)
    os.close(reading)


def check_mount(place: Place) -> None:
    """Checks that a mount comes to show what a tree without a kernel does, byte by byte.

    Which of two things of one name has the number behind it depends on which was there first, and does not count.
    """
    assert place.mount is not None
    top = place.mount
    twin = Browser(place.c)
    try:
        expected = Counter(
            (_NUMBER.sub("", path), None if found.is_directory else _digest(twin.read(path)))
            for path, found in twin.walk()
        )
    finally:
        twin.fs.close()
    wait_until(
        lambda: _shown(top) == expected,
        lambda: [sorted(map(str, each))[:9] for each in (_shown(top) - expected, expected - _shown(top))],
    )


def _shown(top: Path) -> Counter[tuple[str, bytes | None]]:
    found: Counter[tuple[str, bytes | None]] = Counter()
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(directory, name)
            with suppress(FileNotFoundError, IsADirectoryError):  # names change while it catches up
                content = None if path.is_dir() else _digest(path.read_bytes())
                found[_NUMBER.sub("", str(path.relative_to(top))), content] += 1
    return found


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=12).digest()
