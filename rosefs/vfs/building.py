"""What directories are going to list, before it has its names there, and what several of them list alike."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rosefs.vfs.listings import Listing
from rosefs.vfs.names import Candidate, Follower
from rosefs.vfs.nodes import Key


class Columns(Collection[Candidate]):
    """Candidates that are kept for others to be listed: in three tuples, which take half of what they do."""

    __slots__ = ("_columns",)

    def __init__(self, candidates: Collection[Candidate]) -> None:
        self._columns = tuple(zip(*candidates, strict=True)) or ((), (), ())

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Candidate]:
        return map(Candidate, *self._columns)

    def __contains__(self, candidate: object) -> bool:
        return any(candidate == each for each in self)


@dataclass(slots=True, weakref_slot=True, eq=False)
class Built:
    """What a directory is going to list. ``members``: the releases that it is made from, by id."""

    candidates: Collection[Candidate]
    members: tuple[str, ...] = ()
    followers: Sequence[Follower] = ()
    complete: Callable[[Mapping[Key, str]], None] | None = None
    """Called with the names, for nodes whose content depends on them."""
    listing: Listing | None = None
    """What a directory lists of it where no name belongs to anything yet, for others to share."""


class Shared:
    """What several directories list alike, kept for as long as one of them has it.

    A release is in a directory of its own in every view that shows it, often under many values, and holds the same
    files in each. Safe to use from several threads at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: weakref.WeakValueDictionary[Hashable, Built] = weakref.WeakValueDictionary()

    def find(self, key: Hashable) -> Built | None:
        """Returns what is kept under a key."""
        with self._lock:
            return self._built.get(key)

    def keep(self, key: Hashable, built: Built) -> Built:
        """Keeps something under a key, which has to tell versions apart, and returns it."""
        built.candidates = Columns(built.candidates)
        with self._lock:
            self._built[key] = built
        return built
