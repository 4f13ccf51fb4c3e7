"""Private copies: what a program writes to goes into a file of its own beside the source, until it is whole.

A copy is locked as long as it is open, so that recovery after a crash can tell it from one whose writer lives.
Nothing here replaces a source file; a copy that nobody takes over is removed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rosecache.tags.attributes import keep_attributes
from rosecache.tags.journal import write_all
from rosecache.temporary import SPOOL_PREFIX, make_temporary
from rosefs.library.files import copy_content

PERMISSIONS = 0o777
"""The bits of a mode that programs may set."""

_LONGEST_SUFFIX = 20


class Spool:
    """A private copy, open for reading and writing. Not safe to use from several threads at once.

    Every method raises OSError if the disk refuses.

    Attributes:
        path: Where it is.
        size: Bytes.
        mtime: Nanoseconds.
    """

    def __init__(self, directory: Path, suffix: str, mode: int) -> None:
        """Makes an empty one, with the permissions that the file is to have."""
        self.path, self._fd = make_temporary(directory, SPOOL_PREFIX, suffix[:_LONGEST_SUFFIX], mode)
        try:
            os.fchmod(self._fd, mode)
            self._look()
        except BaseException:
            self.discard()
            raise

    @classmethod
    def copy_of(cls, source: int, path: Path, *, empty: bool) -> Spool:
        """Makes a copy of an open file, beside where that file is, with its owner, mode and attributes.

        Args:
            source: Descriptor of the file.
            path: Its path.
            empty: Leave out the content.
        """
        spool = cls(path.parent, path.suffix, 0o600)
        try:
            if not empty:
                os.lseek(source, 0, os.SEEK_SET)
                copy_content(source, spool._fd)
            keep_attributes(source, spool._fd, os.fstat(source), times=False)
            spool._look()
        except BaseException:
            spool.discard()
            raise
        return spool

    def read(self, offset: int, size: int) -> bytes:
        """Returns bytes, fewer than asked for at the end only."""
        return os.pread(self._fd, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Writes all of the bytes at an offset."""
        write_all(self._fd, data, offset)
        self._look()

    def truncate(self, size: int) -> None:
        """Cuts the file off, or extends it by zeros."""
        os.ftruncate(self._fd, size)
        self._look()

    def set_mode(self, mode: int) -> None:
        """Sets the permissions."""
        os.fchmod(self._fd, mode)

    def set_times(self, atime: int | None, mtime: int | None) -> None:
        """Sets times, in nanoseconds; None leaves one as it is."""
        set_times(self._fd, atime, mtime)
        self._look()

    def flush(self) -> None:
        """Has everything written to the disk."""
        os.fsync(self._fd)

    def finish(self) -> None:
        """Flushes and closes the file, which stays until somebody renames it, or :meth:`discard`."""
        os.fsync(self._fd)
        self._close()

    def discard(self) -> None:
        """Closes and removes the file, unless it has another name by now."""
        self.unlink()
        self._close()

    def unlink(self) -> None:
        """Removes the file, which is there for whoever has it open, unless it has another name by now."""
        with suppress(OSError):  # what cannot be removed now is removed at the next start
            self.path.unlink(missing_ok=True)

    def _look(self) -> None:
        status = os.fstat(self._fd)
        self.size, self.mtime = status.st_size, status.st_mtime_ns

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def set_times(file: int | bytes, atime: int | None, mtime: int | None) -> None:
    """Sets times of an open file or of a path, in nanoseconds; None leaves one as it is. Raises OSError."""
    status = os.stat(file)
    os.utime(
        file,
        ns=(status.st_atime_ns if atime is None else atime, status.st_mtime_ns if mtime is None else mtime),
    )
