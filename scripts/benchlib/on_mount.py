"""Measures a mount: the same work on it and on a plain tree of the same names and files.

What is cold is done in a mount that was just started, so that neither the kernel nor the process knows anything
of what it shows; warm is the same again at once.
"""

from __future__ import annotations

import functools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.benchlib.figures import Figure, medians, seconds
from scripts.benchlib.programs import note_peaks
from scripts.benchlib.workspace import Workspace
from tests.support.audio import FORMATS

READERS = 8
CHUNK = 128 * 1024
SMALL_TRACKS = 1000
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
    """

    name: str
    whats: Sequence[str]
    do: Callable[[Path], Sequence[float]]
    count: int = 1
    once: bool = False


def all_work(workspace: Workspace) -> Iterator[Work]:
    """Yields the work there is for a library whose plain tree has been made."""
    plain, large = workspace.plain, workspace.large_shown
    mib = (plain / large).stat().st_size / 2**20
    for directory in ("Releases", "Releases/!All Tracks"):
        count = len(os.listdir(plain / directory))
        whats = [f"list and stat {directory}, {count} entries, {state}" for state in ("cold", "warm")]
        yield Work("list", whats, functools.partial(_list_twice, directory))
    whole = sum(len(below) + len(files) for _, below, files in os.walk(plain))
    whats = [f"find over everything, {whole} entries, {state}" for state in ("first time", "second time")]
    yield Work("find", whats, lambda top: _twice(_find, top), once=True)
    tracks = _some_tracks(plain)
    yield Work("stat", ["stat one track by its path in a new mount"], lambda top: [_stat(top / tracks[0])])
    whats = [f"read {mib:.0f} MiB from beginning to end, {state}" for state in ("cold", "warm")]
    yield Work("read", whats, lambda top: _twice(_read, top / large))
    whats = [f"{READERS} readers at once, each of its part of {mib:.0f} MiB, cold"]
    yield Work("readers", whats, lambda top: [_read_in_parts(top / large)])
    whats = [
        f"open and read whole {len(tracks)} small tracks, per track, {state}" for state in ("cold", "warm")
    ]
    yield Work(
        "tracks", whats, lambda top: _twice(_read_each, [top / track for track in tracks]), len(tracks)
    )
    parents = sorted({track.parent for track in tracks})
    absent = [parent / name for parent in parents for name in ABSENT]
    whats = [f"stat of {len(absent)} missing names, per name, {state}" for state in ("first time", "again")]
    yield Work("missing", whats, lambda top: _miss([top / path for path in absent]), len(absent))


NAMES = ("mount", "list", "find", "stat", "read", "readers", "tracks", "missing")


def measure(workspace: Workspace, binding: str, only: Sequence[str]) -> Iterator[Figure]:
    """Measures a mount by one binding: the work named by ``only``, several times, of which the median counts."""
    if "mount" in only:
        starting, memory = medians([_time_to_mount(workspace, binding) for _ in range(workspace.runs)])
        yield Figure("mount", "from the command to the first listing", starting, binding=binding)
        yield Figure("mount", "peak memory of a mount just started", memory, unit="B", binding=binding)
    peak = 0
    for work in all_work(workspace):
        if work.name not in only:
            continue
        ours: list[Sequence[float]] = []
        plain: list[Sequence[float]] = []
        for _ in range(1 if work.once else workspace.runs):
            with workspace.mount(binding) as mount:
                workspace.cool()
                ours.append(work.do(mount.path))
                peak = max(peak, peak_memory(mount.process.pid))
            workspace.cool()
            plain.append(work.do(workspace.plain))
        for what, times in zip(work.whats, zip(medians(ours), medians(plain), strict=True), strict=True):
            through, without = (time / work.count for time in times)
            yield Figure(work.name, what, through, without, binding=binding)
    if peak:
        yield Figure("memory", "peak memory of a mount in all of this", peak, unit="B", binding=binding)


def peak_memory(process: int) -> int:
    """Returns the most memory that a process has had resident, in bytes."""
    peaks: dict[int, int] = {}
    note_peaks(process, peaks)
    return peaks[process]


def _time_to_mount(workspace: Workspace, binding: str) -> tuple[float, float]:
    start = time.perf_counter()
    with workspace.mount(binding) as mount:
        os.listdir(mount.path)
        return time.perf_counter() - start, peak_memory(mount.process.pid)


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


def _list_and_stat(directory: Path) -> None:
    for name in os.listdir(directory):
        os.stat(f"{directory}/{name}")


def _list_twice(directory: str, top: Path) -> list[float]:
    return _twice(_list_and_stat, top / directory)


def _find(top: Path) -> None:
    subprocess.run(["find", top], stdout=subprocess.DEVNULL, check=True)


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
