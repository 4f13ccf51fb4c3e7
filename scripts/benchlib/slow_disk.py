"""A library on a disk that takes long to give bytes, for measuring whether anybody else waits for it."""

from __future__ import annotations

import time

from rosefs.vfs.filesystem import FileSystem

DELAY_SECONDS = 0.2


class SlowFileSystem(FileSystem):
    """A tree whose every read waits, as for a disk that has to be started first."""

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        return None

    def read(self, handle: int, offset: int, size: int) -> bytes:
        time.sleep(DELAY_SECONDS)
        return super().read(handle, offset, size)
