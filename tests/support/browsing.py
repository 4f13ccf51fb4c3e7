"""Looking around in a tree by paths, as the kernel would do it for a program, without a kernel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rosecache.config import Config
from rosecache.database import connect
from rosecache.update import update_cache
from rosefs.rules.smart import parse_smart
from rosefs.settings import SmartSettings, VfsSettings
from rosefs.vfs.errors import AbsentError, NoEntryError
from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.model import ROOT_INODE, Attributes, DirectoryEntry


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Browser:
    """A file system, and the paths in it. What was looked up stays known, as it does in a kernel with memory."""

    def __init__(self, c: Config, smart: Sequence[SmartSettings] = (), /, **vfs: object) -> None:
        self.c = c
        self.clock = Clock()
        self.fs = FileSystem(c, VfsSettings.from_mapping(vfs), clock=self.clock, smart=parse_smart(smart))

    def update(self) -> None:
        """Brings the cache up to date with the source; the tree may look at it at once."""
        update_cache(self.c)
        self.clock.advance(1)

    def stat(self, path: str) -> Attributes:
        """Returns the attributes of a path such as ``Artists/LOONA``; of the top directory for an empty one."""
        found = self.fs.getattr(ROOT_INODE)
        for name in path.split("/") if path else ():
            found = self.fs.lookup(found.inode, os.fsencode(name))
        return found

    def absence_may_be_kept(self, inode: int) -> bool:
        """Tells whether the kernel may remember that some name is not in a directory."""
        try:
            self.fs.lookup(inode, b"folder.jpg")
        except AbsentError:
            return True
        except NoEntryError:
            return False
        raise AssertionError("the name is there")

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except NoEntryError:
            return False
        return True

    def entries(self, path: str) -> list[DirectoryEntry]:
        """Returns what is in a directory, and forgets it again."""
        return self.forget(self.fs.entries(self.stat(path).inode, 0))

    def forget(self, entries: Iterable[DirectoryEntry]) -> list[DirectoryEntry]:
        """Takes back that entries were listed, and returns them."""
        listed = list(entries)
        for entry in listed:
            self.fs.forget(entry.attributes.inode, 1)
        return listed

    def ls(self, path: str = "") -> list[str]:
        """Returns the names in a directory, in its order."""
        return [entry.name.decode() for entry in self.entries(path)]

    def releases(self, path: str) -> list[str]:
        """Returns the names of the releases that a directory lists, which has ``!All Tracks`` beside them."""
        everything, *releases = self.ls(path)
        assert everything == "!All Tracks"
        return releases

    def walk(self, path: str = "") -> Iterator[tuple[str, Attributes]]:
        """Yields every path below a directory, with its attributes."""
        for entry in self.entries(path):
            below = f"{path}/{entry.name.decode()}" if path else entry.name.decode()
            yield below, entry.attributes
            if entry.attributes.is_directory:
                yield from self.walk(below)

    @contextmanager
    def opened(self, path: str) -> Iterator[tuple[int, bool]]:
        """Gives a handle of an open file, and whether the kernel could keep what it has cached of it."""
        opened = self.fs.open(self.stat(path).inode, os.O_RDONLY)
        try:
            yield opened.handle, opened.keep_cache
        finally:
            self.fs.release(opened.handle)

    def read(self, path: str) -> bytes:
        with self.opened(path) as (handle, _):
            return self.fs.read(handle, 0, 1 << 24)

    def xattr(self, path: str, name: str) -> str:
        return os.fsdecode(self.fs.getxattr(self.stat(path).inode, name.encode()))


@contextmanager
def counted_queries(c: Config) -> Iterator[list[str]]:
    """Collects the queries of this thread; the looks at the change feed are none of them."""
    queries: list[str] = []

    def note(statement: str) -> None:
        text = " ".join(statement.split())
        if text.startswith("SELECT") and "changes" not in text:
            queries.append(text)

    with connect(c) as connection:
        connection.set_trace_callback(note)
    try:
        yield queries
    finally:
        with connect(c) as connection:
            connection.set_trace_callback(None)
