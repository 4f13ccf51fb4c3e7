"""Open files: where their bytes come from, and the table of handles.

Reads hold no lock and go to the source file as they are. A handle stays with the file that it was opened on.
There is no limit to their number but the system's.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import Protocol

import msgspec

from rosefs.vfs.disks import Disks
from rosefs.vfs.errors import AccessDeniedError, BadHandleError, NoEntryError, SourceIOError
from rosefs.vfs.inodes import Inode, Way
from rosefs.vfs.nodes import FileNode

_WOULD_BLOCK = (errno.EAGAIN, errno.EWOULDBLOCK)
_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)


class Readable(Protocol):
    """Something that can be read."""

    def read(self, offset: int, size: int) -> bytes: ...

    def read_now(self, offset: int, size: int) -> bytes | None: ...


class Content(Readable, Protocol):
    """What a file held when it was opened.

    Attributes:
        size: Bytes, when it was opened.
        stamp: Numbers that are equal for the same version of the same file.
        identity_length: How many of them, from the first, tell which file it is, whatever its version.
    """

    identity_length: int
    size: int
    stamp: tuple[int, ...]

    def is_like(self, node: FileNode) -> bool:
        """Tells whether it has the size and the time that are shown of a file."""


class GeneratedContent:
    """The content of a file that exists in memory only; another content is another file."""

    identity_length = 2

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)
        self.stamp: tuple[int, ...] = (len(content), hash(content))

    def read(self, offset: int, size: int) -> bytes:
        return self._content[offset : offset + size]

    read_now = read

    def is_like(self, node: FileNode) -> bool:
        return self.size == node.size


class SourceContent:
    """A source file, closed when nobody uses it any more, also not a read that is still on its way."""

    identity_length = 2

    def __init__(self, path: bytes, disks: Disks) -> None:
        """Opens a file for reading.

        Args:
            path: Where it is.
            disks: What is known of devices; added to by reading.

        Raises:
            NoEntryError: There is no file here.
            AccessDeniedError: This process may not read it.
            SourceIOError: The disk failed.
        """
        self._fd = -1
        self._disks = disks
        try:
            # A named pipe or device in the place of the file must not block, and is refused below.
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            status = os.fstat(self._fd)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoEntryError(f"{os.fsdecode(path)}: {error.strerror}") from error
        except PermissionError as error:
            raise AccessDeniedError(f"{os.fsdecode(path)}: {error.strerror}") from error
        except OSError as error:
            raise _failed(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise NoEntryError(f"{os.fsdecode(path)}: not a file any more")
        self.path = path
        self.size = status.st_size
        self.mtime = status.st_mtime_ns
        self.stamp: tuple[int, ...] = (status.st_dev, status.st_ino, self.size, self.mtime)

    def read(self, offset: int, size: int) -> bytes:
        """Returns bytes; fewer than asked for at the end only. Raises SourceIOError."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise _failed(self.path, error) from error

    def read_now(self, offset: int, size: int) -> bytes | None:
        """Returns the bytes if they are in the page cache, else None; never waits for a disk."""
        device = self.stamp[0]
        if device in self._disks.refusing:
            return None
        buffer = bytearray(size)
        try:
            length = os.preadv(self._fd, [buffer], offset, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno in _NOT_SUPPORTED:
                self._disks.refusing.add(device)
            elif error.errno not in _WOULD_BLOCK:
                raise _failed(self.path, error) from error
            return None
        self._disks.answering.add(device)
        if length < size and offset + length < self.size:
            return None
        return bytes(memoryview(buffer)[:length])

    def is_like(self, node: FileNode) -> bool:
        return (self.size, self.mtime) == (node.size, node.mtime)

    def descriptor(self) -> int:
        """Returns the descriptor of the open file, which is closed when nobody has this object any more."""
        return self._fd

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _failed(path: bytes, error: OSError) -> SourceIOError:
    return SourceIOError(error.errno or errno.EIO, f"{os.fsdecode(path)}: {error.strerror}")


class FileHandle(msgspec.Struct, frozen=True):
    """An open file."""

    inode: Inode
    content: Readable
    writes: bool = False
    """Opened for writing, maybe for reading too."""
    way: Way | None = None
    """Where it was looked up to be opened for writing."""
    opener: int = 0
    """The number of the thread that has opened it; 0 if that is not known."""

    @property
    def current(self) -> Readable:
        """What is read: what programs have written to the file since it was opened, if they have."""
        return self.inode.draft or self.content


class Handles:
    """The table of open handles. Numbers are never used again."""

    def __init__(self) -> None:
        self.disks = Disks()
        self._lock = threading.Lock()
        self._next = 1
        self._open: dict[int, FileHandle] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, handle: FileHandle) -> int:
        """Returns the number of a new handle."""
        with self._lock:
            number = self._next
            self._next += 1
            self._open[number] = handle
            return number

    def get(self, number: int) -> FileHandle:
        """Returns an open file. Raises BadHandleError if it is not open."""
        handle = self._open.get(number)
        if handle is None:
            raise BadHandleError(f"handle {number} is not open")
        return handle

    def remove(self, number: int) -> FileHandle:
        """Takes an open file out of the table. Raises BadHandleError if it is not open."""
        with self._lock:
            handle = self.get(number)
            del self._open[number]
            return handle

    def files(self) -> list[FileHandle]:
        """Returns the open files."""
        with self._lock:
            return list(self._open.values())

    def clear(self) -> None:
        """Lets go of everything that is open."""
        with self._lock:
            self._open.clear()
