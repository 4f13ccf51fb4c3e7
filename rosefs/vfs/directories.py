"""Directories: what each lists, and how a name in it is found.

A directory is an object with a query. Its listing is built at the first use and kept until the change feed
says that it may be another one; names are found in it by one look into a dictionary. Only the cache is
asked, never the disk of the music. The kinds of directories are in ``contents``.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress

import msgspec

from rosecache.config import Config
from rosefs.rules.smart import Smart
from rosefs.settings import VfsSettings
from rosefs.vfs.building import Built, Shared
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.freshness import Versions
from rosefs.vfs.listings import Listing
from rosefs.vfs.names import NO_NAMES, RETIRED_SECONDS, Candidate, Namer, assign_names, unnumbered
from rosefs.vfs.nodes import ARRIVAL, Key, Node
from rosefs.vfs.turns import Turn, Turns

_NOTHING: dict[str, Node] = {}
"""What most directories found by name alone; never written to."""

Relisted = Callable[[Key, Collection[str], Container[str]], None]
"""Told of a directory, the names that do not lead where they did any more, and those that it lists now."""


def _tell_nobody(directory: Key, lost: Collection[str], names: Container[str]) -> None:
    pass


class Context(msgspec.Struct, frozen=True):
    """What every directory needs to build its listing."""

    c: Config
    settings: VfsSettings
    namer: Namer
    versions: Versions
    clock: Callable[[], float]
    """Seconds, from any start."""
    shared: Shared = msgspec.field(default_factory=Shared)
    turns: Turns = msgspec.field(default_factory=Turns)
    """Locks of directories."""
    smart: Sequence[Smart] = ()
    """What is listed by a matcher."""
    relisted: Relisted = _tell_nobody
    """Called when a directory is listed anew."""
    closed_up: Callable[[Key], None] = lambda directory: None
    """Called when a directory lists something else although nothing has changed in the cache."""


class Directory(ABC):
    """A directory of the tree. Safe to use from several threads at once.

    There are sixteen or so for each release that was looked at in all views, so they are small.
    """

    __slots__ = (
        "_dropped_at", "_held_until", "_listing", "_memory", "_single", "_single_from", "_valid_from", "context", "key"
    )  # fmt: skip

    extensions = False
    """What it lists are files, whose extensions stay at the end of their names."""
    reserves_lost = True
    """Nothing else gets the name of what is not listed any more."""
    most_single = 64
    """How many names are looked up one by one, before listing all of them costs less."""

    def __init__(self, key: Key, context: Context) -> None:
        self.key = key
        self.context = context
        self._listing: Listing | None = None
        # What was found by name while there is no listing, and as of which generation.
        self._single = _NOTHING
        self._single_from = 0
        self._valid_from = 0
        self._dropped_at = 0.0
        self._held_until = 0.0
        self._memory = NO_NAMES

    def _turn(self) -> Turn:
        return self.context.turns.of(self)

    @abstractmethod
    def build(self, generation: int) -> Built:
        """Asks the cache what there is to list.

        Raises:
            NoEntryError: What the directory is about is gone.
        """

    def look_up(self, name: str, generation: int) -> Sequence[Node] | None:
        """Returns what would be listed under a name, if anything; None if that takes the whole listing to know.

        Asked only as long as nothing was listed, and no name is kept for or from anything.
        """
        return None

    def survivors(self, keys: Collection[Key]) -> Collection[Key]:
        """Returns which of these, which are not listed any more, still exist: their names still work."""
        return ()

    def fetch(self, key: Key) -> Node | None:
        """Returns what is not listed any more but still has a name; None if it is gone."""
        return None

    @property
    def is_ready(self) -> bool:
        """Whether the listing is there, so that nothing needs to be asked."""
        return self._listing is not None and self._is_good(self._listing)

    def is_short(self) -> bool:
        """Tells whether to list it takes a few short queries, with one more of these at most to find that out."""
        return False

    def finds_quickly(self, name: bytes) -> bool:
        """Tells whether a name can be found without listing anything, by doing it; not while somebody lists."""
        if self._listing is not None or self.context.turns.is_taken(self):
            return False
        try:
            return self._find_single(name.decode()) is not None
        except UnicodeDecodeError:
            return True  # nothing ever has such a name

    @property
    def remembers_names(self) -> bool:
        """Whether there are names here that are not listed and still work."""
        return self._memory.has_any(self.context.clock())

    def is_current(self, listing: Listing) -> bool:
        """Tells whether nothing has changed since the directory listed this."""
        return self._listing is listing and listing.generation >= self._valid_from

    def leading(self, release_ids: Collection[str] | None) -> dict[str, Key]:
        """Returns the names that work, listed or not, of what belongs to releases, or of everything for None.

        Not those of what arrives, which nobody remembers.
        """
        names = {name: key for name, key in self._memory.all().items() if key.space != ARRIVAL}
        return names | {
            name: node.key
            for name, node in self._given.items()
            if release_ids is None or node.release_id in release_ids
        }

    @property
    def _given(self) -> Mapping[str, Node]:
        """The names that were given out, but for those that are in the memory only."""
        return self._single if self._listing is None else self._listing.names

    def names_of(self, key: Key) -> list[str]:
        """Returns the names that something has here, listed or not. Asks the cache nothing."""
        names = [name for name, owner in self._memory.all().items() if owner == key]
        if self._listing is None:
            return [*names, *(name for name, node in self._single.items() if node.key == key)]
        listed = self._listing.name_of(key)
        return names if listed is None else [*names, listed]

    def lost(self, release_ids: Collection[str] | None) -> Collection[str]:
        """Returns the names that lead nowhere any more after releases changed; None for any change.

        Directories that are cheap to list are listed anew instead, which tells more exactly what changed.
        """
        try:
            if self._listing is not None or self._single:
                self.entries()
        except NoEntryError:
            return self.leading(None)
        return ()

    def is_made_from(self, release_ids: Set[str]) -> bool:
        """Tells whether any of the releases is listed, or may be by a listing that is being built."""
        return self._listing is None or not release_ids.isdisjoint(self._listing.members)

    def bind(self, names: Mapping[str, Key], seconds: float) -> None:
        """Has names that are not listed lead to something for a while, and nothing else get them."""
        with self._turn():
            self._memory = self._memory.updated({}, names.items(), self.context.clock() + seconds)
            self.context.relisted(self.key, (), names)

    def has_equals(self, name: str) -> bool:
        """Tells whether anything else is listed that would have this name but for a number."""
        wanted = unnumbered(name)
        start = wanted.rpartition(".")[0] or wanted
        return any(
            each != name and each.startswith(start) and unnumbered(each) == wanted
            for each in self.entries().names
        )

    def close_up(self) -> None:
        """Gives names that were kept from others for a while to those who wait for them."""
        if self.is_held:
            return  # by a later gesture, after which it closes up
        with self._turn(), suppress(NoEntryError):  # when all of it is gone
            self._list_anew()
        self.context.closed_up(self.key)

    def unbind(self, name: str) -> None:
        """Takes back :meth:`bind`."""
        with self._turn():
            self._memory.release(name)
            self.context.relisted(self.key, (name,), ())

    def drop(self) -> None:
        """Has the listing built anew when it is needed again."""
        self._valid_from = self.context.versions.generation
        self._dropped_at = self.context.clock()

    @contextmanager
    def hold(self, seconds: float, *, without: Key) -> Iterator[None]:
        """Keeps the names as they are for a while, whatever changes, but for one thing that the block removes.

        For gestures of several operations: the names that the next one is about were listed before the first. If the
        block fails, everything is as it was.
        """
        self.entries()
        with self._turn():
            before, until = self._listing, self._held_until
            assert before is not None
            lost = self.names_of(without)
            names = {name: node for name, node in before.names.items() if node.key != without}
            held = self._listing = Listing(names, before.members, before.generation, before=before)
            self._held_until = self.context.clock() + seconds
        self.context.relisted(self.key, lost, names)
        try:
            yield
        except BaseException:
            with self._turn():
                if self._listing is held:
                    self._listing, self._held_until = before, until
            self.context.closed_up(self.key)  # it may have been read meanwhile
            raise

    def let_go(self) -> None:
        """Ends what :meth:`hold` began."""
        if self.is_held:
            self._held_until = 0.0
            self.close_up()

    @property
    def is_held(self) -> bool:
        """Whether the names are kept as they were, see :meth:`hold`."""
        return self.context.clock() < self._held_until

    def _is_good(self, listing: Listing) -> bool:
        return listing.generation >= self._valid_from or self.is_held

    def entries(self) -> Listing:
        """Returns the listing. Raises NoEntryError if what the directory is about is gone."""
        listing = self._listing
        if listing is not None and self._is_good(listing):
            return listing
        with self._turn():
            if self._listing is not None and self.is_ready:
                return self._listing
            return self._list_anew()

    def _list_anew(self) -> Listing:
        generation = self.context.versions.generation
        before = self.leading(None)
        listing = self._name(self.build(generation), generation)
        self._listing, self._single = listing, _NOTHING
        self.context.relisted(self.key, self._not_leading(before, listing), listing.names)
        if self.context.versions.generation != generation:
            # Something changed meanwhile. It may be in here or not: good for now, built anew next time.
            self.drop()
        return listing

    def find(self, name: str) -> Node | None:
        """Returns what a name stands for, also a retired one, and one in another form of Unicode."""
        if self._listing is None:
            single = self._find_single(name)
            if single is not None:
                return single[0] if single else None
        listing = self.entries()
        node = listing.names.get(name)
        if node is None and not name.isascii():
            name = unicodedata.normalize("NFC", name)
            node = listing.names.get(name)
        if node is None and self._memory:
            key = self._memory.find(name, self.context.clock())
            if key is not None:
                return listing.by_key.get(key) or self.fetch(key)
        return node

    def _find_single(self, name: str) -> Sequence[Node] | None:
        """Returns what a name stands for without listing anything; None if that cannot be told."""
        with self._turn():
            generation = self.context.versions.generation
            if self._listing is not None or self._memory:
                return None
            if not self._single:
                self._single, self._single_from = {}, generation
            elif self._single_from < self._valid_from:
                return None  # names that were given out may be others by now, and belong to what had them
            found: Sequence[Node] | None = ()
            for text in dict.fromkeys((name, unicodedata.normalize("NFC", name))):
                known = self._single.get(text)
                if known is None and len(self._single) >= self.most_single:
                    return None
                found = self.look_up(text, generation) if known is None else (known,)
                if found is None or self.context.versions.generation != generation:
                    return None
                if found:
                    self._single[text] = found[0]
                    break
            return found

    def bound(self, name: str) -> Key | None:
        """Returns what a name leads to that was listed here, now or up to two hours ago. Asks the cache nothing."""
        return self.bound_now(name)[0]

    def bound_now(self, name: str) -> tuple[Key | None, bool]:
        """Returns what :meth:`bound` does, and whether nothing has changed since that was listed."""
        listing, node = self._listing, self._given.get(name)
        key = self._memory.find(name, self.context.clock()) if node is None else node.key
        if listing is None:
            return key, 0 < self._single_from >= self._valid_from
        return key, self.is_current(listing)

    def find_key(self, key: Key) -> Node | None:
        """Returns what is listed under a key, or still has a retired name."""
        node = self.entries().by_key.get(key)
        if node is None and self._memory.holds(key, self.context.clock()):
            return self.fetch(key)
        return node

    def _not_leading(self, before: Mapping[str, Key], listing: Listing) -> list[str]:
        """Returns which of the names that worked until now do not lead to the same any more."""
        now, names = self.context.clock(), listing.names
        unlisted = {name: key for name, key in before.items() if name not in names or names[name].key != key}
        retired = {name: key for name, key in unlisted.items() if self._memory.find(name, now) == key}
        elsewhere = {key for key in retired.values() if key not in listing.by_key}
        existing = self.survivors(elsewhere) if elsewhere else ()
        return [
            name
            for name, key in unlisted.items()
            if name not in retired or (key in elsewhere and key not in existing)
        ]

    def _name(self, built: Built, generation: int) -> Listing:
        is_first = self._listing is None and not self._single and not self._memory
        if is_first and built.listing is not None and built.listing.generation >= self._valid_from:
            return built.listing
        present: set[Key] = set()
        if not is_first:  # or no name belongs to anything
            present = {item.node.key for item in built.candidates}
            present |= {item.node.key for item in built.followers}
        bound = self._still_bound(present)
        owners = self._memory.owners(self.context.clock()) | bound
        if not self.reserves_lost:
            owners = {name: key for name, key in owners.items() if key in present}
        names = self._assign(built.candidates, owners, bound)
        if built.followers:
            given = {node.key: name for name, node in names.items()}
            followers = [Candidate(item.wanted(given), item.rank, item.node) for item in built.followers]
            owners |= {name: node.key for name, node in names.items()}
            names |= self._assign(followers, owners, bound)
        if built.complete is not None:
            built.complete({node.key: name for name, node in names.items()})
        lost = [(name, key) for name, key in bound.items() if name not in names or names[name].key != key]
        self._memory = self._memory.updated(
            names, lost, (self._dropped_at or self.context.clock()) + RETIRED_SECONDS
        )
        listing = Listing(names, built.members, generation, before=self._listing)
        if is_first and built.complete is None:
            built.listing = listing
        return listing

    def _assign(
        self, candidates: Collection[Candidate], owners: Mapping[str, Key], bound: Mapping[str, Key]
    ) -> dict[str, Node]:
        named = assign_names(
            candidates,
            owners,
            {key: name for name, key in bound.items()},
            extensions=self.extensions,
            max_bytes=self.context.c.max_filename_bytes,
        )
        return dict(named)

    def _still_bound(self, present: Collection[Key]) -> dict[str, Key]:
        """Returns the names listed until now, without those of what is gone for good."""
        before = self._given
        if not before:
            return {}
        absent = {node.key for node in before.values() if node.key not in present}
        existing = {*present, *self.survivors(absent)} if absent else present
        return {name: node.key for name, node in before.items() if node.key in existing}
