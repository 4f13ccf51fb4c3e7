"""The operations of the file system, with those that change something: synchronous, in neutral types.

Safe to call from several threads at once. Those on names are here, those that look are in ``reading``, those that
write to files in ``writing``. A write operation finds out what names stand for and leaves its meaning to the table in
``gestures``. When an operation returns, the tree shows what it did.
"""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress

from rosefs.vfs.edits import Operation, Request
from rosefs.vfs.errors import (
    ExistsError,
    InvalidRequestError,
    IsADirectoryFsError,
    NoEntryError,
    NotADirectoryFsError,
    NotSupportedError,
)
from rosefs.vfs.filling import Filling
from rosefs.vfs.gestures import perform
from rosefs.vfs.model import Attributes
from rosefs.vfs.nodes import DirectoryNode, FileNode, Node, nameless
from rosefs.vfs.places import Place, place_of
from rosefs.vfs.removal_gestures import removes_file
from rosefs.vfs.writing import missing

_NEW = b"user.rosefs.new"
_TRUTH = {b"true": True, b"false": False}
_RENAME_NOREPLACE = 1


class FileSystem(Filling):
    """A mounted library."""

    def mkdir(self, parent: int, name: bytes) -> Attributes:
        """Makes a directory, and counts a lookup of it."""
        with self._telling.holding((parent,)), self._settled(parent):
            directory = self._directory(parent)
            request = self._request(directory, name)
            if request.node is not None:
                raise ExistsError(request.name)
            made = perform(self._editing(), Operation.MKDIR, request)
            if made is None:
                raise NoEntryError(os.fsdecode(name))
            return self._attributes(self._inodes.remember(made))

    def unlink(self, parent: int, name: bytes) -> None:
        """Removes a file's name. Raises NoEntryError, IsADirectoryFsError, or what the gesture does."""
        with self._telling.holding((parent,)), self._settled(parent):
            self._unlink(parent, name)

    def _unlink(self, parent: int, name: bytes) -> None:
        request = self._request(self._directory(parent), name)
        node = request.node
        if not isinstance(node, FileNode):
            raise missing(name) if node is None else IsADirectoryFsError(request.name)
        inode = self._inodes.find(node.key)
        removes = removes_file(request)
        draft = inode.draft if inode is not None and removes else None
        with nullcontext() if draft is None else draft.removed():
            if draft is not None and draft.is_new:
                self._overlay.drop(node.key)
            else:
                perform(self._editing(), Operation.UNLINK, request)
        if inode is not None and removes:
            self._inodes.part(node.key, nameless(node, inode.number))
        self._forget(request)

    def rmdir(self, parent: int, name: bytes) -> None:
        """Removes a directory. Raises NoEntryError, NotADirectoryFsError, or what the gesture does."""
        with self._telling.holding((parent,)):
            with self._settled(parent):
                request = self._request(self._directory(parent), name)
                if not isinstance(request.node, DirectoryNode):
                    raise missing(name) if request.node is None else NotADirectoryFsError(request.name)
                with self._telling.holding((self._inodes.number_of(request.node.key),)):
                    perform(self._editing(), Operation.RMDIR, request)
            self._inodes.removed(request.node.key)
            self._forget(request)

    def rename(self, parent: int, name: bytes, to_parent: int, to_name: bytes, flags: int) -> None:
        """Renames something; ``flags`` are those of renameat2(2)."""
        held = self._telling.holding((parent, to_parent))
        with held, self._settled(parent), self._settled(to_parent):
            self._rename(parent, name, to_parent, to_name, flags)

    def _rename(self, parent: int, name: bytes, to_parent: int, to_name: bytes, flags: int) -> None:
        to = self._request(self._directory(to_parent), to_name)
        request = self._request(self._directory(parent), name, to=to)
        edits = self._editing()
        if request.node is None:
            raise missing(name)
        if flags & ~_RENAME_NOREPLACE:
            raise InvalidRequestError("files cannot be exchanged")
        if flags and to.node is not None:
            raise ExistsError(to.name)
        inode = self._inodes.find(request.node.key)
        if inode is None or inode.draft is None:
            perform(edits, Operation.RENAME, request)
        else:
            self._save(inode, inode.draft.save)
            with inode.draft.settled():
                perform(edits, Operation.RENAME, request)
        renamed = self._overlay.resolve(request.node.key)
        if renamed is not None and renamed.key != request.node.key:
            self._inodes.part(request.node.key, renamed)
        self._renamed_list(request.node, to_parent, to_name)
        if isinstance(to.node, DirectoryNode) and to.node.key != request.node.key:
            self._inodes.removed(to.node.key)  # that is how the kernel takes it, also where both go on
        self._forget(request)
        self._forget(to)

    def _renamed_list(self, node: Node, to_parent: int, to_name: bytes) -> None:
        """Has a list that was renamed be found at once, by what the kernel takes for it until it looks it up."""
        key = node.key
        if not isinstance(node, DirectoryNode) or place_of(key) not in (Place.COLLAGE, Place.PLAYLIST):
            return
        with suppress(NoEntryError):  # a list that is gone again
            renamed = self._find(self._directory(to_parent), to_name)
            self._forgetting.names_in(key)
            self._inodes.renamed(key, renamed)

    def setxattr(self, inode: int, name: bytes, value: bytes) -> None:
        """Sets an extended attribute. Raises NotSupportedError for all but one, of what is no import."""
        edits = self._editing()
        if self._set_arriving_xattr(inode, name, value):
            return
        node = self._current(inode).node
        if name != _NEW or not isinstance(node, DirectoryNode) or not node.release_id:
            raise NotSupportedError(os.fsdecode(name))
        if value not in _TRUTH:
            raise InvalidRequestError(f"expected true or false, not {value!r}")
        request = Request(node.key.parent, os.fsdecode(name), node, new=_TRUTH[value])
        with self._telling.holding((inode,)):
            perform(edits, Operation.SET_NEW, request)

    def removexattr(self, inode: int, name: bytes) -> None:
        """Refuses to remove an extended attribute, but of an import."""
        self._editing()
        if self._set_arriving_xattr(inode, name, None):
            return
        raise NotSupportedError(os.fsdecode(name))

    def _forget(self, request: Request) -> None:
        """Has the kernel ask anew for the names of a gesture.

        It moves and removes names by itself, and so may know under one what we have under another.
        """
        self._forgetting.name(request.directory, request.name)
        self._forgetting.name_elsewhere(request.directory, request.name)
        if isinstance(request.node, FileNode):
            self._forgetting.names_of(request.node)
