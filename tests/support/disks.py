"""Disks in the states that edits have to survive."""

from __future__ import annotations

import os
from pathlib import Path


def fill_disk(directory: Path) -> Path:
    """Takes all space that is left on a directory's file system, by a file that is returned."""
    filler = directory / "filler"
    status = os.statvfs(directory)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize)
    return filler
