"""Scratch directories: where a mount has what is copied into collages and playlists, in the cache directory.

Each belongs to one mount, which shows by a lock on it that it lives. Nothing in one is of any use to another.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from rosecache.temporary import TEMPORARY_PREFIX, claim

_PREFIX = TEMPORARY_PREFIX + "sinks."


def make_scratch(beside: Path) -> tuple[Path, int]:
    """Makes an empty directory that is locked as long as its descriptor is open.

    Args:
        beside: The directory in which it is made.

    Returns:
        Its path, and the descriptor.

    Raises:
        OSError: It cannot be made.
    """
    while True:
        path = beside / f"{_PREFIX}{secrets.token_hex(8)}"
        path.mkdir(mode=0o700, parents=True)
        with suppress(FileNotFoundError, BlockingIOError):  # somebody took it for an abandoned one just now
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                claim(descriptor)
                path.stat()
            except BaseException:
                os.close(descriptor)
                raise
            return path, descriptor


def remove_scratch(beside: Path) -> None:
    """Removes the scratch directories of mounts that were killed, as far as that can be done."""
    for path in beside.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            claim(descriptor)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # its mount lives
        finally:
            os.close(descriptor)
