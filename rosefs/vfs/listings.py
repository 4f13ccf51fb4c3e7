"""What directories list, and reading it piece by piece, by programs for which nothing is opened.

Entries have places that they keep in later listings. So reading can go on after any place, also when what was there
has been removed meanwhile, as it is by ``rm -r``: what stays is given to a program exactly once. What is kept here is
a help only.
"""

from __future__ import annotations

import functools
import threading
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from rosefs.vfs.nodes import Key, Node

HERE = 1
"""The place of a directory itself in what it lists, as ``.``, before everything else."""

_GAP = 1 << 32
"""Between the places of two entries, for others to come between them."""

MOST_SPREAD = 256
"""How many listings have their names in dictionaries at once, in all trees of the process."""

_MOST = 64
"""How many directories may be read at once without listing any of them twice."""


Rows = tuple[tuple[str, ...], tuple["Node", ...]]
"""What a directory lists, in order: the names, and what each stands for. A fraction of what a dictionary takes."""


class Listing:
    """What a directory lists, in order; never changed once made.

    Most listings are made for a program that looks through everything once, and are kept for what the kernel has to be
    told of them later. So only those used last have a dictionary, which is made again at need. Directories that list
    the same may share one.

    Attributes:
        members: The releases that it is made from, by id.
        generation: When it was read, see ``freshness.Versions``.
    """

    __slots__ = (
        "__weakref__",
        "_by_key",
        "_names",
        "_names_by_key",
        "_places",
        "_rows",
        "generation",
        "members",
    )

    def __init__(
        self,
        names: dict[str, Node],
        members: tuple[str, ...],
        generation: int,
        *,
        before: Listing | None = None,
    ) -> None:
        """Makes one; ``before`` is what the directory listed until now, or lists but for a moment."""
        self._names: dict[str, Node] | None = names
        self._rows: Rows | None = None
        self.members = members
        self.generation = generation
        # Who has read what was listed before may read on here.
        self._places: Sequence[int] | None = (
            None if before is None or before._places is None else places_after(before, names)
        )
        self._by_key: dict[Key, Node] | None = None
        self._names_by_key: dict[Key, str] | None = None
        _used(self)

    @property
    def names(self) -> Mapping[str, Node]:
        """Names with what they stand for."""
        names = self._names
        if names is None:
            assert self._rows is not None
            names = self._names = dict(zip(*self._rows, strict=True))
            _used(self)
        return names

    def put_away(self) -> None:
        """Lets go of what can be made again of the rows."""
        self._rows = self.rows
        self._names = self._by_key = self._names_by_key = None

    @property
    def rows(self) -> Rows:
        """The names and what they stand for, in order."""
        rows = self._rows
        if rows is None:
            names = self.names
            rows = self._rows = (tuple(names), tuple(names.values()))
        return rows

    @property
    def places(self) -> Sequence[int]:
        """For each name a number that grows, and that what it stands for keeps in later listings."""
        if self._places is None:
            self._places = new_places(len(self.rows[0]))
        return self._places

    @property
    def by_key(self) -> Mapping[Key, Node]:
        """The nodes by key."""
        by_key = self._by_key
        if by_key is None:
            by_key = self._by_key = {node.key: node for node in self.names.values()}
        return by_key

    def name_of(self, key: Key) -> str | None:
        """Returns the name of what is listed under a key."""
        by_key = self._names_by_key
        if by_key is None:
            by_key = self._names_by_key = {node.key: name for name, node in self.names.items()}
        return by_key.get(key)

    @property
    def newest(self) -> int:
        """The newest time of what is listed, in nanoseconds; 0 if nothing is."""
        return max((node.mtime for node in self.rows[1]), default=0)


_used_last: deque[weakref.ref[Listing]] = deque()


def _used(listing: Listing) -> None:
    """Takes note that a listing has a dictionary, and puts away the oldest that has if there are too many."""
    _used_last.append(weakref.ref(listing))
    while len(_used_last) > MOST_SPREAD:
        with suppress(IndexError):  # another thread was faster
            oldest = _used_last.popleft()()
            if oldest is not None:
                oldest.put_away()


@functools.lru_cache(maxsize=1024)
def new_places(number: int) -> Sequence[int]:
    """Returns places for entries of which nobody has read any."""
    return range(_GAP, (number + 1) * _GAP, _GAP)


def give_back_listings() -> None:
    """Lets go of what was kept for listings that are gone: little, but a page of memory for each."""
    new_places.cache_clear()
    for _ in range(len(_used_last)):
        with suppress(IndexError):
            used = _used_last.popleft()
            if used() is not None:
                _used_last.append(used)


def places_after(before: Listing, names: Mapping[str, Node]) -> Sequence[int]:
    """Returns places for entries of which some have places already: these keep them, if their order is the same."""
    known = dict(zip((node.key for node in before.names.values()), before.places, strict=True))
    places, last = array("q"), HERE
    for node in names.values():
        place = known.get(node.key, 0)
        last = place if place > last else last + 1
        places.append(last)
    return places


class Piecemeal:
    """What a directory listed when a program began to read it.

    Attributes:
        directory: The directory.
        listing: What it listed.
        keeps: The kernel may keep what it was given of this directory so far.
    """

    __slots__ = ("directory", "keeps", "listing")

    def __init__(self, directory: Key, listing: Listing) -> None:
        self.directory = directory
        self.listing = listing
        self.keeps = True


class Listings:
    """The directories that are being read, by inode number. Safe to use from several threads at once.

    Two programs at one directory, and one that reads on when nothing is known of it any more, are given what the
    directory lists then, from the same place on.
    """

    def __init__(self, forget: Callable[[int], None]) -> None:
        """``forget`` has the kernel forget what it was given of a directory."""
        self._forget = forget
        self._lock = threading.Lock()
        self._reading: dict[int, Piecemeal] = {}

    def __len__(self) -> int:
        return len(self._reading)

    def find(self, inode: int) -> Piecemeal | None:
        """Returns what a directory listed for whoever began last to read it, and is not done."""
        return self._reading.get(inode)

    def begin(self, inode: int, directory: Key, listing: Listing) -> Piecemeal:
        """Takes note that a directory is being read."""
        begun = Piecemeal(directory, listing)
        abandoned: list[tuple[int, Piecemeal]] = []
        with self._lock:
            before = self._reading.pop(inode, None)
            # The kernel may go on with what another program has begun to read for it.
            begun.keeps = before is None or before.keeps
            while len(self._reading) >= _MOST:
                oldest = next(iter(self._reading))
                abandoned.append((oldest, self._reading.pop(oldest)))
            self._reading[inode] = begun
        for number, each in abandoned:
            if not each.keeps:
                self._forget(number)
        return begun

    def end(self, inode: int) -> None:
        """Takes note that a directory was read to its end, which is when the kernel begins to use what it kept."""
        with self._lock:
            ended = self._reading.pop(inode, None)
        if ended is not None and not ended.keeps:
            self._forget(inode)

    def clear(self) -> None:
        """Lets go of everything."""
        with self._lock:
            self._reading.clear()
