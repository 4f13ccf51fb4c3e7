"""Running ``rosefs mount`` as a process of its own, which is gone at the end, and so is the mount."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rosefs import mountinfo
from rosefs.cli.running import Told, told_of
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.mount import UnmountError, unmount
from tests.cli.terminal import PROGRAM

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Running:
    """A ``rosefs mount`` that has said that it is ready."""

    process: subprocess.Popen[str]
    said: str
    """What it wrote to stdout by then."""

    def end(self) -> tuple[int, str]:
        """Waits for it to end by itself, and returns its exit status and what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, errors


@contextmanager
def mounting(
    mountpoint: Path, *args: str | Path, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Runs ``rosefs`` in the foreground with some arguments, which mount at ``mountpoint``, until the block ends."""
    process = subprocess.Popen(
        [*PROGRAM, *map(str, args), "--foreground"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)  # a mount that hangs fails, and ends
    watchdog.start()
    try:
        yield Running(process, _read_until_ready(process))
    finally:
        if mount_at(mountpoint) is not None:
            with suppress(UnmountError):
                unmount(mountpoint, lazy=True)
        process.terminate()
        with process:  # waits, and closes the pipes
            watchdog.cancel()


def _read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    while "To stop" not in said:
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the mount did not come up:\n{said}{process.communicate()[1]}")
        said += line
    return said


def only_these_mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *mountpoints: Path) -> None:
    """Has the kernel's table show no mounts of rosefs but these: others may be tested on this machine too."""
    written = {str(path).replace(" ", r"\040") for path in mountpoints}
    lines = Path("/proc/self/mountinfo").read_text().splitlines(keepends=True)
    table = tmp_path / "mountinfo"
    table.write_text(
        "".join(line for line in lines if " fuse.rosefs " not in line or line.split()[4] in written)
    )
    monkeypatch.setattr(mountinfo, "_MOUNTINFO", table)


@dataclass(frozen=True)
class Background:
    """A mount whose command has returned."""

    said: str
    """What the command wrote to stdout."""
    errors: str
    """What it wrote to stderr."""
    told: Told
    log_path: Path

    @property
    def pid(self) -> int:
        return self.told.process.pid

    def log(self) -> str:
        return self.log_path.read_text()

    def wait(self) -> None:
        """Waits for the process to end."""
        assert self.told.process.wait(PATIENCE_SECONDS), self.log()


@contextmanager
def mounted_in_background(config: Path, mountpoint: Path, *args: str | Path) -> Iterator[Background]:
    """Runs ``rosefs mount`` with a configuration, whose ``state_dir`` is beside it, until the block ends."""
    logs = config.with_name("state") / "logs"
    command = [*PROGRAM, "-c", str(config), "mount", *map(str, args)]
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        told = told_of(mountpoint)
        assert told is not None
        (log_path,) = logs.glob("*.log")
        background = Background(ran.stdout, ran.stderr, told, log_path)
        yield background
    finally:
        if mount_at(mountpoint) is not None:
            with suppress(UnmountError):
                unmount(mountpoint, lazy=True)
    background.wait()
