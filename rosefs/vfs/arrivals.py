"""The releases that programs fill: which there are, and what the names and keys in them stand for.

Each is shown in Releases as the disk has it. When it is complete, its files are those of a release of the library,
and its names go on leading to them for two hours. When that is, and what has to be done for it, is ``completing``'s
business.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rosefs.library.arrivals import Arriving
from rosefs.vfs.arriving import NEVER_CURRENT, Arrival, Entry, Folder, State
from rosefs.vfs.errors import ExistsError, NoEntryError
from rosefs.vfs.listings import Listing
from rosefs.vfs.names import RETIRED_SECONDS
from rosefs.vfs.nodes import ARRIVAL, DirectoryNode, Key, Node

RELEASES = Key("releases", "", "")
"""The directory that arrivals are shown in."""


class Arrivals:
    """All arrivals of a mount. Safe to use from several threads at once.

    Attributes:
        left_alone: Called with an arrival when nobody has anything of it open any more, or changes it.
    """

    def __init__(self, clock: Callable[[], float], current: Callable[[Node], Node]) -> None:
        """``current`` brings a node of the library up to date, and raises NoEntryError if it is gone."""
        self._clock = clock
        self._current = current
        self._lock = threading.Lock()
        self._by_token: dict[str, Arrival] = {}
        self._shown: dict[str, Arrival] = {}
        self._by_release: dict[Key, Arrival] = {}
        self.left_alone: Callable[[Arrival], None] = lambda arrival: None

    def __iter__(self) -> Iterator[Arrival]:
        return iter(list(self._shown.values()))

    def add(self, name: str, on_disk: Arriving) -> Arrival:
        """Shows a directory on the disk under a name. Raises ExistsError if another one has that name."""
        arrival = Arrival(name, on_disk, self._clock())
        with self._lock:
            now = self._clock()
            for old in [each for each in self._by_token.values() if each.state is State.DONE]:
                if old.until <= now:
                    del self._by_token[old.token]
                    if old.root.became is not None:
                        self._by_release.pop(old.root.became.key, None)
            if name in self._shown:
                raise ExistsError(name)
            self._by_token[arrival.token] = self._shown[name] = arrival
        return arrival

    def rename(self, arrival: Arrival, name: str) -> None:
        """Shows an arrival under another name."""
        with self._lock:
            self._shown.pop(arrival.name, None)
            arrival.name = name
            self._shown[name] = arrival

    def end(self, arrival: Arrival, *, lasting: bool) -> None:
        """Shows an arrival no more; ``lasting``: its names still lead to what it became."""
        arrival.until = self._clock() + RETIRED_SECONDS if lasting else 0.0
        with self._lock:
            if self._shown.get(arrival.name) is arrival:
                del self._shown[arrival.name]
            if arrival.root.became is not None:
                self._by_release[arrival.root.became.key] = arrival
        with arrival.lock:
            arrival.state = State.DONE
            arrival.on_disk.close()
            arrival.lock.notify_all()

    # Looking --------------------------------------------------------------------------------------------

    def shows_some_in(self, directory: Key) -> bool:
        """Tells whether there are arrivals in a directory, about which only the disk can tell."""
        return directory == RELEASES and bool(self._shown)

    def of(self, key: Key) -> Arrival:
        """Returns the arrival of a key. Raises NoEntryError if there is none any more."""
        arrival = self._by_token.get(key.value)
        if arrival is None or (arrival.state is State.DONE and arrival.until <= self._clock()):
            raise NoEntryError(f"{key} is gone")
        return arrival

    def entry(self, key: Key) -> tuple[Arrival, Entry]:
        """Returns what a key stands for. Raises NoEntryError if it is gone."""
        arrival = self.of(key)
        entry = arrival.entries.get(key)
        if entry is None:
            raise NoEntryError(f"{key} is gone")
        return arrival, entry

    def node(self, key: Key) -> Node:
        """Returns what a key stands for, as it is now, or what it became. Raises NoEntryError."""
        arrival, entry = self.entry(key)
        return self._as_it_is(arrival.node_of(entry))

    def _as_it_is(self, node: Node) -> Node:
        return node if node.key.space == ARRIVAL else self._current(node)

    def parent(self, key: Key) -> Node:
        """Returns the directory that a directory of an arrival is in. Raises NoEntryError."""
        _, entry = self.entry(key)
        if entry.folder is None:
            return self._current(DirectoryNode(RELEASES, "", 0, 0))
        return self.node(entry.folder.key)

    def find(self, directory: Key, name: str) -> Node | None:
        """Returns what a name of an arrival leads to; None if there is none of the name in a directory."""
        found: Entry | None = None
        if directory == RELEASES:
            arrival = self._named(name)
            found = None if arrival is None else arrival.root
        elif directory.space == ARRIVAL:
            arrival, folder = self.entry(directory)
            found = folder.find(name) if isinstance(folder, Folder) else None
        else:
            arrival = self._by_release.get(directory)
            if arrival is None or arrival.until <= self._clock():
                return None
            found = arrival.root.find(name)
            if not isinstance(found, Folder):
                return None  # files are found by the release itself
        if arrival is None or found is None:
            return None
        try:
            return self._as_it_is(arrival.node_of(found))
        except NoEntryError:
            return None

    def listing(self, key: Key) -> Listing:
        """Returns what a directory of an arrival lists now. Raises NoEntryError."""
        arrival, folder = self.entry(key)
        names: dict[str, Node] = {}
        with arrival.lock:
            if isinstance(folder, Folder) and folder.exists:
                for name, entry in folder.children.items():
                    try:
                        names[name] = self._as_it_is(arrival.node_of(entry))
                    except NoEntryError:
                        continue
        return Listing(names, (), NEVER_CURRENT)

    def shown(self, directory: Key, listing: Listing) -> Listing:
        """Returns a listing with the arrivals that are shown there."""
        if directory != RELEASES or not self._shown:
            return listing
        names: dict[str, Node] = dict(listing.names)
        for arrival in self:
            try:
                names.setdefault(arrival.name, arrival.node_of(arrival.root))
            except NoEntryError:
                continue
        return Listing(names, listing.members, listing.generation, before=listing)

    def _named(self, name: str) -> Arrival | None:
        found = self._shown.get(name)
        if found is None and not name.isascii():
            composed = unicodedata.normalize("NFC", name)
            found = next((each for each in self if unicodedata.normalize("NFC", each.name) == composed), None)
        return found

    # Using ----------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self, key: Key) -> Iterator[None]:
        """Has an arrival not completed while the block changes something in it; waits while it is being completed.

        Afterwards it may be done: what the key stands for has to be looked at inside. Does nothing for other keys.
        """
        if key.space != ARRIVAL:
            yield
            return
        arrival = self.of(key)
        with arrival.lock:
            arrival.lock.wait_for(lambda: arrival.state is not State.COMPLETING)
            arrival.busy += 1
        try:
            yield
        finally:
            with arrival.lock:
                arrival.busy -= 1
            self._touch(arrival)

    def opened(self, arrival: Arrival) -> None:
        """Counts something that is open."""
        with arrival.lock:
            arrival.handles += 1

    def closed(self, arrival: Arrival) -> None:
        """Takes back :meth:`opened`."""
        with arrival.lock:
            arrival.handles -= 1
        self._touch(arrival)

    def _touch(self, arrival: Arrival) -> None:
        arrival.touched = self._clock()
        if arrival.state is State.OPEN and not arrival.handles and not arrival.busy:
            self.left_alone(arrival)
