"""The program ``rosefs`` as its users have it: a process with a configuration file, that updates or mounts.

For the end-to-end tests and the measurements. Nothing here knows what a mount shows. A mount is gone when its
block ends, whatever happens in it.
"""

from __future__ import annotations

import re
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from rosecache.config import Config
from rosefs.fuse.mount import unmount
from tests.support.mounts import Mounted, end_by_force

PROGRAM = (sys.executable, "-c", "from rosefs.cli.start import main; main()")
"""The command ``rosefs`` with this interpreter, wherever its script is installed."""

_GOOD_NEWS = re.compile(r"rosefs: the cache is up to date: .*, 0 skipped\nrosefs: unmounted .*\n")
"""All that a mount logs of a library that is in the cache and has no problems."""

READY_SECONDS = 120.0
HARD_LIMIT = 600.0
"""Seconds until a mount is killed, which makes every request on it fail."""


@dataclass(frozen=True)
class Rosefs:
    """The program, set up for one library."""

    c: Config
    config_path: Path

    @classmethod
    def set_up(
        cls, c: Config, config_path: Path, *, views: Sequence[str] | None = None,
        smart: Sequence[Mapping[str, object]] = (),
    ) -> Rosefs:  # fmt: skip
        """Writes a configuration file of where the library is, which views a mount shows, and smart lists."""
        values: dict[str, object] = {
            "music_source_dir": str(c.music_source_dir), "cache_dir": str(c.cache_dir), "max_proc": c.max_proc,
        }  # fmt: skip
        if views is not None:
            values["vfs"] = {"views": list(views)}
        if smart:
            values["smart"] = [dict(table) for table in smart]
        config_path.write_text(tomlkit.dumps(values), encoding="utf-8")
        return cls(c, config_path)

    @property
    def command(self) -> list[str]:
        """The program with its own options."""
        return [*PROGRAM, "--config", str(self.config_path)]

    def run(self, *arguments: str | Path) -> str:
        """Runs a command to its end and returns what it printed. Raises RuntimeError if it fails."""
        ran = subprocess.run(
            [*self.command, *map(str, arguments)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=HARD_LIMIT, check=False,
        )  # fmt: skip
        if ran.returncode != 0:
            raise RuntimeError(f"rosefs {' '.join(map(str, arguments))} failed:\n{ran.stderr}")
        return ran.stdout

    @contextmanager
    def mount(self, mountpoint: Path, binding: str, *, watch: bool = False) -> Iterator[Mounted]:
        """Mounts the library while the block runs; the mount point is made if need be.

        The process logs to ``<mount point>.log``. It must end well, and have nothing to complain of there; of a
        mount that watches, which has more to tell, only the former is asked.

        Raises:
            RuntimeError: It does not mount, or not end as it should.
        """
        mountpoint.mkdir(exist_ok=True)
        log_path = mountpoint.with_name(f"{mountpoint.name}.log")
        arguments = [
            str(self.c.music_source_dir),
            str(mountpoint),
            "--foreground",
            *([] if watch else ["--no-watch"]),
            "--fuse",
            binding,
        ]
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*self.command, "mount", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        watchdog = threading.Timer(HARD_LIMIT, process.kill)
        watchdog.start()
        try:
            _wait_until_ready(process, log_path)
            yield Mounted(mountpoint, process, log_path)
            unmount(mountpoint)
            status = process.wait(READY_SECONDS)
        finally:
            watchdog.cancel()
            end_by_force(process, mountpoint)
        said = log_path.read_text()
        if status != 0 or not (watch or _GOOD_NEWS.fullmatch(said)):
            raise RuntimeError(f"the mount ended with status {status}, and said:\n{said}")


def _wait_until_ready(process: subprocess.Popen[bytes], log_path: Path) -> None:
    assert process.stdout is not None
    answered, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    line = process.stdout.readline() if answered else b""
    if b"is mounted at" not in line:
        raise RuntimeError(f"the mount did not come up:\n{log_path.read_text()}")
