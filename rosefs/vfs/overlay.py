"""What the tree shows differently from the cache for a moment: names just written, and names just removed.

A name that a program wrote works at once, also before the cache knows the file, or when it shows it under
another name; a name that was only hidden is away until its time is over. Nothing here touches a disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import msgspec

from rosefs.vfs.listings import Listing
from rosefs.vfs.names import RETIRED_SECONDS
from rosefs.vfs.nodes import FileNode, Key, Node

MOMENT = 10.0
"""Seconds for which a name just written works, or one just hidden is away."""


class _Written(msgspec.Struct):
    node: FileNode
    until: float


class Overlay:
    """Differences from the cache. Safe to use from several threads at once."""

    def __init__(self, clock: Callable[[], float], begun: Callable[[Key | None, str], None]) -> None:
        """Makes an empty one.

        Args:
            clock: Seconds, from any start.
            begun: Called when a directory begins to show something else, or, if it is None, those of a release do.
        """
        self._clock = clock
        self._begun = begun
        self._lock = threading.Lock()
        self._written: dict[str, dict[str, _Written]] = {}
        self._keys: dict[Key, tuple[str, str]] = {}
        self._hidden: dict[tuple[Key | None, Key], float] = {}
        self._renamed: dict[Key, tuple[Node, float]] = {}

    # Written --------------------------------------------------------------------------------------------

    def write(self, release_id: str, name: str, node: FileNode, *, lasting: bool = False) -> None:
        """Shows a file in the directories of a release; ``lasting``: until :meth:`settle` or :meth:`drop`."""
        until = float("inf") if lasting else self._clock() + MOMENT
        with self._lock:
            self._written.setdefault(release_id, {})[name] = _Written(node, until)
            self._keys[node.key] = (release_id, name)
            self._renamed.pop(node.key, None)
        self._begun(None, release_id)

    def settle(self, key: Key) -> None:
        """Lets a written name go a moment from now."""
        with self._lock:
            where = self._keys.get(key)
            if where is not None:
                self._written[where[0]][where[1]].until = self._clock() + MOMENT

    def drop(self, key: Key) -> None:
        """Lets a written name go now."""
        with self._lock:
            self._drop(key)

    def redirect(self, key: Key, node: Node) -> None:
        """Has what was known under a key be something else from now on, whose place it took."""
        now = self._clock()
        with self._lock:
            self._drop(key)
            for old in [old for old, (_, until) in self._renamed.items() if until <= now]:
                del self._renamed[old]
            self._renamed[key] = (node, now + RETIRED_SECONDS)

    def written(self, release_id: str) -> dict[str, FileNode]:
        """Returns the names written in a release, with their files."""
        now = self._clock()
        with self._lock:
            names = self._written.get(release_id)
            if not names:
                return {}
            for written in [written for written in names.values() if written.until <= now]:
                self._drop(written.node.key)
            return {name: written.node for name, written in names.items()}

    def resolve(self, key: Key) -> Node | None:
        """Returns what a key of something written, or renamed, stands for."""
        where = self._keys.get(key)
        if where is not None:
            return self.written(where[0]).get(where[1])
        renamed = self._renamed.get(key)
        return renamed[0] if renamed is not None else None

    # Hidden ---------------------------------------------------------------------------------------------

    def hide(self, directory: Key, key: Key) -> None:
        """Hides something in one directory for a moment."""
        self._hide(directory, key, MOMENT)
        self._begun(directory, "")

    def hide_everywhere(self, key: Key, release_id: str, seconds: float) -> None:
        """Hides a file of a release in all directories."""
        self._hide(None, key, seconds)
        self._begun(None, release_id)

    def _hide(self, directory: Key | None, key: Key, seconds: float) -> None:
        now = self._clock()
        with self._lock:
            for place in [place for place, until in self._hidden.items() if until <= now]:
                del self._hidden[place]
            self._hidden[directory, key] = now + seconds

    def unhide(self, directory: Key | None, keys: Iterable[Key] | None = None) -> None:
        """Shows again what is hidden in a directory: some of it, or all."""
        chosen = None if keys is None else set(keys)
        with self._lock:
            for place, key in list(self._hidden):
                if place == directory and (chosen is None or key in chosen):
                    del self._hidden[place, key]

    def is_hidden(self, directory: Key, key: Key) -> bool:
        """Tells whether something is hidden in a directory."""
        if not self._hidden:
            return False
        now = self._clock()
        return any(self._hidden.get((place, key), 0.0) > now for place in (directory, None))

    def differs(self, directory: Key, release_id: str) -> bool:
        """Tells whether anything in a directory is shown differently for a moment."""
        if release_id and self.written(release_id):
            return True
        now = self._clock()
        with self._lock:
            return any(
                place in (directory, None) and until > now for (place, _), until in self._hidden.items()
            )

    def shown(self, directory: Key, listing: Listing, release_id: str) -> Listing:
        """Returns a listing as it is to be shown: without what is hidden, with what was just written."""
        written = self.written(release_id) if release_id and self._written else {}
        if not written and not self._hidden:
            return listing
        names = {
            name: node for name, node in listing.names.items() if not self.is_hidden(directory, node.key)
        }
        paths = {node.path for node in listing.names.values() if isinstance(node, FileNode)}
        names.update(self._new_names(directory, written, names, paths))
        if names.keys() == listing.names.keys():
            return listing
        return Listing(names, listing.members, listing.generation, before=listing)

    def _new_names(
        self, directory: Key, written: dict[str, FileNode], names: dict[str, Node], paths: set[bytes]
    ) -> Iterator[tuple[str, Node]]:
        for name, node in written.items():
            if node.path not in paths and name not in names and not self.is_hidden(directory, node.key):
                yield name, node

    def _drop(self, key: Key) -> None:
        where = self._keys.pop(key, None)
        if where is not None:
            names = self._written.get(where[0], {})
            names.pop(where[1], None)
            if not names:
                self._written.pop(where[0], None)
