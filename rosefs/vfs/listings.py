"""Reading a directory piece by piece, by programs for which nothing is opened.

Entries have places that they keep in later listings. So reading can go on after any place, also when what was there
has been removed meanwhile, as it is by ``rm -r``: what stays is given to a program exactly once. What is kept here is
a help only.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rosefs.vfs.nodes import Key, Node

if TYPE_CHECKING:
    from rosefs.vfs.directories import Listing

HERE = 1
"""The place of a directory itself in what it lists, as ``.``, before everything else."""

_GAP = 1 << 32
"""Between the places of two entries, for others to come between them."""

_MOST = 64
"""How many directories may be read at once without listing any of them twice."""


def new_places(number: int) -> Sequence[int]:
    """Returns places for entries of which nobody has read any."""
    return array("q", range(_GAP, (number + 1) * _GAP, _GAP))


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
        rows: The same, for access by number.
        keeps: The kernel may keep what it was given of this directory so far.
    """

    __slots__ = ("directory", "keeps", "listing", "rows")

    def __init__(self, directory: Key, listing: Listing) -> None:
        self.directory = directory
        self.listing = listing
        self.rows = list(listing.names.items())
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
