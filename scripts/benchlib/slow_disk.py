"""A library of which large files are on a disk that takes long, for measuring whether anybody else waits for it."""

from __future__ import annotations

import time

from rosefs.vfs.filesystem import FileSystem

DELAY_SECONDS = 0.2


LARGE_READ = 64 * 1024
"""So many bytes at once are asked for of large files only."""


class SlowFileSystem(FileSystem):
    """A tree whose large reads wait, as for a disk that has to be started first. No read is answered at once."""

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        return None

    def read(self, handle: int, offset: int, size: int) -> bytes:
        if size >= LARGE_READ:
            time.sleep(DELAY_SECONDS)
        return super().read(handle, offset, size)
