"""Ghosts: files and directories that programs wrote where bytes are not wanted, and that exist for a moment.

Copying into a collage or a playlist names a member; but a program that copies expects to find what it wrote, to set
its times and to read it back. What it wrote is kept aside, in a scratch directory of the mount beside the cache, and is
there under the name that it was given, before whatever else has that name, until nobody has used it for ten seconds.

Nothing here knows what a copy means, and nothing here touches the source.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rosecache.model import File
from rosecache.tags.journal import write_all
from rosefs.library.scratch import make_scratch, remove_scratch
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.model import Changes
from rosefs.vfs.nodes import ALWAYS_CURRENT, GHOST, GHOSTS, DirectoryNode, FileNode, Key
from rosefs.vfs.overlay import MOMENT

_PERMISSIONS = 0o777


class Ghost:
    """A file or directory that was written.

    Attributes:
        directory: The directory that has its name.
        name: Its name there.
        root: The ghost in a real directory that this one is, or is below of; they go together.
        mode: Permissions.
        used: When it, or anything below it, was used last.
        opens: How many open files it has, or anything below it.
        gone: Its name is gone.
    """

    node: DirectoryNode | FileNode

    def __init__(self, directory: Key, name: str, root: Ghost | None, mode: int) -> None:
        self.directory = directory
        self.name = name
        self.root = root or self
        self.mode = mode
        self.used = 0.0
        self.opens = 0
        self.gone = False

    @property
    def member(self) -> object:
        """What it stands for in the list that it was copied into, mostly by its id; None if nobody can tell."""
        return None

    def set_attributes(self, changes: Changes) -> None:
        """Takes times and permissions, as they are to be shown."""
        if changes.mode is not None:
            self.mode = changes.mode & _PERMISSIONS
        if changes.mtime is not None:
            self.node.mtime = changes.mtime


class GhostDirectory(Ghost):
    """A directory that was made. In it is what is written there, and nothing else.

    Attributes:
        candidates: The releases that it may stand for, by its name.
        release_id: The one that it stands for; None as long as nobody can tell.
    """

    def __init__(self, directory: Key, name: str, root: Ghost | None, candidates: frozenset[str]) -> None:
        super().__init__(directory, name, root, 0o755)
        self.node = DirectoryNode(Key(GHOSTS, _token(), ""), "", time.time_ns(), ALWAYS_CURRENT)
        self.candidates = candidates
        self.release_id: str | None = None

    @property
    def member(self) -> object:
        return self.release_id


class GhostFile(Ghost):
    """A file that was written. Safe to use from several threads at once.

    Attributes:
        lock: Held while its bytes change, and while it is found out what they mean.
        over: The member whose name it has taken: the id of a track.
        has_news: Bytes were written since they were looked at last.
        failure: What went wrong with writing them; then they are of no use.
        stands_for: What it was found to be, in words of those who look; None if nobody has, or nobody can tell.
        added: It has added a member.
        cover: The cover of a playlist that it has become.
        group: What the edits have in common that follow from it and others copied with it.
    """

    def __init__(self, directory: Key, name: str, root: Ghost | None, path: Path, mode: int) -> None:
        super().__init__(directory, name, root, mode)
        self.node = FileNode(
            Key(GHOST, _token(), ""), "", time.time_ns(), ALWAYS_CURRENT, size=0, path=os.fsencode(path)
        )
        self.path = path
        self.lock = threading.RLock()
        self.over: str | None = None
        self.has_news = False
        self.failure: OSError | None = None
        self.stands_for: object = None
        self.added = False
        self.cover: File | None = None
        self.group: str | None = None
        self._counting = threading.Lock()
        """Of its own, since files are closed by whom must not wait."""
        self._fd = -1
        self._handles = 0

    @property
    def member(self) -> object:
        return self.stands_for

    @property
    def size(self) -> int:
        """Bytes."""
        assert isinstance(self.node, FileNode)
        return self.node.size

    def open(self) -> None:
        """Counts an open file. Raises OSError."""
        with self._counting:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if self.gone:  # nobody else is going to remove it
                    self.remove()
            self._handles += 1

    def close(self) -> None:
        """Takes back an open file. Waits for nothing."""
        with self._counting:
            self._handles -= 1
            if not self._handles:
                os.close(self._fd)
                self._fd = -1

    def read(self, offset: int, size: int) -> bytes:
        """Returns bytes as they were written."""
        return os.pread(self._fd, size, offset)

    def read_now(self, offset: int, size: int) -> bytes | None:
        """Returns None: they may be on a disk."""
        return None

    def write(self, offset: int, data: bytes) -> None:
        """Writes bytes. Raises OSError."""
        with self.lock:
            self.has_news = True
            try:
                write_all(self._fd, data, offset)
            except OSError as error:
                self.failure = error
                raise
            finally:
                self._changed()

    def truncate(self, size: int) -> None:
        """Cuts off or extends. What comes next is another file, which has its own meaning. Raises OSError."""
        with self.lock:
            self.open()
            try:
                os.ftruncate(self._fd, size)
                self._changed()
            finally:
                self.close()
            if not size:
                self.stands_for, self.added, self.cover, self.failure = None, False, None, None
            self.has_news = bool(size)

    def called(self, suffix: str) -> Path:
        """Returns where its bytes are, with a suffix that tells of what kind they are. Raises OSError."""
        with self.lock:
            path = self.path.with_suffix(suffix)
            if path != self.path:
                os.rename(self.path, path)
                self.path = path
                if self.gone:
                    self.remove()
            return path

    def remove(self) -> None:
        """Removes its bytes, which are there for whoever has it open."""
        with suppress(FileNotFoundError):
            self.path.unlink()

    def _changed(self) -> None:
        assert isinstance(self.node, FileNode)
        self.node.size, self.node.mtime = os.fstat(self._fd).st_size, time.time_ns()


class Ghosts:
    """All ghosts of a mount. Safe to use from several threads at once."""

    def __init__(self, beside: Path, clock: Callable[[], float]) -> None:
        """Makes nothing yet.

        Args:
            beside: The directory in which the scratch directory is made.
            clock: Seconds, from any start.
        """
        self._beside = beside
        self._clock = clock
        self._lock = threading.RLock()
        self._names: dict[Key, dict[str, Ghost]] = {}
        self._by_key: dict[Key, Ghost] = {}
        self._scratch: Path | None = None
        self._claim = -1

    def make_file(self, directory: Key, name: str, mode: int = 0o644) -> GhostFile:
        """Makes an empty file. Raises OSError, or NoEntryError if its directory is gone."""
        with self._lock:
            path = self._scratch_directory() / _token()
            ghost = GhostFile(directory, name, self._root_of(directory), path, mode)
            self._enter(ghost)
            return ghost

    def make_directory(
        self, directory: Key, name: str, candidates: frozenset[str] = frozenset()
    ) -> GhostDirectory:
        """Makes a directory. Raises NoEntryError if the one that it is in is gone."""
        with self._lock:
            ghost = GhostDirectory(directory, name, self._root_of(directory), candidates)
            self._enter(ghost)
            return ghost

    def find(self, directory: Key, name: str) -> Ghost | None:
        """Returns what a name in a directory is, if it was written a moment ago."""
        return self.listed(directory).get(unicodedata.normalize("NFC", name)) if self._names else None

    def listed(self, directory: Key) -> Mapping[str, Ghost]:
        """Returns what was written in a directory, by name."""
        if not self._names:
            return {}
        with self._lock:
            self.expire()
            return dict(self._names.get(directory, ()))

    def of(self, key: Key) -> Ghost | None:
        """Returns a ghost by the key of its node, as long as it has a name."""
        return self._by_key.get(key) if self._by_key else None

    def use(self, ghost: Ghost, opened: int = 0) -> None:
        """Keeps a ghost for another moment; ``opened`` counts an open file, or with -1 takes one back."""
        with self._lock:
            ghost.root.opens += opened
            ghost.root.used = self._clock()

    def names_above(self, ghost: Ghost) -> list[str]:
        """Returns the names of the directories that a ghost is in and that were made with it, from the top."""
        above = self.of(ghost.directory)
        return [] if above is None else [*self.names_above(above), above.name]

    def covers(self) -> list[GhostFile]:
        """Returns those that have become the cover of a playlist, and that nobody has written to since."""
        with self._lock:
            files = [each for each in self._by_key.values() if isinstance(each, GhostFile)]
        return [each for each in files if each.cover is not None and not each.has_news]

    @property
    def is_any_open(self) -> bool:
        """Whether some program is writing, or reading, one."""
        with self._lock:
            return any(ghost.opens for ghost in self._by_key.values())

    def rename(self, ghost: Ghost, name: str) -> None:
        """Gives a ghost another name in its directory, in place of what else was written there."""
        with self._lock:
            names = self._names[ghost.directory]
            key = unicodedata.normalize("NFC", name)
            other = names.get(key)
            if other is not None and other is not ghost:
                self.drop(other)
            # Dropping the last name of a directory forgets the directory.
            names = self._names.setdefault(ghost.directory, names)
            names.pop(unicodedata.normalize("NFC", ghost.name), None)
            ghost.name = name
            names[key] = ghost

    def drop(self, ghost: Ghost) -> None:
        """Lets a ghost go, with all that is below it."""
        with self._lock:
            if ghost.gone:
                return
            ghost.gone = True
            for child in list(self._names.get(ghost.node.key, {}).values()):
                self.drop(child)
            del self._by_key[ghost.node.key]
            names = self._names[ghost.directory]
            names.pop(unicodedata.normalize("NFC", ghost.name), None)
            if not names:
                del self._names[ghost.directory]
            if isinstance(ghost, GhostFile):
                ghost.remove()

    def expire(self) -> None:
        """Lets go what nobody has used for a moment."""
        until = self._clock() - MOMENT
        with self._lock:
            for ghost in list(self._by_key.values()):
                if ghost.root is ghost and not ghost.opens and ghost.used <= until:
                    self.drop(ghost)

    def close(self) -> None:
        """Lets go of everything."""
        with self._lock:
            for ghost in list(self._by_key.values()):
                self.drop(ghost)
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
                os.close(self._claim)
                self._scratch = None

    def _enter(self, ghost: Ghost) -> None:
        self.expire()
        ghost.root.used = self._clock()
        name = unicodedata.normalize("NFC", ghost.name)
        other = self._names.get(ghost.directory, {}).get(name)
        if other is not None:  # of a program that writes the same name at the same time
            self.drop(other)
        self._by_key[ghost.node.key] = ghost
        self._names.setdefault(ghost.directory, {})[name] = ghost

    def _root_of(self, directory: Key) -> Ghost | None:
        if directory.space != GHOSTS:
            return None
        ghost = self._by_key.get(directory)
        if ghost is None:
            raise NoEntryError("the directory is gone")
        return ghost.root

    def _scratch_directory(self) -> Path:
        """Returns the directory of scratch files, made at the first use; those of killed mounts go then."""
        if self._scratch is None:
            remove_scratch(self._beside)
            self._scratch, self._claim = make_scratch(self._beside)
        return self._scratch


def _token() -> str:
    return secrets.token_hex(8)
