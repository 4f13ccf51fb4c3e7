"""Mixed use of a mount for as long as one likes, and whether what the mount takes for it stays bounded.

The clock of the mount is put forward, so that what it keeps for minutes or hours has its time within seconds.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from rosecache.database import close_connections, database_path
from rosecache.tags import is_audio
from rosecache.temporary import IN_PROGRESS_PREFIX
from rosefs.library.journal import MAX_EDITS
from rosefs.library.making import SUFFIX
from rosefs.library.undo import undo
from rosefs.vfs.names import RETIRED_SECONDS
from tests.support.audio import FORMATS, make_release
from tests.support.clocks import SharedClock
from tests.support.crowd import Place, any_of, query, refusals_of, tag, update
from tests.support.mounts import Mounted, mounted_library
from tests.support.operations import Operation, begin
from tests.support.soundness import Home
from tests.support.waiting import wait_until
from tests.support.wearing import TellingFileSystem, Worn, forget, reload, worn

_RELEASES, _LISTS, _MEMBERS = 12, 5, 6
"""How many of them there are about: when there are more, some are deleted."""

_MINUTE = 61.0


@dataclass
class Use:
    """A mount in use.

    Attributes:
        place: The library, and where it is mounted.
        mount: The mount; of the kind ``TellingFileSystem``.
        clock: What it goes by.
        done: How often what was done.
        refused: How often it was refused, since somebody else was at it.
    """

    place: Place
    mount: Mounted
    clock: SharedClock
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _saving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def top(self) -> Path:
        return self.mount.path

    @property
    def hours(self) -> float:
        """How much time has gone by for the mount because it was put forward."""
        return self.clock.forward / 3600

    # What is done -------------------------------------------------------------------------------------------

    def browse(self, chance: random.Random) -> None:
        """Walks a view, asks for attributes, and for names that are not there."""
        for directory, _, names in os.walk(self.top / any_of(chance, [".", *sorted(os.listdir(self.top))])):
            with suppress(FileNotFoundError):
                os.listxattr(directory)
            Path(directory, f"absent {chance.randrange(20)}").exists()
            for name in names:
                with suppress(FileNotFoundError):
                    os.stat(Path(directory, name))

    def play(self, chance: random.Random) -> None:
        """Reads some tracks in pieces, as players do, which keep files open for a while."""
        tracks = self._all_tracks()
        opened = [any_of(chance, tracks).open("rb") for _ in range(3)]
        for file in opened:
            with file:
                while file.read(16_384):
                    if chance.random() < 0.2:
                        file.seek(chance.randrange(30_000))

    def copy_in(self, chance: random.Random) -> None:
        """Copies an album in, or deletes a release if there are enough of them."""
        shown = self.top / "Releases"
        releases = [name for name in sorted(os.listdir(shown)) if not name.startswith("!")]
        if len(releases) > _RELEASES:
            shutil.rmtree(shown / any_of(chance, releases))
            return
        home = self.place.home
        unused = {f"album {number}" for number in range(2 * _RELEASES)} - set(os.listdir(home.source))
        album = make_release(
            home.incoming / str(threading.get_ident()), any_of(chance, sorted(unused)), tracks=chance.randint(1, 3),
            format=chance.choice(FORMATS), cover=True, artist=f"Artist {chance.randrange(8)}",
            album=f"Album {chance.randrange(1000)}",
        )  # fmt: skip
        try:
            _run("cp", "-r", album, shown)
        finally:
            shutil.rmtree(album)

    def save(self, chance: random.Random) -> None:
        """Writes a track as taggers do: the same bytes once more, in place or by a copy that takes its place."""
        release = any_of(chance, self._releases())
        track = any_of(chance, [path for path in sorted(release.iterdir()) if is_audio(path.name)])
        with self._saving:  # who reads what another has just cut off to write it anew, writes nothing
            content = track.read_bytes()
            if chance.random() < 0.5:
                track.write_bytes(content)
                return
            copy = track.with_name(f"{track.name}.tmp")
            copy.write_bytes(content)
            copy.rename(track)

    def edit_playlist(self, chance: random.Random) -> None:
        self._edit_list(chance, "Playlists", lambda: any_of(chance, self._all_tracks()))

    def edit_collage(self, chance: random.Random) -> None:
        self._edit_list(chance, "Collages", lambda: any_of(chance, self._releases()))

    def _edit_list(self, chance: random.Random, view: str, member: Callable[[], Path]) -> None:
        """Makes, renames, fills, empties or removes a list."""
        lists = self.top / view
        names = sorted(os.listdir(lists))
        new = lists / f"List {chance.randrange(2 * _LISTS)}"
        if len(names) < 2:
            new.mkdir()
            return
        target = lists / any_of(chance, names)
        members = [path for path in sorted(target.iterdir()) if path.name[0].isdigit()]
        what = chance.random()
        if what < 0.1:
            new.mkdir()
        elif what < 0.2:
            target.rename(new)
        elif what < 0.3 or len(names) > _LISTS:
            _run("rm", "-r", target)
        elif len(members) > _MEMBERS:
            _run("rm", "-r", any_of(chance, members))
        else:
            _run("cp", "-r", member(), target)

    def gesture(self, chance: random.Random) -> None:
        """Marks a release as new or not, renames a cover, or does what is refused."""
        release = any_of(chance, self._releases())
        what: list[Callable[[], object]] = [
            lambda: os.setxattr(release, "user.rosefs.new", chance.choice([b"true", b"false"])),
            lambda: os.setxattr(release, "user.rosefs.new", b"maybe"),
            lambda: (release / "notes.txt").write_text("x" * chance.randrange(1000)),
            lambda: (release / "notes.txt").unlink(),
            lambda: (self.top / "Artists" / f"Nobody {chance.randrange(100)}").mkdir(),
            lambda: release.rename(release.with_name("..." * chance.randint(1, 99))),
        ]
        chance.choice(what)()

    def tag(self, chance: random.Random) -> None:
        tag(self.place, chance)

    def update(self, chance: random.Random) -> None:
        update(self.place, chance)

    def query(self, chance: random.Random) -> None:
        query(self.place, chance)

    def undo(self, chance: random.Random) -> None:
        undo(self.place.c, self.place.home.journal)

    def reload(self, chance: random.Random) -> None:
        reload(self.mount)

    def let_time_go_by(self, chance: random.Random) -> None:
        self.clock.advance(_MINUTE)

    def _releases(self) -> list[Path]:
        shown = self.top / "Releases"
        return [path for path in sorted(shown.iterdir()) if not path.name.startswith("!")]

    def _all_tracks(self) -> list[Path]:
        return sorted((self.top / "Releases/!All Tracks").iterdir())

    # All of it ----------------------------------------------------------------------------------------------

    def work(self, seed: str, *, threads: int, times: int) -> None:
        """Does something so many times in each of several threads. Raises AssertionError if one fails."""
        broken: list[str] = []

        def repeat(chance: random.Random) -> None:
            try:
                for _ in range(times):
                    self._do(chance)
            except BaseException:
                broken.append(traceback.format_exc())
                raise
            finally:
                close_connections()

        workers = [
            threading.Thread(target=repeat, args=(random.Random(f"{seed} {number}"),))
            for number in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not broken, broken

    def _do(self, chance: random.Random) -> None:
        (name,) = chance.choices(list(SHARES), list(SHARES.values()))
        try:
            getattr(self, name)(chance)
        except refusals_of(name):
            self.refused[name] += 1
        else:
            self.done[name] += 1

    def _has_forgotten(self) -> bool:
        """Has the kernel forget everything, but for what it is at just now; tells whether that was all."""
        forget(self.mount)
        return worn(self.mount).inodes <= 2

    def settle(self) -> Sample:
        """Lets all that is waited for come to its end, has the kernel forget everything, and takes a sample."""
        home = self.place.home
        for _ in range(3):  # what is left for later is looked at again
            self.clock.advance(RETIRED_SECONDS + 1)
            update(self.place, _Never())
        for path in (home.incoming, home.trash):
            shutil.rmtree(path, ignore_errors=True)  # the user empties the trash
        os.listdir(self.top)  # which has it look at the change feed
        wait_until(self._has_forgotten, lambda: worn(self.mount))
        taken = worn(self.mount)
        return Sample(
            **asdict(taken),
            edits=len({entry.group or entry.id for entry in home.journal.entries()}),
            state=len([path for path in _below(home.state_dir) if path.suffix != SUFFIX]),
            cached=len(_below(home.c.cache_dir)),
            database=database_path(home.c).stat().st_size >> 10,
            temporary=len([path for path in _below(home.top) if IN_PROGRESS_PREFIX in str(path)]),
        )


class _Never(random.Random):
    """Chance that nothing ever has."""

    def random(self) -> float:
        return 1.0


SHARES = {
    "browse": 20, "play": 15, "copy_in": 8, "save": 8, "edit_playlist": 10, "edit_collage": 10, "gesture": 8, "tag": 6,
    "update": 5, "query": 3, "undo": 3, "reload": 2, "let_time_go_by": 2,
}  # fmt: skip
"""What is done, by the names of the methods, and how often each in relation to the others."""


@contextmanager
def in_use(top: Path, template: Path, binding: str) -> Iterator[Use]:
    """Mounts a library, made anew from a template, for as long as the block runs; within ``own_place``."""
    home = Home(top)
    begin(home, template, Operation(lambda home: None))
    clock = SharedClock.make(top / "clock")
    with mounted_library(
        home.c, top, binding, state_dir=home.state_dir, clock=clock, kind=TellingFileSystem, hard_limit=24 * 3600,
        allows_log=[
            r"^WARNING rosefs.fuse.errnos: ",
            "was moved away by copying it",
            "a copy of it is in the trash",  # a track was retagged or saved while cp read it for a list
        ],
    ) as mount:  # fmt: skip
        yield Use(Place(home, mount.path), mount, clock)


# What is looked at ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample(Worn):
    """What the process of a mount takes when nobody uses it, and what is on the disk beside the music.

    Attributes:
        edits: How many edits the journal has, those of a group as one.
        state: How many other files are in the state directory.
        cached: How many files are in the cache directory.
        database: How large the cache's database is, in KiB.
        temporary: How many temporary files there are, anywhere.
    """

    edits: int
    state: int
    cached: int
    database: int
    temporary: int


ALLOWED = {"resident": 4096, "blocks": 5000, "cached": 4}
"""By how much what grows may grow between the halves of a series; everything else may not at all."""

LIMITS: Mapping[str, Callable[[Sample], int]] = {
    "edits": lambda sample: MAX_EDITS,
    "files": lambda sample: 25 + 3 * sample.threads,
    "directories": lambda sample: 400,
    "database": lambda sample: 12 << 10,
}
"""Up to where growth is all right: a thousand edits are kept for undo, a thread's connection to the cache has three
files, directories that remember names are looked through when there are twice as many, and the cache tells of the last
hundred thousand changes."""


def growing(samples: Sequence[Sample]) -> list[str]:
    """Returns what grew, of samples taken one after the other.

    Something grew if the least of it in the second half is more than the most in the first one, by more than is
    allowed. So what goes up and down, or up to where it stays, does not count; what creeps up always does.
    """
    half = len(samples) // 2
    found = []
    for each in fields(Sample):
        series = [getattr(sample, each.name) for sample in samples]
        is_within = each.name in LIMITS and max(series) <= LIMITS[each.name](samples[-1])
        if not is_within and min(series[half:]) > max(series[:half]) + ALLOWED.get(each.name, 0):
            found.append(f"{each.name} grows: {series}")
    return found


def _below(directory: Path) -> list[Path]:
    return [Path(below, name) for below, _, names in os.walk(directory) for name in names]


def _run(*command: str | Path) -> None:
    """Runs a program. Raises OSError if it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise OSError(ran.stderr)
