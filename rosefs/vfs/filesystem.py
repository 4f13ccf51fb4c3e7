"""The operations of the file system: synchronous, in neutral types, with the tree's own errors.

Safe to call from several threads at once. Only ``open`` and ``read`` touch the disk of the music, and they
hold no lock while they do; whatever is refused raises a ``FileSystemError``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from rosecache.config import Config
from rosefs.settings import VfsSettings
from rosefs.vfs.model import Attributes, DirectoryEntry, OpenFile


class FileSystem:
    """A mounted library. Inode numbers are 63 bits; the top directory's is ``ROOT_INODE``."""

    def __init__(self, c: Config, settings: VfsSettings) -> None:
        raise NotImplementedError

    def lookup(self, parent: int, name: bytes) -> Attributes:
        raise NotImplementedError

    def remember(self, inode: int) -> None:
        raise NotImplementedError

    def forget(self, inode: int, count: int) -> None:
        raise NotImplementedError

    def getattr(self, inode: int) -> Attributes:
        raise NotImplementedError

    def opendir(self, inode: int) -> int:
        raise NotImplementedError

    def readdir(self, handle: int, offset: int) -> Iterator[DirectoryEntry]:
        raise NotImplementedError

    def releasedir(self, handle: int) -> None:
        raise NotImplementedError

    def open(self, inode: int, flags: int) -> OpenFile:
        raise NotImplementedError

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        raise NotImplementedError

    def read(self, handle: int, offset: int, size: int) -> bytes:
        raise NotImplementedError

    def release(self, handle: int) -> None:
        raise NotImplementedError

    def statfs(self) -> os.statvfs_result:
        raise NotImplementedError

    def getxattr(self, inode: int, name: bytes) -> bytes:
        raise NotImplementedError

    def listxattr(self, inode: int) -> list[bytes]:
        raise NotImplementedError

    def is_cheap(self, inode: int) -> bool:
        raise NotImplementedError

    def absence_may_be_cached(self, parent: int) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
