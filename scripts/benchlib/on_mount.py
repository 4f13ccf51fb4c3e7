"""Measures a mount: the same work on it and on a plain tree of the same names and files.

What is cold is done in a mount that was just started, so that neither the kernel nor the process knows anything
of what it shows; warm is the same again at once.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.benchlib.figures import Budget, Figure, least, seconds, times
from scripts.benchlib.workspace import SMART, Workspace, say
from tests.support.audio import FORMATS

READERS = 8
CHUNK = 128 * 1024
SMALL_TRACKS = 1000
_VIEWS = ("Releases", "Releases - New", "Artists", "Labels", "Genres", "Releases/!All Tracks")
SOME = 200
"""Of how many directories several small ones are listed."""

ABSENT = ("folder.jpg", ".directory", ".hidden", "._cover.png", "AlbumArt.jpg")
"""What players and file managers ask every directory for."""


@dataclass(frozen=True)
class Work:
    """Work that can be done on any tree.

    Attributes:
        name: As ``--only`` takes it.
        whats: What each of its times is of.
        do: Does it at the top of a tree, and returns the times.
        count: Of how many things; the figures are per thing.
        once: It takes too long to be repeated.
        budgets: Of each of its times, per thing.
    """

    name: str
    whats: Sequence[str]
    do: Callable[[Path], Sequence[float]]
    count: int = 1
    once: bool = False
    budgets: Sequence[Budget | None] = ()


def all_work(workspace: Workspace) -> Iterator[Work]:
    """Yields the work there is for a library whose plain tree has been made."""
    yield from _listings(workspace.plain)
    yield from _finding(workspace)
    yield from _reading(workspace)


def _listings(plain: Path) -> Iterator[Work]:
    some = {
        f"{SOME} directories of {view}": sorted(
            path for path in (plain / view).iterdir() if "!" not in path.name
        )[:SOME]
        for view in ("Artists", "Releases")
    }
    lists = {
        f"{view}, all directories": sorted(
            path for path in (plain / view).iterdir() if path.name != SMART[view]["name"]
        )
        for view in ("Collages", "Playlists")
    }
    smart = {
        "a smart collage, a smart playlist and a saved search": [
            plain / view / table["name"] for view, table in SMART.items()
        ]
    }
    found = {**some, **lists, **smart}
    several = {what: [path.relative_to(plain) for path in paths] for what, paths in found.items()}
    single = {view: [Path(view)] for view in _VIEWS}
    for what, directories in {**single, **several}.items():
        count = sum(len(os.listdir(plain / directory)) for directory in directories)
        whats = [f"list and stat {what}, per entry of {count}, {state}" for state in ("cold", "warm")]
        yield Work(
            "list", whats, functools.partial(_list_twice, directories), count, budgets=(times(3), times(1.5))
        )


def _finding(workspace: Workspace) -> Iterator[Work]:
    plain = workspace.plain
    listed = subprocess.run(_find_command(plain), capture_output=True, check=True)
    count = listed.stdout.count(b"\n")
    whats = [
        f"find over all releases, per entry of {count}, {state}" for state in ("first time", "second time")
    ]
    yield Work(
        "find", whats, lambda top: _twice(find, top), count, once=True, budgets=(Budget(120e-6), times(10))
    )
    track = _some_tracks(plain)[0]
    budget = Budget(0.02 if workspace.plan.releases <= 5000 else 0.06)
    what = "stat one track by its path in a new mount"
    yield Work("stat", [what], lambda top: [_stat(top / track)], budgets=(budget,))
    parents = sorted({track.parent for track in _some_tracks(plain)})
    absent = [parent / name for parent in parents for name in ABSENT]
    whats = [f"stat of {len(absent)} missing names, per name, {state}" for state in ("first time", "again")]
    yield Work(
        "missing", whats, lambda top: _miss([top / path for path in absent]), len(absent),
        budgets=(Budget(300e-6), Budget(20e-6)),
    )  # fmt: skip


def _reading(workspace: Workspace) -> Iterator[Work]:
    plain, large = workspace.plain, workspace.large_shown
    mib = (plain / large).stat().st_size // 2**20
    what = f"read {mib} MiB from beginning to end, per MiB"

    def read(top: Path) -> list[float]:
        _read(
            workspace.large_source
        )  # so that the file is in the page cache, and the mount's own pages are not
        return _twice(_read, top / large)

    yield Work(
        "read", [f"{what}, {state}" for state in ("first time", "again")], read, mib,
        budgets=(Budget(1 / 600), times(2)),
    )  # fmt: skip
    whats = [f"{READERS} readers at once, each of its part of {mib} MiB, cold"]
    yield Work("readers", whats, lambda top: [_read_in_parts(top / large)])
    tracks = _some_tracks(plain)
    whats = [
        f"open and read whole {len(tracks)} small tracks, per track, {state}" for state in ("cold", "warm")
    ]
    yield Work(
        "tracks", whats, lambda top: _twice(_read_each, [top / track for track in tracks]), len(tracks),
        budgets=(Budget(1e-3), Budget(1e-3)),
    )  # fmt: skip


NAMES = ("list", "find", "stat", "missing", "read", "readers", "tracks")


def measure(workspace: Workspace, binding: str, only: Sequence[str]) -> Iterator[Figure]:
    """Measures a mount by one binding: the work named by ``only``, several times, of which the least counts.

    What takes long, and what is measured without being judged, is done once.
    """
    is_judged = binding == "pyfuse3"
    for work in all_work(workspace):
        if work.name not in only:
            continue
        say(f"{work.name} by {binding}")
        ours: list[Sequence[float]] = []
        plain: list[Sequence[float]] = []
        for _ in range(1 if work.once or not is_judged else workspace.runs):
            with workspace.mount(binding) as mount:
                workspace.cool()
                ours.append(work.do(mount.path))
            workspace.cool()
            plain.append(work.do(workspace.plain))
        # What only one binding is asked for is no budget of the other.
        budgets = work.budgets if is_judged else ()
        found = zip(work.whats, least(ours), least(plain), strict=True)
        for (what, through, without), budget in itertools.zip_longest(found, budgets[: len(work.whats)]):
            yield Figure(
                work.name, what, through / work.count, without / work.count, binding=binding, budget=budget
            )


# The work -------------------------------------------------------------------------------------------------


def _twice(work: Callable[..., None], *arguments: object) -> list[float]:
    return [seconds(lambda: work(*arguments)) for _ in range(2)]


def _some_tracks(plain: Path) -> list[Path]:
    """Returns the paths of tracks from all over the view of releases, below the top of the tree."""
    releases = (path for path in sorted((plain / "Releases").iterdir()) if path.name != "!All Tracks")
    tracks = [
        path.relative_to(plain)
        for release in releases
        for path in sorted(release.iterdir())
        if path.suffix[1:] in FORMATS and path.stat().st_size < 2**20
    ]
    return tracks[:: -(-len(tracks) // SMALL_TRACKS)]


def list_and_stat(directory: Path) -> None:
    """Lists a directory, and asks for the attributes of every name."""
    for name in os.listdir(directory):
        os.stat(f"{directory}/{name}")


def _list_twice(directories: Sequence[Path], top: Path) -> list[float]:
    def list_all() -> None:
        for directory in directories:
            list_and_stat(top / directory)

    return _twice(list_all)


def _find_command(top: Path) -> list[str]:
    """Returns the command that looks for every track of every release, once."""
    return ["find", str(top / "Releases"), "-name", "!All Tracks", "-prune", "-o", "-ls"]


def find(top: Path) -> None:
    """Looks for every track of every release of a tree, once."""
    subprocess.run(_find_command(top), stdout=subprocess.DEVNULL, check=True)


def _stat(path: Path) -> float:
    return seconds(lambda: os.stat(path))


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(CHUNK):
            pass


def _read_in_parts(path: Path) -> float:
    part = -(-path.stat().st_size // READERS)
    start = threading.Barrier(READERS + 1)

    def read_part(number: int) -> None:
        with path.open("rb", buffering=0) as file:
            start.wait()
            for offset in range(number * part, (number + 1) * part, CHUNK):
                os.pread(file.fileno(), CHUNK, offset)

    with ThreadPoolExecutor(READERS) as readers:
        reading = [readers.submit(read_part, number) for number in range(READERS)]
        start.wait()
        return seconds(lambda: [each.result() for each in reading])


def _read_each(paths: Sequence[Path]) -> None:
    for path in paths:
        path.read_bytes()


def _miss(paths: Sequence[Path]) -> list[float]:
    """Asks twice for names that are not there, in directories that have been listed."""
    for parent in {path.parent for path in paths}:
        os.listdir(parent)

    def ask() -> None:
        found = [path for path in paths if os.path.lexists(path)]
        if found:
            raise RuntimeError(f"{found[0]} should be missing")

    return _twice(ask)
