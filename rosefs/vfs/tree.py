"""The tree: every directory that is in use, and what a change in the cache means for them.

Knows how to find the directory of a key, how to bring a node up to date, and which listings a change may
have touched. It knows no inode numbers and no handles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence, Set

import msgspec
from msgspec.structs import replace

import rosecache
from rosecache.changes import Changes
from rosecache.config import Config
from rosecache.query.rows import forget_decoded
from rosefs.rules.smart import Smart
from rosefs.settings import VfsSettings
from rosefs.vfs.contents import (
    PlaylistDirectory,
    ReleasesDirectory,
    RootDirectory,
    ValuesDirectory,
)
from rosefs.vfs.directories import Context, Directory, Relisted
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.fetching import fetch_file_node, fetch_release_node
from rosefs.vfs.freshness import Versions
from rosefs.vfs.listings import give_back_listings
from rosefs.vfs.names import Namer
from rosefs.vfs.nodes import (
    ALL_TRACKS,
    PLAYLIST_COVER,
    PLAYLIST_M3U8,
    ROOT_KEY,
    SEARCH,
    SMART_LISTS,
    DirectoryNode,
    Key,
    Node,
    playlist_of,
)
from rosefs.vfs.release_contents import AllTracksDirectory, ReleaseDirectory
from rosefs.vfs.searching import is_typed
from rosefs.vfs.smart_contents import ListsDirectory, SearchDirectory, SmartPlaylistDirectory, search_node
from rosefs.vfs.views import SPACES, VIEWS

_MANY = 500
"""From so many changed releases at once on, everything is dropped instead of asking for each."""

_FEW = 64
"""So many directories are not worth looking through."""


class Dropped(msgspec.Struct, frozen=True):
    """What a change made out of date.

    Attributes:
        ids: The releases that changed; None if anything may have.
        directories: Those whose listings are to be built anew.
        keys: Which ones these are.
    """

    ids: frozenset[str] | None
    directories: Sequence[Directory]
    keys: frozenset[Key]


def make_directory(key: Key, context: Context) -> Directory:
    """Returns the directory of a key."""
    if key == ROOT_KEY:
        return RootDirectory(key, context)
    view = SPACES[key.space]
    if not key.value and view.values is not None:
        return ListsDirectory(key, context) if view.smart is not None else ValuesDirectory(key, context)
    if key.entity:
        return (
            AllTracksDirectory(key, context) if key.entity == ALL_TRACKS else ReleaseDirectory(key, context)
        )
    kinds: dict[str, Callable[[Key, Context], Directory]] = {
        "playlists": PlaylistDirectory, "smart-playlists": SmartPlaylistDirectory, SEARCH: SearchDirectory,
    }  # fmt: skip
    return kinds.get(key.space, ReleasesDirectory)(key, context)


def _is_playlist(key: Key) -> bool:
    return bool(key.value) and SMART_LISTS.get(key.space, key.space) == "playlists"


def _files_of(key: Key) -> str:
    """Returns the release whose files a directory lists; of those that list files of many what stands for these."""
    return ALL_TRACKS if _is_playlist(key) else key.id


class Tree:
    """The directories of a mount. Safe to use from several threads at once.

    Attributes:
        namer: Makes the names, and counts its work.
        versions: What of the cache has been seen.
    """

    def __init__(
        self,
        c: Config,
        settings: VfsSettings,
        clock: Callable[[], float],
        relisted: Relisted,
        top: Key = ROOT_KEY,
        smart: Sequence[Smart] = (),
        closed_up: Callable[[Key], None] = lambda key: None,
    ) -> None:
        self._c = c
        self.namer = Namer(c)
        self.versions = Versions()
        self._context = Context(
            c, settings, self.namer, self.versions, clock, smart=smart, relisted=relisted, closed_up=closed_up
        )
        self._directories: dict[Key, Directory] = {}
        # Those that list files, by the release that they are of: in dictionaries, which take a third of what sets do.
        self._of_release: dict[str, dict[Key, None]] = {}
        self._replacing = threading.Lock()
        self._sweep_at = _FEW
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
                    if key.entity or _is_playlist(key):
                        self._of_release.setdefault(_files_of(key), {})[key] = None
        return found

    def directories(self) -> list[Directory]:
        """Returns all directories that are in use."""
        with self._replacing:
            return list(self._directories.values())

    def of_release(self, release_id: str) -> list[Directory]:
        """Returns the directories of a release that are in use, in all views."""
        with self._replacing:
            keys = self._of_release.get(release_id, ())
            return [self._directories[key] for key in keys]

    def showing(self, release_id: str) -> list[Directory]:
        """Returns the directories in use that may have the files of a release in them."""
        flat = (each for each in self.of_release(ALL_TRACKS) if each.is_made_from({release_id}))
        return [*self.of_release(release_id), *flat]

    def reconfigure(self, c: Config, settings: VfsSettings, smart: Sequence[Smart]) -> None:
        """Names and lists everything by other settings from now on; the cache has to be the same."""
        self.namer = Namer(c)
        self._context = replace(self._context, c=c, settings=settings, smart=smart, namer=self.namer)
        for directory in self.directories():
            self._context.relisted(directory.key, directory.leading(None), ())

    def is_cheap(self, key: Key, name: bytes) -> bool:
        """Tells whether a directory's listing is there already or takes a few short queries, or a name in it does."""
        if key != ROOT_KEY and key.space not in SPACES:
            return False  # programs fill it
        directory = self.directory(key)
        return directory.is_ready or (name != b"" and directory.finds_quickly(name)) or directory.is_short()

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

    def discard(self, keys: Iterable[Key], is_known: Callable[[Key], bool]) -> None:
        """Lets go of directories that nobody knows any more, but for names that have to work still.

        Those are asked again later, with those that were needed while nobody knew them: when there are twice as
        many directories as were left the last time.
        """
        for key in keys:
            self._remove_unless_remembering(key, is_known)
        if len(self._directories) > self._sweep_at:
            for key in list(self._directories):
                if (key.value or key.entity) and not is_known(key):
                    self._remove_unless_remembering(key, is_known)
            self._sweep_at = 2 * len(self._directories) + _FEW

    def shrink(self) -> None:
        """Gives back what is kept for directories that are gone."""
        with self._replacing:
            self._directories = dict(self._directories)
            self._of_release = dict(self._of_release)
        # What is kept to save work is small, but keeps pages on which there is nothing else any more.
        self.namer.forget()
        give_back_listings()
        forget_decoded()

    def _remove_unless_remembering(self, key: Key, is_known: Callable[[Key], bool]) -> None:
        directory = self._directories.get(key)
        if directory is None or directory.remembers_names or directory.is_held:
            return
        with self._replacing:
            self._directories.pop(key, None)
            # First away with it, then the look: who was told of it meanwhile may know names out of it.
            if is_known(key):
                self._directories[key] = directory
                return
            same = self._of_release.get(_files_of(key), {})
            same.pop(key, None)
            if not same:
                self._of_release.pop(_files_of(key), None)

    def bound(self, name: str) -> set[Key]:
        """Returns what a name leads to in any directory that was looked at."""
        found = (directory.bound(name) for directory in self.directories())
        return {key for key in found if key is not None}

    def apply(self, changes: Changes) -> Dropped:
        """Drops the listings that changes may have touched, and returns what that were."""
        ids = frozenset(change.id for change in changes.changes if change.kind == "release")
        if changes.resync or len(ids) > _MANY:
            self.versions.resync()
            return self._drop(None, self.directories())
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
        return self._drop(ids, [each for each in self.directories() if self._is_touched(each, ids, touched)])

    def _drop(self, ids: frozenset[str] | None, directories: Sequence[Directory]) -> Dropped:
        for directory in directories:
            directory.drop()
        return Dropped(ids, directories, frozenset(directory.key for directory in directories))

    def _is_touched(self, directory: Directory, ids: Set[str], touched: set[tuple[str, str]]) -> bool:
        key = directory.key
        if key == ROOT_KEY or (not key.value and SPACES[key.space].values is not None):
            return True
        if directory.is_made_from(ids):
            return True
        is_release = bool(key.entity) and key.entity != ALL_TRACKS
        is_of_any = bool(ids) and SPACES[key.space].of_any
        return not is_release and (is_of_any or (key.space, key.value.casefold()) in touched)

    def _fetch(self, node: Node) -> Node | None:
        key, generation = node.key, self.versions.generation
        if not isinstance(node, DirectoryNode):
            if key.space in (PLAYLIST_COVER, PLAYLIST_M3U8):
                return self.directory(playlist_of(key)).find_key(key)
            return fetch_file_node(self._c, key, generation)
        if key == ROOT_KEY:
            return DirectoryNode(key, "", self.directory(key).entries().newest, generation)
        if key.entity == ALL_TRACKS:
            return DirectoryNode(key, "", self.parent(node).mtime, generation)
        if key.entity:
            return fetch_release_node(self._c, key, generation)
        if is_typed(key):
            return search_node(self._c, key, generation) if self._has_first(key) else None
        return self.directory(key.parent).find_key(key)

    def _has_first(self, key: Key) -> bool:
        """Tells whether the first of the searches that a directory is in is there still: one of the configuration's."""
        first = Key(SEARCH, key.value.partition("/")[0], "")
        return is_typed(first) or self.directory(first.parent).find_key(first) is not None
