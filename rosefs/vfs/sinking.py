"""Files and directories that land nowhere, among those that do: the operations on what was copied into lists.

Sits between ``writing``, which saves what programs write, and ``filesystem``. What is written here is a ``ghost``; what
follows from it is found out by ``sink_gestures``, at the first flush that has bytes.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from rosecache.changes import Changes as FeedChanges
from rosefs.vfs.drafts import refused
from rosefs.vfs.edits import Edits, Operation
from rosefs.vfs.errors import FileSystemError, NoEntryError, StaleError
from rosefs.vfs.gestures import perform, translated
from rosefs.vfs.ghosts import GhostFile
from rosefs.vfs.handles import FileHandle
from rosefs.vfs.inodes import Inode
from rosefs.vfs.listings import Listing
from rosefs.vfs.model import Attributes, Changes, OpenFile
from rosefs.vfs.nodes import GHOSTS, DirectoryNode, Key, Node
from rosefs.vfs.places import Place, is_ghost, place_of
from rosefs.vfs.sink_gestures import take
from rosefs.vfs.writing import Writing

log = logging.getLogger(__name__)

_FILES_SINK = (Place.PLAYLIST, Place.COLLAGE_RELEASE, Place.SINK)


class Sinking(Writing):
    """A library into whose collages and playlists can be copied."""

    def close(self) -> None:
        """Does what was left for later, lets go of what was copied in, and puts back what was lost by moving."""
        super().close()
        if self._edits is not None:
            with translated():
                self._edits.sinks.close()

    def _apply(self, changes: FeedChanges) -> None:
        super()._apply(changes)
        if self._edits is not None:
            self._edits.sinks.forget_covers()

    # Names ----------------------------------------------------------------------------------------------

    def _find(self, directory: DirectoryNode, name: bytes) -> Node:
        if self._edits is not None:
            ghost = self._edits.sinks.ghosts.find(directory.key, os.fsdecode(name))
            if ghost is not None:
                return ghost.node
        if directory.key.space == GHOSTS:
            raise NoEntryError(os.fsdecode(name))
        return super()._find(directory, name)

    def _shown(self, directory: Key) -> Listing:
        ghosts = {} if self._edits is None else self._edits.sinks.ghosts.listed(directory)
        if directory.space == GHOSTS:
            return Listing({ghost.name: ghost.node for ghost in ghosts.values()}, (), 0)
        shown = super()._shown(directory)
        # Of what has become a member, the member is listed.
        names = {
            ghost.name: ghost.node
            for ghost in ghosts.values()
            if ghost.name in shown.names or ghost.member is None
        }
        if not names:
            return shown
        return Listing({**shown.names, **names}, shown.members, shown.generation, before=shown)

    def _attributes(self, inode: Inode, *, keep_name: bool = False) -> Attributes:
        attributes = super()._attributes(inode, keep_name=keep_name)
        ghost = None if self._edits is None else self._edits.sinks.ghosts.of(inode.node.key)
        if ghost is None:
            return attributes
        mtime = ghost.node.mtime
        lasting = {"keep_name": False, "keep": False}
        return replace(attributes, mode=ghost.mode, mtime=mtime, ctime=mtime, atime=mtime, **lasting)

    # Files ----------------------------------------------------------------------------------------------

    def create(
        self, parent: int, name: bytes, mode: int, flags: int, asker: int = 0
    ) -> tuple[OpenFile, Attributes]:
        """Makes a file and opens it, and counts a lookup of it."""
        directory = self._directory(parent)
        if place_of(directory.key) not in _FILES_SINK:
            return super().create(parent, name, mode, flags, asker)
        request = self._request(directory, name)
        if request.node is not None:
            return super().create(parent, name, mode, flags, asker)
        node = perform(self._editing(), Operation.CREATE, request)
        assert node is not None
        ghost = self._editing().sinks.ghosts.of(node.key)
        assert isinstance(ghost, GhostFile)
        ghost.mode = mode & 0o777
        inode = self._inodes.remember(node)
        inode.through, inode.called = directory.key, request.name
        return self._open_ghost(inode, ghost, writes=True), self._attributes(inode)

    def opens_at_once(self, inode: int) -> bool:
        """Tells of what is read from the library whether that is at hand; of what was copied in, never."""
        return not is_ghost(self._inodes.get(inode).node.key) and super().opens_at_once(inode)

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        """Opens a file. Raises as for reading, and NotPermittedError, AccessDeniedError, SourceWriteError."""
        known = self._inodes.get(inode)
        if not is_ghost(known.node.key):
            return super().open(inode, flags, asker)
        ghost = self._editing().sinks.ghosts.of(known.node.key)
        if not isinstance(ghost, GhostFile):
            raise StaleError(f"inode {inode} is gone")
        if flags & os.O_TRUNC:
            with refused(Path(ghost.name)):
                ghost.truncate(0)
        return self._open_ghost(known, ghost, writes=flags & os.O_ACCMODE != os.O_RDONLY)

    def _open_ghost(self, inode: Inode, ghost: GhostFile, *, writes: bool) -> OpenFile:
        with refused(Path(ghost.name)):
            ghost.open()
        self._editing().sinks.use(ghost, opened=1)
        self._inodes.opened_draft(inode)
        return OpenFile(self._handles.add(FileHandle(inode, ghost, writes=writes)), keep_cache=True)

    def write(self, handle: int, offset: int, data: bytes) -> int:
        """Writes bytes, and returns how many. Raises SourceWriteError, and then the old file stays."""
        ghost = self._ghost_of(handle)
        if ghost is None:
            return super().write(handle, offset, data)
        with refused(Path(ghost.name)):
            ghost.write(offset, data)
        return len(data)

    def fsync(self, handle: int) -> None:
        """Has what was written flushed to the disk; not what lands nowhere."""
        if self._ghost_of(handle) is None:
            super().fsync(handle)

    def is_clean(self, handle: int) -> bool:
        """Tells whether closing a file has nothing to save, or to find out."""
        ghost = self._ghost_of(handle)
        return super().is_clean(handle) if ghost is None else not ghost.has_news

    def flush(self, handle: int) -> None:
        """Saves what was written, or does what follows from it, when a program closes a file."""
        ghost = self._ghost_of(handle)
        if ghost is None:
            super().flush(handle)
        else:
            self._take(ghost)

    def release(self, handle: int) -> None:
        """Closes a file for good. Waits for nothing."""
        ghost = self._ghost_of(handle)
        if ghost is not None:
            ghost.close()
            self._editing().sinks.use(ghost, opened=-1)
            if ghost.has_news and not ghost.gone:  # by a memory map
                self._later.at(self._clock(), ("take", handle), lambda: self._take_late(ghost))
        super().release(handle)

    def setattr(self, inode: int, changes: Changes, handle: int | None = None, asker: int = 0) -> Attributes:
        """Sets size, times or permissions."""
        edits = self._editing()
        known = self._inodes.get(inode)
        ghost = edits.sinks.ghosts.of(known.node.key)
        if ghost is None:
            return super().setattr(inode, changes, handle, asker)
        if changes.size is not None and isinstance(ghost, GhostFile):
            with refused(Path(ghost.name)):
                ghost.truncate(changes.size)
        ghost.set_attributes(changes)
        edits.sinks.use(ghost)
        return self._attributes(known)

    def _ghost_of(self, handle: int) -> GhostFile | None:
        content = self._handles.get(handle).content
        return content if isinstance(content, GhostFile) else None

    def _take(self, ghost: GhostFile) -> None:
        edits: Edits = self._editing()
        with translated():
            take(edits, ghost)
        edits.sinks.use(ghost)
        edits.look()

    def _take_late(self, ghost: GhostFile) -> None:
        try:
            self._take(ghost)
        except FileSystemError as error:
            log.warning("what was copied to %s could not be taken: %s", ghost.name, error)
