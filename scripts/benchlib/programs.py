"""What is timed in a process of its own: an update of the cache, and the bare work that it is compared with.

``python -m scripts.benchlib.programs NAME ARGUMENTS…`` prints the seconds that the work took, without the start of
the interpreter. The bare work uses mutagen and the system, and nothing of rosefs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import mutagen

from scripts.benchlib.figures import seconds
from tests.support.audio import FORMATS, set_tags

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)

SHARES = 2
"""How many processes the bare work is spread over."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that has ended: the seconds it told, and the sum of its processes' peak memory."""

    seconds: float
    peak_bytes: int


def run(name: str, *arguments: str | Path) -> Ran:
    """Runs one of the programs. Raises RuntimeError if it fails."""
    command = [sys.executable, "-m", "scripts.benchlib.programs", name, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peaks: dict[int, int] = {}
    while process.poll() is None:
        note_peaks(process.pid, peaks)
        time.sleep(0.02)
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    if process.returncode != 0:
        raise RuntimeError(f"{name} ended with status {process.returncode}")
    return Ran(float(said), sum(peaks.values()))


def note_peaks(process: int, peaks: dict[int, int]) -> None:
    """Notes the most memory that a process and those it started have had resident so far, in bytes.

    ``getrusage`` would count what a process had before it became another program: proc(5) does not.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
        children = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended
    if (found := _PEAK.search(status)) is not None:
        peaks[process] = int(found[1]) * 1024
    for child in " ".join(children).split():
        note_peaks(int(child), peaks)


def update(source: str, cache: str) -> None:
    """Brings a cache up to date; every release must be readable."""
    from rosecache.config import Config
    from rosecache.update import update_cache

    report = update_cache(Config(music_source_dir=Path(source), cache_dir=Path(cache), max_proc=SHARES))
    if report.problems or report.skipped:
        raise RuntimeError(f"the library is not as it was made: {report}")


def walk(source: str) -> None:
    """Walks a directory, with a ``stat`` of every file."""
    for here, _, files in os.walk(source):
        for name in files:
            os.stat(os.path.join(here, name))


def read(source: str) -> None:
    """Reads the tags of every track, in two processes."""
    _spread("read-share", source)


def write(source: str) -> None:
    """Reads the tags of every track and saves them with two more, in two processes; nothing is flushed."""
    _spread("write-share", source)


def write_flushed(source: str) -> None:
    """The same, and every file is flushed to the disk."""
    _spread("write-flushed-share", source)


def read_share(source: str, share: str) -> None:
    for path in _tracks(source, int(share)):
        mutagen.File(path)


def write_share(source: str, share: str) -> None:
    for path in _tracks(source, int(share)):
        set_tags(path, roseid="0" * 36, rosereleaseid="0" * 36)


def write_flushed_share(source: str, share: str) -> None:
    for path in _tracks(source, int(share)):
        set_tags(path, roseid="0" * 36, rosereleaseid="0" * 36)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _spread(name: str, source: str) -> None:
    command = [sys.executable, "-m", "scripts.benchlib.programs", name, source]
    workers = [subprocess.Popen([*command, str(share)], stdout=subprocess.DEVNULL) for share in range(SHARES)]
    failed = [worker for worker in workers if worker.wait() != 0]
    if failed:
        raise RuntimeError(f"{name} failed")


def _tracks(source: str, share: int) -> list[Path]:
    directories = sorted(path for path in Path(source).iterdir() if not path.name.startswith("!"))
    return [
        path
        for directory in directories[share::SHARES]
        for path in directory.rglob("*")
        if path.suffix[1:] in FORMATS
    ]


PROGRAMS: Mapping[str, Callable[..., None]] = {
    "update": update, "walk": walk, "read": read, "write": write, "write-flushed": write_flushed,
    "read-share": read_share, "write-share": write_share, "write-flushed-share": write_flushed_share,
}  # fmt: skip

if __name__ == "__main__":
    if sys.argv[1] == "update":
        # Not at the top, so that the memory of the bare programs is their own, nor in what is timed.
        import_module("rosecache.update")
    print(seconds(lambda: PROGRAMS[sys.argv[1]](*sys.argv[2:])))
