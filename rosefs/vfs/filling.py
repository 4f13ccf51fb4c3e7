"""The operations of the file system as far as they are about releases that programs fill, and all others as before.

Such a release is on the disk as it is shown: files are opened, read and written there, and attributes are those of
the disk. Whoever changes something in it waits while it is being completed, and then changes the release.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from rosecache.config import Config
from rosecache.tags.journal import write_all
from rosefs.library.arrivals import recover
from rosefs.library.journal import Journal
from rosefs.rules.smart import Smart
from rosefs.settings import VfsSettings
from rosefs.vfs.arrivals import RELEASES, Arrivals
from rosefs.vfs.arriving import Arrival, ArrivingDirectory, ArrivingFile, Entry, State, attributes_of
from rosefs.vfs.completing import Completion
from rosefs.vfs.drafts import refused
from rosefs.vfs.edits import Operation, Request
from rosefs.vfs.errors import (
    AccessDeniedError,
    FileSystemError,
    NoAttributeError,
    NoEntryError,
    NotSupportedError,
    SourceIOError,
    SourceWriteError,
)
from rosefs.vfs.gestures import perform
from rosefs.vfs.handles import FileHandle
from rosefs.vfs.inodes import Inode, Way
from rosefs.vfs.listings import Listing
from rosefs.vfs.model import Appearance, Attributes, Changes, OpenFile
from rosefs.vfs.nodes import ARRIVAL, DirectoryNode, Key, Node
from rosefs.vfs.sinking import Sinking
from rosefs.vfs.spool import PERMISSIONS

_ARRIVING = (ArrivingFile, ArrivingDirectory)

_XATTRS, _OUR_XATTRS = b"user.", b"user.rosefs."


class ArrivingContent:
    """A file of a release that programs fill, open on the disk; closed when nobody uses it any more."""

    def __init__(self, arrival: Arrival, entry: Entry, access: int) -> None:
        """Opens it. Raises OSError, NoEntryError."""
        self._fd = -1
        self.arrival = arrival
        with arrival.lock:
            place = arrival.place_of(entry)
            path = f"/proc/self/fd/{place}" if isinstance(place, int) else place
            self._fd = os.open(path, access | os.O_CLOEXEC)
            entry.descriptors.append(self._fd)
        self._entry = entry
        self.path = Path(arrival.name) / arrival.relative(entry)

    def read(self, offset: int, size: int) -> bytes:
        """Returns bytes; fewer than asked for at the end only. Raises SourceIOError."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise SourceIOError(error.errno or errno.EIO, f"{self.path}: {error.strerror}") from error

    def read_now(self, offset: int, size: int) -> bytes | None:
        return None

    def write(self, offset: int, data: bytes) -> None:
        """Writes all of the bytes. Raises SourceWriteError."""
        with refused(self.path):
            write_all(self._fd, data, offset)

    def truncate(self, size: int) -> None:
        """Cuts the file off. Raises SourceWriteError."""
        with refused(self.path):
            os.ftruncate(self._fd, size)

    def chmod(self, mode: int) -> None:
        """Sets the permissions. Raises SourceWriteError."""
        with refused(self.path):
            os.fchmod(self._fd, mode)

    def sync(self) -> None:
        """Has what was written flushed to the disk. Raises SourceWriteError."""
        with refused(self.path):
            os.fsync(self._fd)

    def flush(self) -> None:
        """Has the disk say what it has to say at a close. Raises SourceWriteError."""
        with refused(self.path):
            os.close(os.dup(self._fd))

    def release(self) -> None:
        """Notes that the file is not open by this any more."""
        with self.arrival.lock:
            self._entry.descriptors.remove(self._fd)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class Filling(Sinking):
    """A library that releases can be copied to."""

    def __init__(
        self,
        c: Config,
        settings: VfsSettings,
        *,
        journal: Journal | None = None,
        appearance: Appearance | None = None,
        clock: Callable[[], float] = time.monotonic,
        smart: Sequence[Smart] = (),
    ) -> None:
        """Takes what ``Sinking`` takes."""
        super().__init__(c, settings, journal=journal, appearance=appearance, clock=clock, smart=smart)
        self._arrivals = Arrivals(clock, self._tree.current)
        self._completion: Completion | None = None
        if self._edits is not None:
            self._arrivals = self._edits.arrivals
            self._completion = Completion(self._edits, self._inodes, self._telling.pages)
            self._arrivals.left_alone = self._completion.arm

    def recover(self) -> None:
        """Completes what was being copied when an earlier mount was killed. To be called before this is served."""
        if self._edits is not None:
            recover(self._edits.c, self._edits.journal)

    def close(self) -> None:
        """Completes what was being copied, and does as ``Sinking`` does."""
        super().close()
        if self._completion is not None:
            self._completion.finish()

    # Looking --------------------------------------------------------------------------------------------

    def is_cheap(self, inode: int, name: bytes = b"") -> bool:
        return super().is_cheap(inode, name) and not self._arrivals.shows_some_in(
            self._inodes.get(inode).node.key
        )

    def _find(self, directory: DirectoryNode, name: bytes) -> Node:
        found = self._arrivals.find(directory.key, os.fsdecode(name))
        if found is not None:
            return found
        if directory.key.space == ARRIVAL:
            raise NoEntryError(os.fsdecode(name))
        return super()._find(directory, name)

    def _fresh(self, node: Node) -> Node:
        return self._arrivals.node(node.key) if node.key.space == ARRIVAL else super()._fresh(node)

    def _parent(self, directory: DirectoryNode) -> Node:
        if directory.key.space == ARRIVAL:
            return self._arrivals.parent(directory.key)
        return super()._parent(directory)

    def _shown(self, directory: Key) -> Listing:
        if directory.space == ARRIVAL:
            return self._arrivals.listing(directory)
        return self._arrivals.shown(directory, super()._shown(directory))

    def _attributes(self, inode: Inode, *, keep_name: bool = False) -> Attributes:
        if isinstance(inode.node, _ARRIVING):
            return attributes_of(inode.node, inode.number, self._appearance)
        return super()._attributes(inode, keep_name=keep_name)

    # Files ----------------------------------------------------------------------------------------------

    @contextmanager
    def _settled(self, number: int) -> Iterator[Node]:
        """Gives what is about to be changed, which is not completed meanwhile, or has been."""
        node = self._inodes.get(number).node
        with self._arrivals.changing(node.key):
            yield self._current(number).node if node.key.space == ARRIVAL else node

    def create(
        self, parent: int, name: bytes, mode: int, flags: int, asker: int = 0
    ) -> tuple[OpenFile, Attributes]:
        with self._settled(parent) as directory:
            if not isinstance(directory, ArrivingDirectory):
                return super().create(parent, name, mode, flags, asker)
            request = self._request(directory, name)
            if request.node is not None:
                return super().create(parent, name, mode, flags, asker)
            node = perform(self._editing(), Operation.CREATE, request)
            assert isinstance(node, ArrivingFile)
            inode = self._inodes.remember(node)
            inode.through = directory.key
            try:
                opened = self._open_arriving(inode, node, flags, mode=mode & PERMISSIONS)
            except FileSystemError:
                self.forget(inode.number, 1)
                raise
            return opened, self._attributes(self._current(inode.number))

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        if flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_TRUNC:
            found = self._current(inode)
            if isinstance(found.node, ArrivingFile):
                return self._open_arriving(found, found.node, flags)
            return super().open(inode, flags, asker)
        with self._settled(inode) as node:
            if not isinstance(node, ArrivingFile):
                return super().open(inode, flags, asker)
            perform(self._editing(), Operation.WRITE, Request(node.key, str(node.key), node))
            return self._open_arriving(self._inodes.get(inode), node, flags)

    def _open_arriving(
        self, inode: Inode, node: ArrivingFile, flags: int, *, mode: int | None = None
    ) -> OpenFile:
        """Opens a file on the disk, truncates it if the flags say so, and sets its permissions if some are given."""
        arrival, entry = self._arrivals.entry(node.key)
        access, truncates = flags & os.O_ACCMODE, bool(flags & os.O_TRUNC)
        try:
            content = ArrivingContent(arrival, entry, os.O_RDWR if truncates else access)
        except PermissionError as error:
            raise AccessDeniedError(f"{entry.name}: {error.strerror}") from error
        except FileNotFoundError as error:
            raise NoEntryError(f"{entry.name}: {error.strerror}") from error
        except OSError as error:
            raise SourceIOError(error.errno or errno.EIO, f"{entry.name}: {error.strerror}") from error
        try:
            if truncates:
                content.truncate(0)
            if mode is not None:
                content.chmod(mode)
        except FileSystemError:
            content.release()
            raise
        self._arrivals.opened(arrival)
        self._inodes.opened_draft(inode)
        handle = self._handles.add(FileHandle(inode, content, writes=access != os.O_RDONLY))
        return OpenFile(handle, keep_cache=True)

    def _content(self, handle: int) -> ArrivingContent | None:
        content = self._handles.get(handle).content
        return content if isinstance(content, ArrivingContent) else None

    def write(self, handle: int, offset: int, data: bytes) -> int:
        content = self._content(handle)
        if content is None:
            return super().write(handle, offset, data)
        content.write(offset, data)
        return len(data)

    def fsync(self, handle: int) -> None:
        content = self._content(handle)
        if content is None:
            super().fsync(handle)
        else:
            content.sync()

    def is_clean(self, handle: int) -> bool:
        opened = self._handles.get(handle)
        return super().is_clean(handle) if self._content(handle) is None else not opened.writes

    def flush(self, handle: int) -> None:
        content = self._content(handle)
        if content is None:
            super().flush(handle)
        elif self._handles.get(handle).writes:
            content.flush()

    def release(self, handle: int) -> None:
        content = self._content(handle)
        super().release(handle)
        if content is not None:
            content.release()
            self._arrivals.closed(content.arrival)

    def setattr(self, inode: int, changes: Changes, handle: int | None = None, asker: int = 0) -> Attributes:
        with self._settled(inode) as node:
            if not isinstance(node, _ARRIVING):
                return super().setattr(inode, changes, handle, asker)
            look = self._appearance
            real = replace(
                changes,
                uid=None if changes.uid == look.uid else changes.uid,
                gid=None if changes.gid == look.gid else changes.gid,
            )
            request = Request(node.key, str(node.key), node, changes=real)
            perform(self._editing(), Operation.SET_ATTRIBUTES, request)
            return self._attributes(self._current(inode))

    def _request_of(self, inode: Inode, way: Way, changes: Changes | None = None) -> Request:
        request = super()._request_of(inode, way, changes)
        if request.directory.space == ARRIVAL and inode.node.key.space != ARRIVAL:
            # Looked up by a name of before it was a file of a release.
            return replace(request, directory=Key(RELEASES.space, "", inode.node.release_id))
        return request

    # Extended attributes --------------------------------------------------------------------------------

    def has_attribute(self, inode: int, name: bytes) -> bool:
        if self._inodes.get(inode).node.key.space == ARRIVAL:
            return _is_passed_on(name)
        return super().has_attribute(inode, name)

    def getxattr(self, inode: int, name: bytes) -> bytes:
        with self._place(inode) as place:
            if place is None:
                return super().getxattr(inode, name)
            if not _is_passed_on(name):
                raise NoAttributeError(os.fsdecode(name))
            return os.getxattr(place, name)

    def listxattr(self, inode: int) -> list[bytes]:
        with self._place(inode) as place:
            if place is None:
                return super().listxattr(inode)
            return [name for name in map(os.fsencode, os.listxattr(place)) if _is_passed_on(name)]

    def _set_arriving_xattr(self, inode: int, name: bytes, value: bytes | None) -> bool:
        """Sets or, for None, removes an attribute on the disk. Returns whether the inode is one that arrives."""
        with self._settled(inode), self._place(inode) as place:
            if place is None:
                return False
            if not _is_passed_on(name):
                raise NotSupportedError(os.fsdecode(name))
            if value is None:
                os.removexattr(place, name)
            else:
                os.setxattr(place, name, value)
            return True

    @contextmanager
    def _place(self, inode: int) -> Iterator[Path | int | None]:
        """Gives by what the disk knows a file or directory; None if it is none that programs fill."""
        node = self._inodes.get(inode).node
        if node.key.space == ARRIVAL:
            node = self._current(inode).node
        if node.key.space != ARRIVAL:
            yield None
            return
        arrival, entry = self._arrivals.entry(node.key)
        with arrival.lock:
            try:
                yield None if arrival.state is State.DONE else arrival.place_of(entry)
            except OSError as error:
                if error.errno == errno.EOPNOTSUPP:
                    raise NotSupportedError(entry.name) from error
                if error.errno == errno.ENODATA:
                    raise NoAttributeError(entry.name) from error
                raise SourceWriteError(error.errno or 0, f"{entry.name}: {error.strerror}") from error


def _is_passed_on(name: bytes) -> bool:
    """Tells whether an attribute is one of the user's, which the disk may have; ours it never has."""
    return name.startswith(_XATTRS) and not name.startswith(_OUR_XATTRS)
