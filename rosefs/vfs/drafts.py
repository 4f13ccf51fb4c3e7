"""Drafts: what becomes of a file while programs write to it, and when it takes the place of the source file.

One draft per inode, shared by all its open handles: they read what was written, and go on reading it after it
was saved. The first write makes a private copy; the last close, or one that follows writing, has it saved. Who
saves it, and how, is told to the draft: nothing here knows what a release is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from rosefs.vfs.disks import Disks
from rosefs.vfs.errors import BusyError, FileSystemError, NoEntryError, SourceWriteError
from rosefs.vfs.handles import SourceContent
from rosefs.vfs.model import Changes
from rosefs.vfs.spool import PERMISSIONS, Spool

Save = Callable[["Draft", Spool], SourceContent]
"""Puts a finished private copy in its place, and opens it there for reading.

Raises a FileSystemError if it cannot be; then everything is as it was.
"""


class Draft:
    """A file that is being written to. Safe to use from several threads at once.

    Attributes:
        writers: How many open handles may write to it.
        path: Where the file is, or is going to be; a release can be renamed meanwhile.
        is_new: There is no source file yet.
        mode: The permissions of a new file.
        base: The source file as it was when it was opened or last saved; None for a new one.
        starts_empty: The private copy took nothing over of the old content.
        changed_bytes: The saved file is another one than was written: what the kernel has of it is wrong.
    """

    def __init__(
        self, where: Callable[[], Path], base: SourceContent | None, save: Save, *, mode: int = 0o644
    ) -> None:
        self.path = where()
        self._where = where
        self.base = base
        self.mode = mode
        self.is_new = base is None
        self.writers = 0
        self.starts_empty = False
        self.changed_bytes = False
        self._is_removed = False
        self._save = save
        self._spool: Spool | None = None
        self._has_news = False
        self._failure: FileSystemError | None = None
        self._was_told = False
        self._lock = threading.RLock()

    def begin(self, base: SourceContent | None) -> None:
        """Counts a handle that may write. The first one, after all others are closed, starts afresh."""
        with self._lock:
            if not self.writers:
                self._failure, self._was_told = None, False
                if self._spool is None and base is not None:
                    self.base = base
            self.writers += 1

    def end(self) -> bool:
        """Takes back a handle that may write; returns whether it was the last."""
        with self._lock:
            self.writers -= 1
            return not self.writers

    def rebase(self) -> None:
        """Looks at the source file anew, of which only attributes were changed."""
        with self._lock:
            if self.base is not None:
                self.base = SourceContent(self.base.path, Disks())

    @property
    def is_clean(self) -> bool:
        """Whether a flush, or the last close, has nothing to do."""
        return self._was_told or (self._spool is None and self._failure is None and not self.is_new)

    def shown(self) -> tuple[int, int] | None:
        """Returns size and time of what is not saved yet; None if everything is. Never waits."""
        spool = self._spool
        if spool is not None:
            return spool.size, spool.mtime
        return (0, 0) if self.is_new else None

    # Reading and writing --------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> bytes:
        """Returns bytes as they were written last, by whomever. Raises SourceIOError or SourceWriteError."""
        with self._lock:
            if self._spool is not None:
                with refused(self.path):
                    return self._spool.read(offset, size)
            base = self.base
        return b"" if base is None else base.read(offset, size)

    def read_now(self, offset: int, size: int) -> bytes | None:
        """Returns bytes that are in memory; None if there are none, or somebody is at work."""
        base = self.base
        if self._spool is not None or base is None or not self._lock.acquire(blocking=False):
            return None
        try:
            return None if self._spool is not None else base.read_now(offset, size)
        finally:
            self._lock.release()

    def write(self, offset: int, data: bytes) -> None:
        """Writes bytes. Raises SourceWriteError, also again after it failed before."""
        with self._writing() as spool:
            spool.write(offset, data)
            self._has_news = True

    def truncate(self, size: int, *, by_opening: bool = False) -> None:
        """Cuts off or extends. By opening alone, nothing is saved before bytes come or the last handle goes."""
        with self._writing(empty=size == 0) as spool:
            spool.truncate(size)
            self._has_news = self._has_news or not by_opening

    def set_attributes(self, changes: Changes) -> None:
        """Sets permissions and times of what is not saved yet."""
        with self._writing() as spool:
            if changes.mode is not None:
                spool.set_mode(changes.mode & PERMISSIONS)
            if (changes.atime, changes.mtime) != (None, None):
                spool.set_times(changes.atime, changes.mtime)

    def expect_unchanged(self, path: Path) -> None:
        """Makes sure that the file that is going to be replaced is still what was copied.

        Raises:
            NoEntryError: It is gone.
            BusyError: Another program has changed it since it was opened.
        """
        try:
            mtime = path.stat().st_mtime_ns
        except FileNotFoundError as error:
            raise NoEntryError(f"{path} is gone") from error
        # Writing ids keeps a file's time, and whoever edits it does not.
        if not self.starts_empty and self.base is not None and mtime != self.base.mtime:
            raise BusyError(f"{path} was changed by another program since it was opened")

    def sync(self) -> None:
        """Has what was written flushed to the disk; it is not saved by that."""
        with self._lock, refused(self.path):
            if self._spool is not None:
                self._spool.flush()

    # Saving ---------------------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Saves what was written since the last time, if bytes were; see :meth:`save`."""
        with self._lock:
            return self.save() if self._has_news or self._failure is not None else False

    def save(self) -> bool:
        """Saves what is not saved yet.

        Returns:
            Whether the kernel has to forget what it has of the file.

        Raises:
            FileSystemError: It could not be written or saved; it is given up, and the kernel has to forget it.
        """
        with self._lock:
            if self._failure is not None:
                self._give_up(self._failure)
            if self._is_removed:
                if not self.writers:
                    self._discard()
                return False
            if self._spool is None and self.is_new:
                with self._writing():
                    pass  # an empty file
            spool = self._spool
            if spool is None:
                return False
            self.changed_bytes = False
            try:
                with refused(self.path):
                    self.base = self._save(self, spool)
            except FileSystemError as error:
                self._give_up(error)
            self._spool, self._has_news, self.is_new, self.starts_empty = None, False, False, False
            return self.changed_bytes

    @contextmanager
    def removed(self) -> Iterator[None]:
        """Has nothing saved while the block takes the file's name away, nor ever after: it is as long as it is open."""
        with self._lock:
            yield
            self._is_removed = True
            if self._spool is not None:
                self._spool.unlink()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Has everything saved, and nothing written while the block runs, which may move the file."""
        with self._lock:
            self.save()
            yield

    def abandon(self) -> None:
        """Lets go of what is not saved."""
        with self._lock:
            self._discard()

    def _give_up(self, failure: FileSystemError) -> NoReturn:
        self._failure, self._was_told = failure, True
        self._discard()
        raise failure

    def _discard(self) -> None:
        if self._spool is not None:
            self._spool.discard()
        self._spool, self._has_news = None, False

    @contextmanager
    def _writing(self, *, empty: bool = False) -> Iterator[Spool]:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                with refused(self.path):
                    if self._spool is None:
                        self._spool = self._make_spool(empty=empty)
                    yield self._spool
            except FileSystemError as error:
                self._failure = error
                raise

    def _make_spool(self, *, empty: bool) -> Spool:
        if not self._is_removed:
            self.path = self._where()
        if self.base is None:
            spool = Spool(self.path.parent, self.path.suffix, self.mode)
        else:
            self.starts_empty = empty
            spool = Spool.copy_of(self.base.descriptor(), self.path, empty=empty)
        if self._is_removed:
            spool.unlink()
        return spool


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Tells a refusal of the source disk as an error of the tree."""
    try:
        yield
    except OSError as error:
        raise SourceWriteError(error.errno or 0, f"{path}: {error.strerror or error}") from error
