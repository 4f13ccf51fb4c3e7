"""Disks in the states that edits have to survive."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import skip_or_fail


def fill_disk(directory: Path) -> Path:
    """Takes all space that is left on a directory's file system, by a file that is returned."""
    filler = directory / "filler"
    status = os.statvfs(directory)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)
    return filler


@contextmanager
def small_disk(directory: Path, *, kib: int = 4096) -> Iterator[Path]:
    """Mounts an empty file system of so many KiB on a directory, which it gives."""
    directory.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kib}k"]
    ran = subprocess.run(["mount", *options, "tmpfs", directory], capture_output=True, text=True, check=False)
    if ran.returncode:
        skip_or_fail(f"no other file system can be mounted: {ran.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def poor_disk(directory: Path) -> Iterator[Path]:
    """Gives a directory on a disk that can do little, and keeps what is on it below another one."""
    if importlib.util.find_spec("llfuse") is None:
        skip_or_fail("llfuse is missing, which shows such a disk")
    beneath, top = directory / "beneath", directory / "poor"
    beneath.mkdir(exist_ok=True)
    top.mkdir(exist_ok=True)
    command: list[str | Path] = [sys.executable, "-m", "tests.support.poor_disk", beneath, top]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield top
    finally:
        subprocess.run(["fusermount3", "-u", "-z", top], check=False)
        process.communicate()
