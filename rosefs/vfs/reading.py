"""The operations that look and read: synchronous, in neutral types, with the tree's own errors.

Safe to call from several threads at once. Only ``open``, ``read`` and ``statfs`` touch the disk of the
music, and they hold no lock while they do; whatever is refused raises a ``FileSystemError``. Nothing here changes
anything: that is ``filesystem``'s part.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import msgspec

from rosecache.changes import Changes
from rosecache.config import Config, PathTemplates
from rosefs.rules.smart import Smart
from rosefs.settings import VfsSettings
from rosefs.vfs.errors import (
    AbsentError,
    IsADirectoryFsError,
    NoEntryError,
    NotADirectoryFsError,
    ReadOnlyError,
    SourceIOError,
)
from rosefs.vfs.forgetting import Forgetting
from rosefs.vfs.freshness import Freshness
from rosefs.vfs.handles import Content, FileHandle, GeneratedContent, Handles, SourceContent
from rosefs.vfs.inodes import Inode, Inodes
from rosefs.vfs.listings import Listing, Listings, Piecemeal
from rosefs.vfs.memory import give_back
from rosefs.vfs.model import Appearance, Attributes, Counters, DirectoryEntry, Kernel, Looks, OpenFile
from rosefs.vfs.nodes import PLAYLIST_M3U8, DirectoryNode, FileNode, Key, Node, playlist_of, top_key
from rosefs.vfs.overlay import Overlay
from rosefs.vfs.places import OF_MEMBERS, Place, place_of
from rosefs.vfs.telling import Telling
from rosefs.vfs.tree import Tree
from rosefs.vfs.xattrs import get_attribute, list_attributes

_OF_RELEASE = (Place.RELEASE, Place.COLLAGE_RELEASE, Place.SMART_RELEASE)


class Reading:
    """A library to look at. Inode numbers are 63 bits; the top directory's is ``ROOT_INODE``."""

    writable = False
    """Whether anything can be changed."""

    def __init__(
        self,
        c: Config,
        settings: VfsSettings,
        clock: Callable[[], float],
        appearance: Appearance,
        smart: Sequence[Smart],
    ) -> None:
        self._c = c
        self._overlay = Overlay(clock, lambda *where: self._forgetting.shown_otherwise(*where))
        self._telling = Telling()
        self._tree = Tree(
            c, settings, clock, lambda *relisted: self._forgetting.listed(*relisted),
            top_key(appearance.view), smart, lambda key: self._forgetting.listing(key),
        )  # fmt: skip
        self._inodes = Inodes(self._tree.root)
        self._forgetting = Forgetting(self._tree, self._inodes, self._telling)
        self._handles = Handles()
        self._listings = Listings(self._telling.drop_listing)
        self._freshness = Freshness(c, clock, self._apply)
        self._appearance = appearance
        # Files whose size or time on the disk is not what the cache says, with the generation that it was
        # found out in: true until the cache has looked at them.
        self._found: dict[Key, FileNode] = {}

    def reconfigure(
        self, path_templates: PathTemplates, settings: VfsSettings, smart: Sequence[Smart] = ()
    ) -> None:
        """Shows the library by other settings from now on. Names that were retired before do not work any more."""
        self._tree.reconfigure(
            msgspec.structs.replace(self._c, path_templates=path_templates), settings, smart
        )
        self._freshness.resync()

    # The kernel -----------------------------------------------------------------------------------------

    def connect(self, kernel: Kernel) -> None:
        """Takes whom to tell what is not true any more."""
        self._telling.connect(kernel)

    def disconnect(self) -> None:
        """Tells the kernel nothing any more."""
        self._telling.end()

    def drop_pages(self, inode: int) -> None:
        """Has the kernel drop what it keeps of a file, and waits until it did, but not for long."""
        self._telling.drop_pages(inode)

    def follow(self) -> None:
        """Notices what changed in the cache, and what was forgotten; to be called several times a second."""
        if self._freshness.follow():  # the rest has as much time
            self._telling.tell_again()
            if self._inodes.shrink():
                self._tree.shrink()
                give_back()

    def _apply(self, changes: Changes) -> None:
        dropped = self._tree.apply(changes)
        for directory in dropped.directories:
            self._forgetting.listing(directory.key)
        self._telling.find_out(lambda: self._forgetting.after(dropped))

    # Names and attributes -------------------------------------------------------------------------------

    def lookup(self, parent: int, name: bytes, asker: int = 0) -> Attributes:
        """Returns what a name in a directory stands for, and counts one lookup of it.

        ``asker`` is the number of the thread that asks, as in all operations; 0 if that is not known.

        Raises:
            NoEntryError: There is no such name. Names that are no UTF-8 never exist.
            AbsentError: The same, and the kernel may remember it.
            NotADirectoryFsError: The parent is a file.
            StaleError: The parent is not known.
        """
        self._freshness.check()
        directory = self._directory(parent)
        if name in (b".", b".."):
            found = self._fresh(directory) if name == b"." else self._parent(directory)
            return self._attributes(self._inodes.remember(found))
        try:
            found = self._find(directory, name)
        except NoEntryError as error:
            differs = self._overlay.differs(directory.key, self._release_of(directory.key))
            if not differs and self._forgetting.may_keep_absence(directory.key, name):
                raise AbsentError(*error.args) from None
            raise
        inode = self._inodes.remember(found)
        self._forgetting.limit_searches(found.key, directory.key, name)
        inode.looked_up(directory.key, os.fsdecode(name), in_list=place_of(directory.key) in OF_MEMBERS)
        keep_name = self._forgetting.may_keep_name(inode, self._inodes.get(parent), name)
        return self._attributes(inode, keep_name=keep_name)

    def forget(self, inode: int, count: int) -> None:
        """Takes back lookups; what nobody knows any more needs no memory. Never fails."""
        self._discard(self._inodes.forget(inode, count))

    def getattr(self, inode: int) -> Attributes:
        """Returns the attributes of a known inode.

        Raises:
            NoEntryError: It is gone.
            StaleError: It is not known.
        """
        self._freshness.check()
        return self._attributes(self._current(inode))

    def getxattr(self, inode: int, name: bytes) -> bytes:
        """Returns an extended attribute. Raises NoAttributeError if there is none of this name."""
        return get_attribute(self._c, self._inodes.get(inode).node, name)

    def has_attribute(self, inode: int, name: bytes) -> bool:
        """Tells, from memory, whether there can be an extended attribute of this name."""
        return name in list_attributes(self._inodes.get(inode).node)

    def listxattr(self, inode: int) -> list[bytes]:
        """Returns, from memory, the names of the extended attributes of a known inode."""
        return list_attributes(self._inodes.get(inode).node)

    # Directories ----------------------------------------------------------------------------------------

    def entries(self, inode: int, offset: int) -> Iterator[DirectoryEntry]:
        """Yields the entries of a directory after an offset, 0 for all, without ``.`` and ``..``.

        From offset 0 on they are those of now; and so they are from one on that comes late. Counts a lookup of each:
        of what is not passed on it has to be taken back.

        Raises:
            NoEntryError: It is gone.
            NotADirectoryFsError: It is a file.
        """
        reading = self._listings.find(inode) if offset else None
        if reading is None:
            self._freshness.check()
            node = self._fresh(self._directory(inode))
            reading = self._listings.begin(inode, node.key, self._shown(node.key))
        # Looked at before the answer: of what changes from now on the kernel is told after it has got that.
        is_current = self._forgetting.is_current(self._inodes.get(inode), reading.listing)
        reading.keeps = reading.keeps and is_current
        index = bisect_right(reading.listing.places, offset)
        if index == len(reading.listing.places):
            self._listings.end(inode)
        return self._entries(reading, index, is_current=is_current)

    def _entries(self, reading: Piecemeal, index: int, *, is_current: bool) -> Iterator[DirectoryEntry]:
        directory, places = reading.directory, reading.listing.places
        names, nodes = reading.listing.rows
        keeps_names = is_current and self._forgetting.may_keep_names(directory)
        of_members = place_of(directory) in OF_MEMBERS
        remember, attributes_of = self._inodes.remember, self._attributes
        for number in range(index, len(places)):
            name, node = names[number], nodes[number]
            inode = remember(node if node.release_id else self._tree.listed(node))
            # Where the kernel remembers names it does not ask for them before it opens a file.
            if of_members:
                inode.in_list = directory, name
            else:
                inode.through, inode.called = directory, name
            attributes = attributes_of(inode, keep_name=keeps_names)
            encoded = name.encode() if name.isascii() else os.fsencode(name)
            yield DirectoryEntry(encoded, attributes, places[number])

    def is_cheap(self, inode: int, name: bytes = b"") -> bool:
        """Tells whether a name in a directory, or without one all names, can be found by a few short queries at most.

        So it is where it was listed already, where little is listed, and where the index of names tells of the name.
        """
        node = self._inodes.get(inode).node
        if not isinstance(node, DirectoryNode):
            return self.is_known(inode)
        return self.is_known(inode) and self._tree.is_cheap(node.key, name)

    def is_known(self, inode: int) -> bool:
        """Tells whether the attributes of a directory or file are known without asking the cache."""
        return self._freshness.knows_of_no_change() and self._tree.is_current(self._inodes.get(inode).node)

    # Files ----------------------------------------------------------------------------------------------

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        """Opens a file for reading.

        Raises:
            ReadOnlyError: It was to be opened for anything else.
            NoEntryError: It is gone.
            StaleError: It was replaced by another file while the old one is open, and has another inode
                number now; looking up the name again finds it.
            AccessDeniedError, SourceIOError: The source file cannot be opened.
        """
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            raise ReadOnlyError("this file system is read-only")
        return self._open_to_read(inode, asker)

    def _open_to_read(self, inode: int, asker: int) -> OpenFile:
        self._freshness.check()
        opened = self._current(inode)
        node = opened.node
        if not isinstance(node, FileNode):
            raise IsADirectoryFsError(f"{node.key} is a directory")
        draft = opened.draft
        if draft is not None and draft.shown() is not None:
            self._inodes.opened_draft(opened)
            return OpenFile(self._handles.add(FileHandle(opened, draft, opener=asker)), keep_cache=True)
        content = self._open(node)
        is_as_shown = node is opened.first and content.is_like(node)
        keep_cache = self._inodes.opened(
            opened, content.stamp, content.identity_length, is_as_shown=is_as_shown
        )
        return OpenFile(self._handles.add(FileHandle(opened, content, opener=asker)), keep_cache)

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        """Returns bytes that are in memory already; None if :meth:`read` has to get them."""
        return self._handles.get(handle).current.read_now(offset, size)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """Returns bytes, fewer than asked for at the end of the file. May wait for the disk.

        Raises SourceIOError if the disk fails.
        """
        return self._handles.get(handle).current.read(offset, size)

    def release(self, handle: int) -> None:
        """Closes a file."""
        opened = self._handles.remove(handle)
        self._discard(self._inodes.closed(opened.inode))

    # The whole ------------------------------------------------------------------------------------------

    def statfs(self) -> os.statvfs_result:
        """Returns the state of the disk that the music is on. Raises SourceIOError if it does not answer."""
        try:
            return os.statvfs(self._c.music_source_dir)
        except OSError as error:
            raise SourceIOError(error.errno or 0, f"{self._c.music_source_dir}: {error.strerror}") from error

    def counters(self) -> Counters:
        """Returns how much is in memory, and how much work was done."""
        return Counters(
            len(self._inodes), len(self._tree), len(self._handles), self._tree.namer.evaluations, self._telling.told
        )  # fmt: skip

    def close(self) -> None:
        """Closes what is still open. Nothing may be asked afterwards."""
        self._telling.end()
        self._handles.clear()
        self._listings.clear()

    def _discard(self, keys: Sequence[Key]) -> None:
        self._tree.discard(keys, self._inodes.has)
        self._forgetting.discard(keys)

    def _directory(self, inode: int) -> DirectoryNode:
        node = self._inodes.get(inode).node
        if not isinstance(node, DirectoryNode):
            raise NotADirectoryFsError(f"{node.key} is a file")
        return node

    def _shown(self, directory: Key) -> Listing:
        """Returns what a directory lists now. Raises NoEntryError if it is gone."""
        listing = self._tree.directory(directory).entries()
        return self._overlay.shown(directory, listing, self._release_of(directory))

    def _parent(self, directory: DirectoryNode) -> Node:
        """Returns the directory that lists a directory. Raises NoEntryError if it is gone."""
        return self._tree.parent(directory)

    def _find(self, directory: DirectoryNode, name: bytes) -> Node:
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise NoEntryError(os.fsdecode(name)) from None
        written = self._overlay.written(self._release_of(directory.key)).get(text)
        found = self._tree.directory(directory.key).find(text) if written is None else self._known(written)
        if found is None or self._overlay.is_hidden(directory.key, found.key):
            raise NoEntryError(text)
        return found if written is not None else self._tree.current(found)

    def _release_of(self, directory: Key) -> str:
        """Returns the release whose files a directory shows, or an empty text."""
        return directory.id if place_of(directory) in _OF_RELEASE else ""

    def _known(self, written: FileNode) -> Node:
        """Returns what was just written, as the cache knows it if it does."""
        listing = self._tree.directory(Key("releases", "", written.release_id)).entries()
        for node in listing.names.values():
            if isinstance(node, FileNode) and node.path == written.path:
                return node
        return written

    def _fresh(self, node: Node) -> Node:
        """Returns a node as it is now. Raises NoEntryError if it is gone."""
        overlaid = self._overlay.resolve(node.key)
        if overlaid is None:
            return self._tree.current(node)
        if overlaid.key == node.key and isinstance(overlaid, FileNode):
            return self._known(overlaid)
        return self._tree.current(overlaid)

    def _current(self, number: int) -> Inode:
        inode = self._inodes.get(number)
        if not self._tree.is_current(inode.node):
            try:
                inode.node = self._fresh(inode.node)
            except NoEntryError:
                if not inode.opens:  # a file that is open has attributes as long as it is
                    raise
        return inode

    def _open(self, node: FileNode) -> Content:
        if node.content is not None:
            return GeneratedContent(node.content)
        try:
            content = SourceContent(node.path, self._handles.disks)
        except NoEntryError:
            # Renamed since the cache was read; it may know better by now. Once, then it is gone.
            self._freshness.look()
            fresh = self._tree.current(node)
            if not isinstance(fresh, FileNode) or fresh.path == node.path:
                raise
            node = fresh
            content = SourceContent(node.path, self._handles.disks)
        if content.is_like(node):
            self._found.pop(node.key, None)
        else:
            self._found[node.key] = FileNode(
                node.key, node.release_id, content.mtime, self._tree.versions.generation,
                size=content.size, path=node.path,
            )  # fmt: skip
        return content

    @cached_property
    def _looks(self) -> Looks:
        return Looks(self._appearance, writable=self.writable)

    def _attributes(self, inode: Inode, *, keep_name: bool = False) -> Attributes:
        node = inode.node
        keep = self._tree.versions.is_current(node.release_id, node.generation)
        if not isinstance(node, FileNode):
            inode.newest = max(inode.newest, node.mtime)
            return self._looks.directory(inode.number, inode.newest, keep_name, keep)
        found = self._found.get(node.key) if self._found else None
        if found is not None and self._tree.is_current(found):
            node = found
        size, mtime = node.size, node.mtime
        if inode.draft is not None and (shown := inode.draft.shown()) is not None:
            (size, mtime), keep = shown, False
        if node.key.space == PLAYLIST_M3U8:
            keep = keep and not self._tree.directory(playlist_of(node.key)).is_held
        mode = self._looks.file_mode if node.content is None else self._looks.generated_mode
        return self._looks.file(inode.number, mode, size, mtime, keep_name, keep)
