"""Finding out through which directory a file is about to be changed, among the operations that look.

Sits between ``reading``, which gives the kernel names to keep, and ``writing``, which has to know by which of them a
file was found. Of files that no list has shown all ways mean the same.
"""

from __future__ import annotations

import os

from rosefs.vfs.arrivals import RELEASES
from rosefs.vfs.edits import Edits, Operation, Request
from rosefs.vfs.errors import (
    FileSystemError,
    IsADirectoryFsError,
    NoEntryError,
    NotPermittedError,
    ReadOnlyError,
    StaleError,
)
from rosefs.vfs.gestures import perform
from rosefs.vfs.handles import FileHandle
from rosefs.vfs.inodes import Inode, Way
from rosefs.vfs.model import Attributes, Changes
from rosefs.vfs.nodes import DirectoryNode, FileNode, Key
from rosefs.vfs.places import OF_MEMBERS, place_of
from rosefs.vfs.reading import Reading
from rosefs.vfs.ways import Ways


class Asking(Reading):
    """A library that asks where a file was found before it is changed."""

    _edits: Edits | None
    _ways: Ways
    # Both are made by ``writing``, which has what it takes.

    def is_cheap(self, inode: int, name: bytes = b"") -> bool:
        # Somebody may be about to copy over what is looked up, and then its source files are held before the answer.
        if len(self._ways) and place_of(self._inodes.get(inode).node.key) in OF_MEMBERS:
            return False
        return super().is_cheap(inode, name)

    def lookup(self, parent: int, name: bytes, asker: int = 0) -> Attributes:
        if not len(self._ways):
            return super().lookup(parent, name, asker)
        try:
            found = super().lookup(parent, name, asker)
        except NoEntryError:
            self._ways.give_up(asker)
            raise
        if found.is_directory:
            return found
        directory = self._directory(parent).key
        way, in_list = (directory, os.fsdecode(name)), place_of(directory) in OF_MEMBERS
        truncates = self._ways.found(asker, found.inode, way, in_list=in_list)
        if not (truncates and in_list and self._is_another_from_now_on(found.inode, way)):
            return found
        self._ways.answered(asker, found.inode)
        self.forget(found.inode, 1)
        self._forgetting.name(*way)  # which may be on its way to the kernel with what was listed
        return super().lookup(parent, name, asker)

    def _is_another_from_now_on(self, inode: int, way: Way) -> bool:
        """Tells whether a name leads to another file from now on, as somebody is about to truncate what it led to."""
        try:
            self._expect(self._inodes.get(inode), Operation.TRUNCATE, way)
        except StaleError:
            return True
        except FileSystemError:
            pass  # whoever tries is told so
        return False

    def _way(self, inode: Inode, operation: Operation, asker: int) -> Way:
        """Returns where a file was found by who is about to open or to truncate it.

        Raises:
            StaleError: So that the kernel looks, and asks once more.
            NotPermittedError: Nobody can tell, and it matters.
        """
        way = inode.way  # before it is looked at whether a list has shown it: then it was not in a list
        if inode.in_list is None or not isinstance(inode.node, FileNode):
            return way
        found = self._ways.find(asker, inode.number, operation)
        if found is not None:
            return found
        if operation is Operation.TRUNCATE:
            raise NotPermittedError(f"{way[1]}: nobody can tell whether this is a member of a list")
        return self._way_in_release(inode) if operation is Operation.SET_ATTRIBUTES else inode.in_list

    def _way_to_set(self, inode: Inode, changes: Changes, handle: int | None, asker: int) -> Way:
        """Returns where a file or directory was found by who is about to set attributes. Raises what ``_way`` does."""
        if isinstance(inode.node, DirectoryNode):
            return inode.node.key.parent, inode.way[1]
        if handle is not None:
            return self._handles.get(handle).way or self._way_in_release(inode)
        if changes.size is not None:
            return self._way(inode, Operation.TRUNCATE, asker)
        opened = self._opened_by(inode, asker) if inode.in_list is not None else None
        if opened is not None:
            return opened.way or self._way_in_release(inode)
        return self._way(inode, Operation.SET_ATTRIBUTES, asker) if changes.has_others else inode.way

    def _opened_by(self, inode: Inode, asker: int) -> FileHandle | None:
        """Returns the open file whose attributes somebody may be setting.

        The kernel does not say whether they are set by an open file, and does not try that twice.
        """
        files = [each for each in self._handles.files() if each.inode is inode]
        own = [each for each in files if each.opener == asker]
        return next((each for each in (*reversed(own), *reversed(files)) if each.writes or each in own), None)

    def _way_in_release(self, inode: Inode) -> Way:
        node = inode.node
        if not node.release_id:
            return inode.in_list or inode.way
        return Key(RELEASES.space, "", node.release_id), inode.way[1]

    def _editing(self) -> Edits:
        if self._edits is None:
            raise ReadOnlyError("this file system is read-only")
        return self._edits

    def _request_of(self, inode: Inode, way: Way, changes: Changes | None = None) -> Request:
        directory, name = way
        if directory is None:
            raise NotPermittedError(f"{inode.node.key} was never looked up")
        return Request(directory, name or str(inode.node.key), inode.node, changes=changes)

    def _expect(self, inode: Inode, operation: Operation, way: Way) -> None:
        """Makes sure that an operation on a file is a gesture where it was found."""
        if not isinstance(inode.node, FileNode):
            raise IsADirectoryFsError(f"{inode.node.key} is a directory")
        perform(self._editing(), operation, self._request_of(inode, way))
