"""Trees in memory to serve by the bindings, for what a music library cannot be made to do at a given moment.

They keep the contract of ``rosefs.fuse.operations.Operations``, and each one breaks it in one way or waits
where it is told to. Attributes of the top directory tell what the kernel has asked for.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from rosefs.vfs.errors import (
    AbsentError,
    IsADirectoryFsError,
    NoAttributeError,
    NoEntryError,
    NotADirectoryFsError,
    ReadOnlyError,
    SourceIOError,
    StaleError,
)
from rosefs.vfs.model import ROOT_INODE, Attributes, DirectoryEntry, Kernel, OpenFile

Content: TypeAlias = "bytes | Mapping[str, Content]"

TIME = 1_600_000_000_123_456_789
CALLS = "user.calls"
LOOKUPS = "user.lookups"
RENUMBER = "user.renumber"


@dataclass(frozen=True)
class Node:
    """A file or a directory."""

    inode: int
    content: bytes | Mapping[bytes, Node]


class ReadOnlyTree:
    """The operations that change something, all refused."""

    writable = False

    def connect(self, kernel: Kernel) -> None:
        """Nothing here changes behind the kernel's back."""

    def disconnect(self) -> None:
        """Nobody is told anything."""

    def drop_pages(self, inode: int) -> None:
        """Nothing is ever opened with other content than before."""

    def follow(self) -> None:
        """Nothing here changes."""

    def is_clean(self, handle: int) -> bool:
        return True

    def _refuse(self, *args: object) -> NoReturn:
        raise ReadOnlyError

    create = write = flush = fsync = setattr = mkdir = unlink = rmdir = rename = setxattr = removexattr = (
        _refuse
    )


class MemoryTree(ReadOnlyTree):
    """A tree of dictionaries and bytes.

    Three attributes of its top directory are for tests: ``user.calls`` counts the calls by method,
    ``user.lookups`` holds the lookups of every inode that are not taken back yet, and reading
    ``user.renumber`` gives every inode but the top one a new number. All are JSON.
    """

    def __init__(self, content: Mapping[str, Content], *, cheap: bool = True) -> None:
        self._content = content
        self._cheap = cheap
        self._lock = threading.Lock()
        self._next = ROOT_INODE + 1
        self._nodes: dict[int, Node] = {}
        self._root = self._number(content, ROOT_INODE)
        self._handles: dict[int, bytes] = {}
        self._last_handle = 1000  # unlike any inode number that tests name
        self.lookups: Counter[int] = Counter()
        self.calls: Counter[str] = Counter()

    def lookup(self, parent: int, name: bytes, asker: int = 0) -> Attributes:
        with self._lock:
            self.calls["lookup"] += 1
            node = self._directory(parent).get(name)
            if node is None:
                error = AbsentError if parent == ROOT_INODE else NoEntryError
                raise error(os.fsdecode(name))
            self.lookups[node.inode] += 1
            return self._attributes(node)

    def forget(self, inode: int, count: int) -> None:
        with self._lock:
            self.lookups[inode] -= count
            if self.lookups[inode] < 0:
                raise AssertionError(f"inode {inode} was forgotten more often than looked up")

    def getattr(self, inode: int) -> Attributes:
        with self._lock:
            self.calls["getattr"] += 1
            return self._attributes(self._node(inode))

    def entries(self, inode: int, offset: int) -> Iterator[DirectoryEntry]:
        with self._lock:
            self.calls["entries"] += 1
            names = list(self._directory(inode).items())
        return self._entries(names, offset)

    def _entries(self, names: Sequence[tuple[bytes, Node]], offset: int) -> Iterator[DirectoryEntry]:
        for at, (name, node) in enumerate(names[offset:], offset + 1):
            with self._lock:
                self.lookups[node.inode] += 1
            yield DirectoryEntry(name, self._attributes(node), at)

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        if flags & (os.O_ACCMODE | os.O_TRUNC) != os.O_RDONLY:
            raise ReadOnlyError
        with self._lock:
            self.calls["open"] += 1
            self.calls["open in a thread"] += threading.current_thread() is not threading.main_thread()
            content = self._node(inode).content
            if not isinstance(content, bytes):
                raise IsADirectoryFsError
            return OpenFile(self._handle(content), keep_cache=True)

    def opens_at_once(self, inode: int) -> bool:
        return self._cheap

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        # Every other piece comes at once, so that both ways of reading are taken in one file.
        return self.read(handle, offset, size) if offset // size % 2 else None

    def read(self, handle: int, offset: int, size: int) -> bytes:
        content = self._handles[handle]
        self.calls["read"] += 1
        return content[offset : offset + size]

    def release(self, handle: int) -> None:
        del self._handles[handle]

    def statfs(self) -> os.statvfs_result:
        return os.statvfs("/")

    def getxattr(self, inode: int, name: bytes) -> bytes:
        with self._lock:
            match inode, os.fsdecode(name):
                case 1, "user.calls":
                    return json.dumps(self.calls).encode()
                case 1, "user.lookups":
                    return json.dumps(+self.lookups).encode()
                case 1, "user.renumber":
                    self._root = self._number(self._content, ROOT_INODE)
                    return b"{}"
        raise NoAttributeError

    def listxattr(self, inode: int) -> list[bytes]:
        return [CALLS.encode(), LOOKUPS.encode()] if inode == ROOT_INODE else []

    def has_attribute(self, inode: int, name: bytes) -> bool:
        return name.startswith(b"user.")

    def is_cheap(self, inode: int, name: bytes = b"") -> bool:
        return self._cheap

    is_known = is_cheap

    def _number(self, content: Content, inode: int) -> Node:
        if isinstance(content, bytes):
            node = Node(inode, content)
        else:
            children = {}
            for name, child in content.items():
                self._next += 1
                children[os.fsencode(name)] = self._number(child, self._next)
            node = Node(inode, children)
        self._nodes[inode] = node
        return node

    def _node(self, inode: int) -> Node:
        if inode not in self._nodes:
            raise StaleError
        return self._nodes[inode]

    def _directory(self, inode: int) -> Mapping[bytes, Node]:
        content = self._node(inode).content
        if isinstance(content, bytes):
            raise NotADirectoryFsError
        return content

    def _handle(self, what: bytes) -> int:
        self._last_handle += 1
        self._handles[self._last_handle] = what
        return self._last_handle

    def _attributes(self, node: Node) -> Attributes:
        is_file = isinstance(node.content, bytes)
        return Attributes(
            inode=node.inode, is_directory=not is_file, mode=0o644 if is_file else 0o755, links=1,
            size=len(node.content) if is_file else 0, mtime=TIME, ctime=TIME + 1, atime=TIME + 2,
            uid=os.getuid(), gid=os.getgid(),
        )  # fmt: skip


class FailingTree(MemoryTree):
    """A tree with a mistake in one method: called for anything but the top directory, it divides by zero."""

    def __init__(self, content: Mapping[str, Content], *, method: str) -> None:
        super().__init__(content, cheap=False)
        self._real = getattr(self, method)
        setattr(self, method, self._fail)

    def _fail(self, inode: int, *args: object) -> object:
        return self._real(inode, *args) if inode == ROOT_INODE else 1 // 0


class BrokenDiskTree(MemoryTree):
    """A tree whose files open and cannot be read."""

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        return None

    def read(self, handle: int, offset: int, size: int) -> bytes:
        raise SourceIOError(5, "/music/a.opus: Input/output error")


class StallingTree(MemoryTree):
    """A tree whose files starting with ``slow`` are read only once somebody opens a named pipe for writing.

    Or opened, with ``at`` being ``open``, as on a disk that has to start first.
    """

    SLOW = b"slow"

    def __init__(self, content: Mapping[str, Content], *, gate: Path, at: str = "read") -> None:
        super().__init__(content)
        self._gate = gate
        self._at = at

    def opens_at_once(self, inode: int) -> bool:
        return False

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        opened = super().open(inode, flags)
        if self._at == "open":
            self._wait_if_slow(super().read(opened.handle, 0, len(self.SLOW)))
        return opened

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        return None

    def read(self, handle: int, offset: int, size: int) -> bytes:
        data = super().read(handle, offset, size)
        if self._at == "read":
            self._wait_if_slow(data)
        return data

    def _wait_if_slow(self, data: bytes) -> None:
        if data.startswith(self.SLOW):
            os.close(os.open(self._gate, os.O_RDONLY))


class LateTree(MemoryTree):
    """A tree that is done with closing a file only when another one exists."""

    def __init__(self, content: Mapping[str, Content], *, awaited: Path) -> None:
        super().__init__(content)
        self._awaited = awaited

    def release(self, handle: int) -> None:
        while not self._awaited.exists():
            time.sleep(0.01)
        super().release(handle)


class CrossingTree(MemoryTree):
    """A tree that tells the kernel to forget a name in a directory in which it removes one, and answers neither.

    A named pipe is opened for writing when it has come to that.
    """

    writable = True

    def __init__(self, content: Mapping[str, Content], *, gate: Path) -> None:
        super().__init__(content)
        self._gate = gate
        self._kernel: Kernel | None = None

    def connect(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def unlink(self, *args: Any) -> NoReturn:
        assert self._kernel is not None
        threading.Thread(target=self._kernel.forget_entry, args=args, daemon=True).start()
        while not _waits_in_kernel(os.getpid()):
            time.sleep(0.01)
        os.close(os.open(self._gate, os.O_WRONLY))
        while True:
            time.sleep(60)


def _waits_in_kernel(process: int) -> bool:
    """Tells whether a thread of a process waits where no signal reaches it."""
    states = [
        path.read_text().rpartition(")")[2].split()[0]
        for path in Path(f"/proc/{process}/task").glob("*/stat")
    ]
    return "D" in states
