"""Measures what a mount and the commands cost beside the work: their start, their memory, and idleness."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from scripts.benchlib import programs
from scripts.benchlib.figures import Budget, Figure, least, seconds, times
from scripts.benchlib.programs import note_peaks
from scripts.benchlib.slow_disk import DELAY_SECONDS, SlowFileSystem
from scripts.benchlib.workspace import Workspace, say
from tests.support.audio import FORMATS
from tests.support.bulk import Library
from tests.support.commands import Rosefs
from tests.support.mounts import mounted_library
from tests.support.wearing import forget

_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_GIVEN_BACK = 1.25
"""How many times its idle memory a mount may have when the kernel has forgotten everything again."""

_NOT_SLOWED = 1.3
"""How many times as long requests may take beside a reader: it has some work itself."""

_LOOKED_AT, _ASKED = 50, 200
_BESIDE = (
    f"list and stat {_LOOKED_AT} releases",
    f"open and read whole {_LOOKED_AT} other tracks",
    f"ask {_ASKED} times how full the disk is",
)
_SETTLE_SECONDS = 30.0

_THREADS_END_SECONDS = 11.0
"""Threads that have nothing to do end after ten seconds, and what they have of the cache with them."""


def mount(workspace: Workspace, binding: str) -> Iterator[Figure]:
    """From the command to the answer to the first listing, the update before it taken off."""
    starts, updates, peaks = least([_start(workspace, binding) for _ in range(workspace.runs)])
    yield Figure(
        "mount", "from the command to the first listing, beyond the update", starts - updates, binding=binding,
        budget=Budget(0.5),
    )  # fmt: skip
    yield Figure("mount", "peak memory of a mount just started", peaks, unit="B", binding=binding)


def memory(workspace: Workspace, binding: str) -> Iterator[Figure]:
    """A mount's memory: idle, after everything was looked at, and after the kernel has forgotten it."""
    with workspace.mount(binding) as mounted:
        os.listdir(mounted.path)
        pid = mounted.process.pid
        idle = resident(pid)
        subprocess.run(["find", mounted.path], stdout=subprocess.DEVNULL, check=True)
        full = resident(pid)
        yield Figure("memory", "idle", idle, unit="B", binding=binding, budget=Budget(80e6))
        more = max(0, full - idle) / workspace.tracks
        yield Figure(
            "memory", "after find over everything, more per track", more, unit="B", binding=binding,
            budget=Budget(1536),
        )  # fmt: skip
        if os.geteuid() != 0:
            say("only root can have the kernel forget: no figure of memory that is given back")
            return
        forget(mounted)
        # It forgets piece by piece, and gives back when that is done.
        _settled(lambda: round(cpu_seconds(pid), 1))
        left = _settled(lambda: resident(pid), _THREADS_END_SECONDS)
        yield Figure(
            "memory", "after the kernel has forgotten everything, beside idle", left, idle, "B", binding,
            budget=times(_GIVEN_BACK),
        )  # fmt: skip


def commands(workspace: Workspace) -> Iterator[Figure]:
    """Commands from their start to their end."""
    few = workspace.other("few", Library(12, 2))
    few.run("cache", "update")
    ids = few.run("releases", "list").splitlines()
    yield _command(few, workspace.runs, 0.15, "--help")
    listed = _command(few, workspace.runs, 0.3, "releases", "list", "--json")
    yield replace(listed, what=f"{listed.what}, of {len(ids)} releases")


def _command(rosefs: Rosefs, runs: int, limit: float, *arguments: str) -> Figure:
    (took,) = least([[seconds(lambda: rosefs.run(*arguments))] for _ in range(runs + 2)])
    return Figure("commands", f"rosefs {' '.join(arguments)}", took, budget=Budget(limit))


def slow(workspace: Workspace, binding: str) -> Iterator[Figure]:
    """Other requests while one reader waits for a slow disk, beside the same requests without that reader."""
    runs = [
        [*_beside_a_reader(workspace, binding), *_beside_a_reader(workspace, binding, reads=False)]
        for _ in range(workspace.runs)
    ]
    found = least(runs)
    for what, ours, alone in zip(_BESIDE, found[: len(_BESIDE)], found[len(_BESIDE) :], strict=True):
        yield Figure(
            "slow", f"{what} while one reader waits for a slow disk, beside without it", ours, alone,
            binding=binding, budget=times(_NOT_SLOWED),
        )  # fmt: skip


def _beside_a_reader(workspace: Workspace, binding: str, *, reads: bool = True) -> list[float]:
    """Returns how long each of the other requests takes."""
    large, here = workspace.large_shown, workspace.directory / "slow"
    here.mkdir(exist_ok=True)
    with mounted_library(workspace.rosefs.c, here, binding, kind=SlowFileSystem, hard_limit=600) as mounted:
        releases = [
            path for path in sorted((mounted.path / "Releases").iterdir()) if path.name != "!All Tracks"
        ]
        releases = [path for path in releases if path.name != large.parent.name][:_LOOKED_AT]
        with contextlib.ExitStack() as stack:
            if reads:
                reader = subprocess.Popen(["cat", mounted.path / large], stdout=subprocess.DEVNULL)
                stack.callback(reader.wait)
                stack.callback(reader.kill)
                time.sleep(2 * DELAY_SECONDS)
            listed = seconds(lambda: [os.stat(path) for release in releases for path in release.iterdir()])
            tracks = [
                next(path for path in release.iterdir() if path.suffix[1:] in FORMATS) for release in releases
            ]
            read = seconds(lambda: [path.read_bytes() for path in tracks])
            asked = seconds(lambda: [os.statvfs(mounted.path) for _ in range(_ASKED)])
            return [listed, read, asked]


def idle(workspace: Workspace, binding: str) -> Iterator[Figure]:
    """CPU time of a mount that nobody uses, with the watcher on, in per cent of a core."""
    rosefs = workspace.other("idle", Library(workspace.idle_releases, 1))
    if not rosefs.c.cache_dir.exists():
        programs.run("update", rosefs.c.music_source_dir, rosefs.c.cache_dir)
    with rosefs.mount(workspace.directory / "mnt-idle", binding, watch=True) as mounted:
        pid = mounted.process.pid
        _settled(lambda: round(cpu_seconds(pid), 1))
        before = cpu_seconds(pid)
        time.sleep(workspace.idle_seconds)
        share = 100 * (cpu_seconds(pid) - before) / workspace.idle_seconds
    what = f"idle mount of {workspace.idle_releases} releases, watched, of one core"
    yield Figure("idle", what, share, unit="%", binding=binding, budget=Budget(0.2))


ON_MOUNT: Mapping[str, Callable[[Workspace, str], Iterator[Figure]]] = {
    "mount": mount, "slow": slow, "memory": memory, "idle": idle,
}  # fmt: skip


def resident(process: int) -> int:
    """Returns how much memory a process has resident now, in bytes."""
    found = _RESIDENT.search(Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def cpu_seconds(process: int) -> float:
    """Returns the CPU time of a process, with that of threads that have ended, in seconds."""
    # The number of another process's clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime(~process << 3 | 2)


def _start(workspace: Workspace, binding: str) -> tuple[float, float, float]:
    update = workspace.update().seconds
    start = time.perf_counter()
    with workspace.mount(binding) as mounted:
        os.listdir(mounted.path)
        peaks: dict[int, int] = {}
        took = time.perf_counter() - start
        note_peaks(mounted.process.pid, peaks)
        return took, update, peaks[mounted.process.pid]


def _settled(measure: Callable[[], float], still: float = 2.0) -> float:
    """Returns a figure once it has stayed the same for some seconds, or what it is after a while."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last, same = measure(), 0
    while same < 2 * still and time.monotonic() < deadline:
        time.sleep(0.5)
        now = measure()
        same = same + 1 if now == last else 0
        last = now
    return last
