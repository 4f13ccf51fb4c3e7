"""The tree: every directory that is in use, and what a change in the cache means for them.

Knows how to find the directory of a key, how to bring a node up to date, and which listings a change may
have touched. It knows no inode numbers and no handles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

import rosecache
from rosecache.changes import Changes
from rosecache.config import Config
from rosefs.settings import VfsSettings
from rosefs.vfs.contents import make_directory
from rosefs.vfs.directories import Context, Directory
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.fetching import fetch_file_node, fetch_release_node
from rosefs.vfs.freshness import Versions
from rosefs.vfs.names import Namer
from rosefs.vfs.nodes import (
    ALL_TRACKS,
    PLAYLIST_COVER,
    PLAYLIST_M3U8,
    ROOT_KEY,
    DirectoryNode,
    Key,
    Node,
)
from rosefs.vfs.views import VIEWS

_MANY = 500
"""From so many changed releases at once on, everything is dropped instead of asking for each."""


class Tree:
    """The directories of a mount. Safe to use from several threads at once.

    Attributes:
        namer: Makes the names, and counts its work.
        versions: What of the cache has been seen.
    """

    def __init__(
        self, c: Config, settings: VfsSettings, clock: Callable[[], float], top: Key = ROOT_KEY
    ) -> None:
        self._c = c
        self.namer = Namer(c)
        self.versions = Versions()
        self._context = Context(c, settings, self.namer, self.versions, clock)
        self._directories: dict[Key, Directory] = {}
        self._replacing = threading.Lock()
        self.root = DirectoryNode(top, "", 0, 0)

    def __len__(self) -> int:
        return len(self._directories)

    def directory(self, key: Key) -> Directory:
        """Returns the directory of a key; whether it exists shows when it is asked."""
        found = self._directories.get(key)
        if found is None or found.context is not self._context:
            with self._replacing:
                found = self._directories.get(key)
                if found is None or found.context is not self._context:
                    found = self._directories[key] = make_directory(key, self._context)
        return found

    def reconfigure(self, c: Config, settings: VfsSettings) -> None:
        """Names and lists everything by other settings from now on; the cache has to be the same."""
        self.namer = Namer(c)
        self._context = replace(self._context, c=c, settings=settings, namer=self.namer)

    def is_ready(self, key: Key) -> bool:
        """Tells whether a directory's listing is there already."""
        directory = self._directories.get(key)
        return directory is not None and directory.context is self._context and directory.is_ready

    def is_current(self, node: Node) -> bool:
        """Tells whether nothing has changed that a node depends on."""
        return self.versions.is_current(node.release_id, node.generation)

    def current(self, node: Node) -> Node:
        """Returns a node as it is now. Raises NoEntryError if it is gone."""
        if self.is_current(node):
            return node
        fresh = self._fetch(node)
        if fresh is None:
            raise NoEntryError(f"{node.key} is gone")
        return fresh

    def listed(self, node: Node) -> Node:
        """Returns a node for a line of a listing: as it is now, if that takes no query for it alone."""
        if node.release_id or self.is_current(node):
            return node
        try:
            return self.current(node)
        except NoEntryError:
            return node

    def parent(self, node: Node) -> Node:
        """Returns the directory that lists a directory; the top one for itself. Raises NoEntryError if it is gone."""
        key = node.key if node.key == self.root.key else node.key.parent
        return self.current(DirectoryNode(key, "", 0, 0))

    def discard(self, keys: Iterable[Key]) -> None:
        """Lets go of directories that nobody knows any more, but for names that have to work still."""
        for key in keys:
            directory = self._directories.get(key)
            if directory is not None and not directory.remembers_names:
                self._directories.pop(key, None)

    def bound(self, name: str) -> set[Key]:
        """Returns what a name leads to in any directory that was looked at."""
        found = (directory.bound(name) for directory in list(self._directories.values()))
        return {key for key in found if key is not None}

    def apply(self, changes: Changes) -> None:
        """Drops the listings that changes may have touched."""
        ids = {change.id for change in changes.changes if change.kind == "release"}
        if changes.resync or len(ids) > _MANY:
            self.versions.resync()
            for directory in list(self._directories.values()):
                directory.drop()
            return
        self.versions.advance(ids)
        touched = {
            (f"{change.kind}s", change.id.casefold())
            for change in changes.changes
            if change.kind != "release"
        }
        # What a release was shown under lists it as a member; here is what it is shown under now. Without
        # regard to case, as genres find their parents.
        for release in rosecache.list_releases(self._c, ids) if ids else ():
            for view in VIEWS.values():
                touched |= {(view.key, value.casefold()) for value in view.values_of(release)}
        for directory in list(self._directories.values()):
            if self._is_touched(directory, ids, touched):
                directory.drop()

    def _is_touched(self, directory: Directory, ids: set[str], touched: set[tuple[str, str]]) -> bool:
        key = directory.key
        if key == ROOT_KEY or (not key.value and VIEWS[key.space].values is not None):
            return True
        if directory.is_made_from(ids):
            return True
        is_release = bool(key.entity) and key.entity != ALL_TRACKS
        return not is_release and (key.space, key.value.casefold()) in touched

    def _fetch(self, node: Node) -> Node | None:
        key, generation = node.key, self.versions.generation
        if not isinstance(node, DirectoryNode):
            if key.space in (PLAYLIST_COVER, PLAYLIST_M3U8):
                return self.directory(Key("playlists", key.value, "")).find_key(key)
            return fetch_file_node(self._c, key, generation)
        if key == ROOT_KEY:
            return DirectoryNode(key, "", self.directory(key).entries().newest, generation)
        if key.entity == ALL_TRACKS:
            return DirectoryNode(key, "", self.parent(node).mtime, generation)
        if key.entity:
            return fetch_release_node(self._c, key, generation)
        return self.directory(key.parent).find_key(key)
