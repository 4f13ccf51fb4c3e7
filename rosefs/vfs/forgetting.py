"""What the kernel may remember, and what it must forget when the tree changes.

The kernel keeps what it was told for an hour. A name goes on leading to its thing after a retag, so what has to be
forgotten is little: names of what is gone, names that lead to something else, names that were not there when it
asked, and attributes. Finds that out, and leaves the telling to ``telling``; runs in the threads of that.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Collection, Container, Iterable

from rosecache.errors import RosecacheError
from rosefs.vfs.directories import Directory
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.inodes import Inode, Inodes
from rosefs.vfs.listings import Listing
from rosefs.vfs.nodes import (
    PLAYLIST_COVER,
    PLAYLIST_M3U8,
    ROOT_KEY,
    SMART_COLLAGES,
    SMART_LISTS,
    FileNode,
    Key,
    Node,
    playlist_of,
)
from rosefs.vfs.searching import is_typed, leads_for_good
from rosefs.vfs.telling import Telling
from rosefs.vfs.tree import Dropped, Tree
from rosefs.vfs.views import SPACES

log = logging.getLogger(__name__)

_WITHOUT_KEPT_ABSENCE = ("collages", "playlists", *SMART_LISTS)
"""Views where names come by number: the kernel asks for those that are not there every time."""

_MAX_ABSENT = 1000
"""How many absent names of one directory are noted; the kernel asks for more of them every time."""


_MAX_SEARCHES = 256
"""How many searches that somebody typed the kernel may remember: anybody can make up any number of them."""


class Forgetting:
    """What the kernel was told and must forget. Safe to use from several threads at once."""

    def __init__(self, tree: Tree, inodes: Inodes, telling: Telling) -> None:
        self._tree = tree
        self._inodes = inodes
        self._telling = telling
        self._lock = threading.Lock()
        self._absent: dict[Key, set[bytes]] = {}
        # Directories that matchers in paths make, with where and what the kernel knows them as; the oldest first.
        self._searches: dict[Key, tuple[Key, bytes]] = {}

    # What the kernel may keep ---------------------------------------------------------------------------

    def may_keep_absence(self, directory: Key, name: bytes) -> bool:
        """Tells whether the kernel may remember that a name is not there, and takes note that it does."""
        if directory.space in _WITHOUT_KEPT_ABSENCE or not _names_last(directory):
            return False
        try:
            text = unicodedata.normalize("NFC", name.decode())
        except UnicodeDecodeError:
            return True  # nothing ever has such a name
        if leads_for_good(directory, text):
            return True  # a matcher that is none
        with self._lock:
            noted = self._absent.setdefault(directory, set())
            if len(noted) >= _MAX_ABSENT:
                return False
            # First the note, then the look: who drops the listing looks for notes afterwards.
            noted.add(name)
        return self._tree.directory(directory).bound_now(text) == (None, True)

    def may_keep_name(self, inode: Inode, parent: Inode, name: bytes) -> bool:
        """Tells whether the kernel may remember where a name leads: not if it does so for a moment only.

        Nor if it is another form of what is listed, as only listed names are known when they end.
        """
        directory = parent.node.key
        if parent.is_renamed or not _names_last(directory):
            return False
        text = os.fsdecode(name)
        if leads_for_good(directory, text):
            return True
        return self._tree.directory(directory).bound_now(text) == (inode.node.key, True)

    def may_keep_names(self, directory: Key) -> bool:
        """Tells whether the kernel may remember names of what a directory lists, if nothing has changed since."""
        return _names_last(directory)

    def is_current(self, parent: Inode, listing: Listing) -> bool:
        """Tells whether a directory lists this as long as nothing changes: not what is old, or shown for a moment."""
        directory = parent.node.key
        if parent.is_renamed or _is_filled(directory):
            return False
        return self._tree.directory(directory).is_current(listing)

    def limit_searches(self, key: Key, directory: Key, name: bytes) -> None:
        """Takes note of a search that was looked up, and has the kernel let go of the oldest if there are too many."""
        if not is_typed(key) or key.entity:
            return
        with self._lock:
            self._searches.pop(key, None)
            self._searches[key] = (directory, name)
            if len(self._searches) <= _MAX_SEARCHES:
                return
            oldest = next(iter(self._searches))
            directory, name = self._searches.pop(oldest)
        self._tell(directory, [name])

    def discard(self, directories: Iterable[Key]) -> None:
        """Lets go of directories that the kernel does not know any more."""
        with self._lock:
            for directory in directories:
                if not self._inodes.has(directory):  # it may have been looked up again by now
                    self._absent.pop(directory, None)
                    self._searches.pop(directory, None)

    # Listings -------------------------------------------------------------------------------------------

    def listing(self, directory: Key) -> None:
        """Forgets what a directory lists."""
        number = self._number(directory)
        if number is not None:
            self._telling.listing(number)

    def shown_otherwise(self, directory: Key | None, release_id: str) -> None:
        """Forgets what a directory lists, or every one in which files of a release are, as it does not for a moment."""
        if directory is not None:
            self.listing(directory)
            return
        for each in self._tree.directories():
            if each.is_made_from({release_id}):
                self.listing(each.key)

    # Names ----------------------------------------------------------------------------------------------

    def listed(self, directory: Key, lost: Collection[str], names: Container[str]) -> None:
        """Forgets what a new listing changed: names that do not lead where they did, and names that are new."""
        with self._lock:
            noted = self._absent.get(directory, set())
            found = {name for name in noted if unicodedata.normalize("NFC", name.decode()) in names}
            noted -= found
        if found or lost:
            self._tell(directory, [*found, *map(os.fsencode, lost)])

    def name(self, directory: Key, name: str) -> None:
        """Forgets a name in a directory."""
        self._tell(directory, [os.fsencode(name)])

    def name_elsewhere(self, directory: Key, name: str) -> None:
        """Forgets a name in a release's other directories."""
        for other in self._tree.of_release(directory.id) if directory.entity else ():
            if other.key != directory:
                self._tell(other.key, [os.fsencode(name)])

    def names_of(self, node: Node) -> None:
        """Forgets all names of a file of a release."""
        if not self._telling.is_connected or not node.release_id:
            return
        for directory in self._tree.showing(node.release_id):
            self._tell(directory.key, map(os.fsencode, directory.names_of(node.key)))

    def names_in(self, directory: Key) -> None:
        """Forgets all names in a directory."""
        self._tell(directory, map(os.fsencode, self._tree.directory(directory).leading(None)))

    # Changes --------------------------------------------------------------------------------------------

    def after(self, dropped: Dropped) -> None:
        """Finds out what the kernel must forget after a change: everything, if the cache cannot say."""
        try:
            self._forget_after(dropped)
        except (RosecacheError, sqlite3.Error, OSError) as error:
            log.warning(
                "the kernel is to forget everything, as the cache does not say what changed: %s", error
            )
            self._forget_everything()

    def _forget_after(self, dropped: Dropped) -> None:
        if dropped.ids is None:
            self._forget_absent()
        for directory in dropped.directories:
            self._forget_names(directory, dropped)
        for inode in self._inodes.known():
            if isinstance(inode.node, FileNode):
                if self._is_of(inode.node, dropped):
                    # While it is open the pages are those of the opened file, and are dropped at the next opening.
                    tell = self._telling.attributes if inode.opens else self._telling.pages
                    tell(inode.number)
            elif self._has_changed(inode, dropped):
                self._telling.attributes(inode.number)

    def _forget_everything(self) -> None:
        self._forget_absent()
        for directory in self._tree.directories():
            self.names_in(directory.key)
        for inode in self._inodes.known():
            tell = self._telling.attributes if inode.opens else self._telling.pages
            tell(inode.number)

    def _forget_absent(self) -> None:
        with self._lock:
            absent, self._absent = self._absent, {}
        for key, names in absent.items():
            self._tell(key, names)

    def _forget_names(self, directory: Directory, dropped: Dropped) -> None:
        key = directory.key
        with self._lock:
            absent = self._absent.pop(key, set())
        if not _names_last(key) or self._number(key) is None:
            return
        lost = map(os.fsencode, directory.lost(dropped.ids))
        if absent and directory.is_ready:
            missing = {name for name in absent if directory.find(name.decode()) is None}
            absent -= missing
            with self._lock:
                self._absent.setdefault(key, set()).update(missing)
        self._tell(key, [*lost, *absent])

    def _is_of(self, node: Node, dropped: Dropped) -> bool:
        """Tells whether a file may be another one now."""
        if node.key.space in (PLAYLIST_COVER, PLAYLIST_M3U8):
            return dropped.ids is None or playlist_of(node.key) in dropped.keys
        return dropped.ids is None or node.release_id in dropped.ids

    def _has_changed(self, inode: Inode, dropped: Dropped) -> bool:
        """Tells whether a directory may have another time now."""
        node = inode.node
        if dropped.ids is None or node.release_id in dropped.ids:
            return True
        if node.release_id or (node.key != ROOT_KEY and node.key.space not in SPACES):
            return False
        try:
            return self._tree.current(node).mtime > inode.newest
        except NoEntryError:
            return True

    def _tell(self, directory: Key, names: Iterable[bytes]) -> None:
        number = self._number(directory)
        if number is not None and _names_last(directory):
            self._telling.entries(number, names)

    def _number(self, directory: Key) -> int | None:
        """Returns the inode number of a directory that the kernel knows."""
        inode = self._inodes.find(directory)
        return inode.number if inode is not None and inode.lookups else None


def _names_last(directory: Key) -> bool:
    """Tells whether the kernel may remember names in a directory.

    Not in one that programs fill, and not in a smart collage: after any change it would have to be found out what that
    lists, or names of directories would be taken back, and with them what the files in these were called before.
    """
    return not _is_filled(directory) and (directory.space != SMART_COLLAGES or bool(directory.entity))


def _is_filled(directory: Key) -> bool:
    return directory != ROOT_KEY and directory.space not in SPACES
