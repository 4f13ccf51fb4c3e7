"""What the handlers of gestures get: the library to edit, the tree to tell, and one write operation.

Holds the little that has to be remembered between the operations of one gesture, such as an ``rm -r``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.newid import new_id
from rosefs.library.journal import Journal
from rosefs.vfs.arrivals import Arrivals
from rosefs.vfs.disks import Disks
from rosefs.vfs.errors import InvalidRequestError, NameTooLongError, NotPermittedError
from rosefs.vfs.later import Later
from rosefs.vfs.model import Changes
from rosefs.vfs.nodes import Key, Node
from rosefs.vfs.overlay import Overlay
from rosefs.vfs.places import Place, place_of_name
from rosefs.vfs.sinks import Sinks
from rosefs.vfs.tree import Tree


class Operation(Enum):
    """A write operation, as far as its meaning depends on the place."""

    CREATE = auto()
    WRITE = auto()
    """Opening an existing file for writing."""
    TRUNCATE = auto()
    """Changing the size of an existing file, also by opening it."""
    SET_ATTRIBUTES = auto()
    """Setting times or permissions."""
    SET_NEW = auto()
    """Marking a release as new or as not new."""
    UNLINK = auto()
    RMDIR = auto()
    MKDIR = auto()
    RENAME = auto()


class Request(msgspec.Struct, frozen=True):
    """One write operation on a name.

    Attributes:
        directory: The directory that holds the name.
        name: The name.
        node: What the name stands for; None if there is nothing.
        to: The new name, of a rename.
        new: What a release is to be marked as.
        changes: The attributes to set; None to ask only whether they may be.
        mode: The permissions of a new file.
    """

    directory: Key
    name: str
    node: Node | None = None
    to: Request | None = None
    new: bool = False
    changes: Changes | None = None
    mode: int = 0o644

    @property
    def place(self) -> Place:
        """What kind of directory holds the name, or, of what is not as the rest there, what it is itself."""
        return place_of_name(self.directory, None if self.node is None else self.node.key)


class Edits(msgspec.Struct, frozen=True):
    """What handlers work with.

    Attributes:
        c: The configuration of the cache.
        journal: Where edits are noted.
        tree: The tree.
        overlay: What is shown differently from the cache for a moment.
        later: What is to be done in a while.
        clock: Seconds, from any start.
        look: Has the tree notice what changed in the cache.
        disks: What is known of devices.
        arrivals: The releases that programs fill.
        emptied: Releases without tracks that stay until their directory is removed, with what is hidden of them.
        lists_before: What a collage's or playlist's file held before members were removed, by its path, and until
            when that counts as one gesture.
        list_locks: One for each collage or playlist, by its path: a gesture on its members goes by what is listed, and
            so must not run beside another one.
        successions: Under what edits in quick succession are taken back as one, and until when the next one counts.
        sinks: What was copied into collages and playlists.
    """

    c: Config
    journal: Journal
    tree: Tree
    overlay: Overlay
    later: Later
    clock: Callable[[], float]
    look: Callable[[], None]
    disks: Disks
    sinks: Sinks
    arrivals: Arrivals
    emptied: dict[str, set[Key]] = msgspec.field(default_factory=dict)
    lists_before: dict[str, tuple[bytes, float]] = msgspec.field(default_factory=dict)
    list_locks: dict[str, threading.Lock] = msgspec.field(default_factory=dict)
    successions: dict[str, tuple[str, float]] = msgspec.field(default_factory=dict)

    def list_lock(self, path: Path) -> threading.Lock:
        """Returns the lock of gestures on the members of a list, by its file."""
        return self.list_locks.setdefault(str(path), threading.Lock())

    def succession(self, what: str) -> str:
        """Returns under what an edit is noted: those of one kind in quick succession are one ``rm`` or ``cp``."""
        now = self.clock()
        group, until = self.successions.get(what, ("", 0.0))
        if now >= until:
            group = new_id()
        self.successions[what] = (group, now + _SUCCESSION_SECONDS)
        return group


Handler = Callable[[Edits, Request], Node | None]

_SUCCESSION_SECONDS = 2.0

_JUNK = (".Trash", ".DS_Store", "._", ".in-progress.", ".rose.")
"""Starts of names that file managers try to make everywhere, and of our own."""

NAME_BYTES = 255


def check_new_name(name: str) -> None:
    """Makes sure that a name may be made by a program.

    Raises:
        NotPermittedError: It is one that litters, or one of ours.
        InvalidRequestError: It is no readable text.
        NameTooLongError: It has more than 255 bytes: the kernel lets through more than any disk takes.
    """
    if len(os.fsencode(name)) > NAME_BYTES:
        raise NameTooLongError(f"{name}: a name has at most {NAME_BYTES} bytes")
    if name.startswith(_JUNK):
        raise NotPermittedError(f"{name}: nothing may be called so here")
    if not name.isprintable():
        raise InvalidRequestError(f"{name!r} holds characters that no name should")
