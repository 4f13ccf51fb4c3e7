"""Inode numbers: which one a directory or file has, and what the kernel still knows.

A number is a hash of the key of what it stands for, so that it is the same in every mount. What is kept here
is what has been looked up, or listed, and not been forgotten; nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rosefs.vfs.errors import StaleError
from rosefs.vfs.model import ROOT_INODE
from rosefs.vfs.nodes import Key, Node

if TYPE_CHECKING:
    from rosefs.vfs.drafts import Draft

_MASK = (1 << 63) - 1
_FIRST_FREE = ROOT_INODE + 1

_LARGE, _FAR = 1000, 4

_ID_LENGTH = 36
_SPREAD = 0x9E3779B97F4A7C15
"""Any large odd number: so both halves of an id count."""


def hash_key(key: Key) -> int:
    """Returns 63 bits that depend on the key alone.

    Most keys are an id and where it is shown. Ids are random already, so they need no more than mixing, at a quarter of
    the time; what is the same for a whole directory is hashed once.
    """
    space, value, entity = key
    last = entity or value
    if len(last) == _ID_LENGTH:
        try:
            number = int(last.replace("-", ""), 16)
        except ValueError:
            pass  # it is as long as an id
        else:
            where = _hash_place(space, value) if entity else _hash_place(space)
            return (where ^ (number + (number >> 64) * _SPREAD)) & _MASK
    return _hash_texts((space, value, entity))


@functools.lru_cache(maxsize=256)
def _hash_place(*texts: str) -> int:
    return _hash_texts(texts)


def _hash_texts(texts: tuple[str, ...]) -> int:
    # repr() writes the lone surrogates of undecodable paths as escapes, and keeps the texts apart.
    digest = hashlib.blake2b(repr(texts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & _MASK


Way = tuple[Key | None, str]
"""The directory in which a file was looked up, if it was, and the name."""


class Inode:
    """A number that somebody outside knows.

    Attributes:
        number: The inode number.
        node: What it stands for, as last seen.
        first: The same as first seen, or read again and the same, which all are shown for as long as the two are one;
            None if it was written to.
        lookups: How often the kernel was told of it, less what it forgot.
        opens: How many open files it has.
        stamp: What tells whether the file is the one that was opened last; None if it was not yet.
        newest: The newest time that was shown; a directory's time never goes back.
        draft: What programs are writing to it, or wrote since somebody opened it; None if nobody did.
        through: The directory in which it was looked up or listed last.
        called: The name under which it was.
        in_list: Where it was shown last in a list, where writing means something else; None if it was in none.
        is_renamed: It is a list that the kernel has renamed, and is known by another number from now on.
        is_removed: The kernel has removed this directory, or renamed another over it, and shows it as empty for good.
    """

    __slots__ = (
        "called", "draft", "first", "in_list", "is_removed", "is_renamed", "lookups", "newest", "node", "number",
        "opens", "stamp", "through",
    )  # fmt: skip

    def __init__(self, number: int, node: Node) -> None:
        self.number = number
        self.node = node
        self.first: Node | None = node
        self.lookups = 0
        self.opens = 0
        self.stamp: tuple[int, ...] | None = None
        self.newest = 0
        self.draft: Draft | None = None
        self.through: Key | None = None
        self.called = ""
        self.in_list: Way | None = None
        self.is_renamed = False
        self.is_removed = False

    def renew(self, node: Node) -> None:
        """Has the number stand for a node that was read again, of which what is shown may be the same."""
        if self.first is self.node and node.looks_like(self.node):
            self.first = node
        self.node = node

    def looked_up(self, directory: Key, name: str, *, in_list: bool) -> None:
        """Takes note of where it was found."""
        # First where in a list: who finds none is to go by a way that is in none.
        if in_list:
            self.in_list = directory, name
        self.through, self.called = directory, name

    @property
    def way(self) -> Way:
        """Where it was looked up or listed last, by whomever."""
        return self.through, self.called


class Inodes:
    """The inode table. Safe to use from several threads at once."""

    def __init__(self, root: Node, hash_of: Callable[[Key], int] = hash_key) -> None:
        self._hash_of = hash_of
        self._lock = threading.Lock()
        self._known: dict[int, Inode] = {ROOT_INODE: Inode(ROOT_INODE, root)}
        self._known[ROOT_INODE].lookups = 1
        # How many there were at most, and when that was looked at last, since memory was given back.
        self._most = self._last = 1
        # Keys that have another number than their hash, and whose that number is. Both stay for good: no
        # number is given to another thing while the mount lives.
        self._moved: dict[Key, int] = {root.key: ROOT_INODE}
        self._reserved: dict[int, Key] = {ROOT_INODE: root.key}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, number: int) -> Inode:
        """Returns what is known of a number. Raises StaleError if nothing is."""
        inode = self._known.get(number)
        if inode is None:
            raise StaleError(f"inode {number} is not known")
        return inode

    def known(self) -> list[Inode]:
        """Returns the inodes that the kernel was told of and has not forgotten."""
        return [inode for inode in list(self._known.values()) if inode.lookups]

    def find(self, key: Key) -> Inode | None:
        """Returns what is known of a key's number, if somebody knows it."""
        return self._known.get(self.number_of(key))

    def has(self, key: Key) -> bool:
        """Tells whether somebody knows a key's number."""
        return self.find(key) is not None

    def remember(self, node: Node) -> Inode:
        """Counts a lookup of a node, and returns its inode."""
        with self._lock:
            inode = self._enter(node)
            inode.lookups += 1
            return inode

    def forget(self, number: int, count: int) -> list[Key]:
        """Takes back lookups; never fails. Returns the key of what is not known any more, if so."""
        with self._lock:
            inode = self._known.get(number)
            if inode is None or number == ROOT_INODE:
                return []
            inode.lookups = max(0, inode.lookups - count)
            return self._drop_unused(inode)

    def opened(
        self, inode: Inode, stamp: tuple[int, ...], same_file: int, *, is_as_shown: bool = False
    ) -> bool:
        """Counts an open file, and returns whether what the kernel has of it is still good: pages and size.

        Args:
            inode: What was opened.
            stamp: What the file is now: its identity, then its version.
            same_file: How many numbers of the stamp, from the first, are its identity.
            is_as_shown: It is as it was shown to everybody, so that who opens it first has nothing to forget.

        Raises:
            StaleError: It is another file than one that is still open: reading the old handle would put the
                old file's bytes into pages of the new. From now on the key has another number.
        """
        with self._lock:
            last = inode.stamp
            if inode.opens and last is not None and last[:same_file] != stamp[:same_file]:
                self._renumber(inode.node.key)
                raise StaleError(f"the file of inode {inode.number} was replaced while it was open")
            inode.opens += 1
            inode.stamp = stamp
            return last == stamp or (last is None and is_as_shown)

    def adopt(self, old: Key, node: Node) -> Inode | None:
        """Has what something became keep its number, so that a program that stands in a directory stays there.

        Returns what is known of the number, if somebody knows it.
        """
        with self._lock:
            number = self.number_of(old)
            given = self.number_of(node.key)
            if given != number:
                self._reserved[given] = Key("replaced", str(given), "")
                self._move(node.key, number)
            inode = self._known.get(number)
            if inode is not None:
                inode.node = node
            return inode

    def part(self, key: Key, node: Node) -> None:
        """Has those who have a key's file open go on with a node, and whatever has the key next get another number.

        For a file that lost its name: without that, its handles and those of the next one would be of the same file.
        """
        with self._lock:
            inode = self._known.get(self.number_of(key))
            if inode is not None and inode.opens:
                self._renumber(key)
                inode.node = node

    def renamed(self, old: Key, node: Node) -> None:
        """Has what the kernel knows as a directory stand for what it was renamed to.

        The kernel goes by the old number until it has looked up the new name, and whoever stands there goes on by it.
        """
        with self._lock:
            inode = self._known.get(self.number_of(old))
            if inode is not None:
                inode.node, inode.is_renamed = node, True

    def removed(self, key: Key) -> None:
        """Takes note that the kernel has removed a directory.

        If that is still there, or comes back, it has another number as long as some program holds on to the old one.
        """
        with self._lock:
            inode = self._known.get(self.number_of(key))
            if inode is not None:
                inode.is_removed = True

    def opened_draft(self, inode: Inode) -> None:
        """Counts an open file of an inode that is being written to: all its handles share what is written."""
        with self._lock:
            inode.opens += 1
            inode.first = None

    def closed(self, inode: Inode) -> list[Key]:
        """Takes back an open file. Returns the key of what is not known any more, if so."""
        with self._lock:
            inode.opens -= 1
            if not inode.opens:
                inode.draft = None
            return self._drop_unused(inode)

    def number_of(self, key: Key) -> int:
        """Returns the number that a key has, or would get now."""
        moved = self._moved.get(key)
        if moved is not None:
            return moved
        number = self._hash_of(key)
        return number if self._is_free(number, key) else self._next_free(number, key)

    def shrink(self) -> bool:
        """Gives back the memory of a table that has become far too large; returns whether it was.

        To be called several times a second: it waits until the kernel is done with forgetting.
        """
        with self._lock:
            now, before = len(self._known), self._last
            self._last, self._most = now, max(self._most, now)
            if now < before or self._most < _LARGE or now > self._most // _FAR:
                return False
            self._known = dict(self._known)
            self._most = now
            _hash_place.cache_clear()
            return True

    def _enter(self, node: Node) -> Inode:
        key = node.key
        number = self._moved.get(key)
        if number is None:
            number = self._hash_of(key)
            inode = self._known.get(number)
            if inode is None and number not in self._reserved and number >= _FIRST_FREE:
                # As nearly always when a directory is listed for the first time.
                inode = self._known[number] = Inode(number, node)
                return inode
            if not self._is_free(number, key):
                number = self._move(key, self._next_free(number, key))
        inode = self._known.get(number)
        if inode is not None and inode.is_removed:
            number = self._renumber(node.key)
            inode = self._known.get(number)
        if inode is None:
            inode = self._known[number] = Inode(number, node)
        elif node.generation >= inode.node.generation:
            inode.renew(node)
        return inode

    def _is_free(self, number: int, key: Key) -> bool:
        if number < _FIRST_FREE or self._reserved.get(number, key) != key:
            return False
        known = self._known.get(number)
        return known is None or known.node.key == key

    def _next_free(self, number: int, key: Key) -> int:
        while not self._is_free(number, key):
            number = max((number + 1) & _MASK, _FIRST_FREE)
        return number

    def _move(self, key: Key, number: int) -> int:
        self._moved[key] = number
        self._reserved[number] = key
        return number

    def _renumber(self, key: Key) -> int:
        old = self._moved.get(key, self._hash_of(key))
        self._reserved[old] = Key("replaced", str(old), "")
        version = Key("replacing", str(old), repr(tuple(key)))
        return self._move(key, self._next_free(self._hash_of(version), version))

    def _drop_unused(self, inode: Inode) -> list[Key]:
        if inode.lookups or inode.opens:
            return []
        if self._known.pop(inode.number, None) is None:
            return []
        key = inode.node.key
        return [] if self.number_of(key) in self._known else [key]  # it may have another number by now
