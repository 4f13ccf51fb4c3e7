"""The kinds of directories that show what matchers find: searches, smart collages and smart playlists.

What is in them follows from the tags alone, so nothing is ever put into or taken out of them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from rosecache.config import Config
from rosecache.model import File, Track
from rosecache.names import safe_name
from rosefs.rules.smart import tracks_of
from rosefs.vfs.building import Built
from rosefs.vfs.contents import PlaylistDirectory, ReleasesDirectory, ValuesDirectory, newest_of_any
from rosefs.vfs.names import Follower
from rosefs.vfs.nodes import SEARCH, SMART_LISTS, DirectoryNode, Key, Node
from rosefs.vfs.searching import find_search, find_smart, is_typed

log = logging.getLogger(__name__)


def search_node(c: Config, key: Key, generation: int) -> Node:
    """Returns the directory of a search."""
    return DirectoryNode(key, "", newest_of_any(c), generation)


class ListsDirectory(ValuesDirectory):
    """A view that shows smart lists, beside the lists that there are: Collages, Playlists, Search."""

    __slots__ = ()

    def build(self, generation: int) -> Built:
        c, kind = self.context.c, self.view.smart
        lists = super().build(generation).candidates
        smart = [each.name for each in self.context.smart if each.kind == kind]
        space = next((space for space, view in SMART_LISTS.items() if view == self.key.space), SEARCH)
        newest = newest_of_any(c) if smart else 0
        names = {each.wanted for each in lists}
        followers = []
        for value in smart:
            name = safe_name(value, max_bytes=c.max_filename_bytes)
            if name in names and self._listing is None:
                log.info(
                    "the smart %s %r is shown under another name, as there is one of this name", kind, name
                )

            def wanted(_: Mapping[Key, str], name: str = name) -> str:
                return name

            followers.append(
                Follower(wanted, value, DirectoryNode(Key(space, value, ""), "", newest, generation))
            )
        return Built(lists, followers=followers)

    def _still_bound(self, present: Collection[Key]) -> dict[str, Key]:
        """Returns the names that nothing else gets, but for those of smart lists: a list takes them away."""
        bound = super()._still_bound(present)
        return {name: key for name, key in bound.items() if key.space not in SMART_LISTS}

    def find(self, name: str) -> Node | None:
        return _find_search(self, name) or super().find(name)


class SearchDirectory(ReleasesDirectory):
    """The releases that a search finds; a matcher as a name leads to those of them that it finds too."""

    __slots__ = ()

    @property
    def remembers_names(self) -> bool:
        return not is_typed(self.key) and super().remembers_names

    def find(self, name: str) -> Node | None:
        return _find_search(self, name) or super().find(name)


def _find_search(directory: ListsDirectory | SearchDirectory, name: str) -> Node | None:
    key = find_search(directory.key, name)
    generation = directory.context.versions.generation
    return None if key is None else search_node(directory.context.c, key, generation)


class SmartPlaylistDirectory(PlaylistDirectory):
    """The tracks that a matcher finds, and a generated list of them."""

    __slots__ = ()

    def content(self) -> tuple[int, Sequence[Track], File | None]:
        smart = find_smart(self.context.smart, "playlist", self.key.value)
        return 0, tracks_of(self.context.c, smart), None
