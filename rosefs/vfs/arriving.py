"""One release that programs fill: which names there are in it, and what the disk says of each.

The names and their numbers are in memory, so that every file and directory keeps its number whatever it is renamed
to; all else is asked of the disk each time. Nothing here changes the disk.
"""

from __future__ import annotations

import itertools
import os
import stat
import threading
import unicodedata
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

from rosecache.newid import new_id
from rosefs.library.arrivals import Arriving
from rosefs.vfs.errors import ExistsError, NoEntryError, SourceIOError
from rosefs.vfs.model import Appearance, Attributes
from rosefs.vfs.nodes import ARRIVAL, DirectoryNode, FileNode, Key, Node

NEVER_CURRENT = -1
"""The generation of nodes that are looked at anew each time."""


class ArrivingFile(FileNode):
    """A file of an arrival, with what the disk says of it."""

    __slots__ = ("status",)

    def __init__(self, key: Key, path: Path, status: os.stat_result) -> None:
        super().__init__(
            key, key.value, status.st_mtime_ns, NEVER_CURRENT, size=status.st_size, path=os.fsencode(path)
        )
        self.status = status


class ArrivingDirectory(DirectoryNode):
    """An arrival, or a directory in one, with what the disk says of it."""

    __slots__ = ("status",)

    def __init__(self, key: Key, status: os.stat_result) -> None:
        super().__init__(key, key.value, status.st_mtime_ns, NEVER_CURRENT)
        self.status = status


ArrivingNode = ArrivingFile | ArrivingDirectory


def attributes_of(node: ArrivingNode, inode: int, look: Appearance) -> Attributes:
    """Returns what ``stat`` shows: what the disk says, since programs compare what they have set.

    What belongs to us is shown as everything else in the mount is.
    """
    status = node.status
    uid = look.uid if status.st_uid == os.geteuid() else status.st_uid
    gid = look.gid if status.st_gid == os.getegid() else status.st_gid
    is_directory = isinstance(node, ArrivingDirectory)
    return Attributes(
        inode, is_directory, stat.S_IMODE(status.st_mode), 1, 0 if is_directory else status.st_size,
        status.st_mtime_ns, status.st_ctime_ns, status.st_atime_ns, uid, gid,
        keep_name=False, keep=False,
    )  # fmt: skip


class Entry:
    """A file or directory of an arrival.

    Attributes:
        key: What it is known by.
        folder: The directory that it is in; None for the arrival itself.
        name: Its name there.
        exists: It has not been removed.
        descriptors: Those by which it is open.
        became: What a file is in the library; None as long as it arrives, and if nothing came of it.
        status: What the disk said of it last.
    """

    __slots__ = ("became", "descriptors", "exists", "folder", "key", "name", "status")

    def __init__(self, key: Key, folder: Folder | None, name: str) -> None:
        self.key = key
        self.folder = folder
        self.name = name
        self.exists = True
        self.descriptors: list[int] = []
        self.became: Node | None = None
        self.status: os.stat_result | None = None


class Folder(Entry):
    """A directory of an arrival. ``children``: what is in it, by name."""

    __slots__ = ("children",)

    def __init__(self, key: Key, folder: Folder | None, name: str) -> None:
        super().__init__(key, folder, name)
        self.children: dict[str, Entry] = {}

    def find(self, name: str) -> Entry | None:
        """Returns what has a name, also one in another form of Unicode."""
        found = self.children.get(name)
        if found is None and not name.isascii():
            composed = unicodedata.normalize("NFC", name)
            same = (each for each in self.children if unicodedata.normalize("NFC", each) == composed)
            found = next((self.children[each] for each in same), None)
        return found

    def walk(self) -> Iterator[Entry]:
        """Yields everything below."""
        for entry in list(self.children.values()):
            yield entry
            if isinstance(entry, Folder):
                yield from entry.walk()


class State(Enum):
    """How far an arrival is."""

    OPEN = auto()
    COMPLETING = auto()
    """It is getting its name and is being read: who wants to change something has to wait."""
    DONE = auto()
    """It is a release, or was removed."""


class Arrival:
    """A release that programs fill. ``lock`` guards its names, and is held for single steps on the disk only.

    Attributes:
        name: The name that it is shown under.
        on_disk: Its directory.
        root: That directory, as an entry.
        handles: How many files and directories of it are open.
        busy: How many operations are changing something in it.
        touched: When the last one ended, by the clock.
        until: When its names end to lead to what it became, by the clock.
        has_trashed: Something of it went to the trash.
    """

    def __init__(self, name: str, on_disk: Arriving, now: float) -> None:
        self.name = name
        self.on_disk = on_disk
        self.handles = 0
        self.busy = 0
        self.touched = now
        self.until = 0.0
        self.has_trashed = False
        self.lock = threading.Condition(threading.RLock())
        self.state = State.OPEN
        self.token = new_id()
        self._serials = itertools.count()
        self.entries: dict[Key, Entry] = {}
        self.root = Folder(self._new_key(), None, "")
        self.entries[self.root.key] = self.root

    def _new_key(self) -> Key:
        return Key(ARRIVAL, self.token, str(next(self._serials)))

    def add(self, folder: Folder, name: str, kind: type[Entry]) -> Entry:
        """Notes something new. Raises ExistsError."""
        if name in folder.children:
            raise ExistsError(name)
        entry = kind(self._new_key(), folder, name)
        self.entries[entry.key] = folder.children[name] = entry
        return entry

    def move(self, entry: Entry, folder: Folder, name: str) -> None:
        """Notes another name of something, which whatever had it loses."""
        replaced = folder.children.get(name)
        if replaced is not None and replaced is not entry:
            self.remove(replaced)
        assert entry.folder is not None
        del entry.folder.children[entry.name]
        entry.folder, entry.name = folder, name
        folder.children[name] = entry

    def remove(self, entry: Entry) -> None:
        """Notes that something has no name any more."""
        entry.exists = False
        if entry.folder is not None:
            del entry.folder.children[entry.name]

    def relative(self, entry: Entry) -> Path:
        """Returns where something is below the directory."""
        names = []
        while entry.folder is not None:
            names.append(entry.name)
            entry = entry.folder
        return Path(*reversed(names))

    def path_of(self, entry: Entry) -> Path:
        """Returns a path that leads to something also while its directory is being renamed."""
        return Path(f"/proc/self/fd/{self.on_disk.descriptor}") / self.relative(entry)

    def place_of(self, entry: Entry) -> Path | int:
        """Returns by what the disk knows something: where it is or, if it has no name, how it is open.

        That is good as long as the lock is held. Raises NoEntryError if nothing arrives any more.
        """
        if self.state is State.DONE:
            raise NoEntryError(f"{entry.name} does not arrive any more")
        if entry.exists:
            return self.path_of(entry)
        if entry.descriptors:
            return entry.descriptors[0]
        raise NoEntryError(f"{entry.name} is gone")

    def node_of(self, entry: Entry) -> Node:
        """Returns something as it is now, or what it became. Raises NoEntryError, SourceIOError."""
        with self.lock:
            if self.state is State.DONE:
                if entry.became is not None:
                    return entry.became
                if not isinstance(entry, Folder) or entry.status is None:
                    raise NoEntryError(f"{entry.name} is gone")
                return ArrivingDirectory(entry.key, entry.status)
            place = self.place_of(entry)
            try:
                status = entry.status = os.stat(place)
            except FileNotFoundError as error:
                raise NoEntryError(f"{place}: {error.strerror}") from error
            except OSError as error:
                raise SourceIOError(error.errno or 0, f"{place}: {error.strerror}") from error
            if isinstance(entry, Folder):
                return ArrivingDirectory(entry.key, status)
            return ArrivingFile(entry.key, self.path_of(entry), status)
