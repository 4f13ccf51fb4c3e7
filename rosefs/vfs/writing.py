"""Files that are open for writing, and their attributes: everything of the file system that writes bytes.

Safe to call from several threads at once. A write finds out what it means where the file was looked up from the
table in ``gestures``; what programs write is a ``draft`` until it is saved. No lock of the tree is held while the
library is edited.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosefs.library.journal import Journal
from rosefs.rules.smart import Smart
from rosefs.settings import VfsSettings
from rosefs.vfs.arrivals import Arrivals
from rosefs.vfs.asking import Asking
from rosefs.vfs.drafts import Draft, refused
from rosefs.vfs.edits import Edits, Operation, Request
from rosefs.vfs.errors import (
    ExistsError,
    FileSystemError,
    InvalidRequestError,
    NoEntryError,
    NotPermittedError,
    ReadOnlyError,
)
from rosefs.vfs.gestures import perform, translated
from rosefs.vfs.handles import FileHandle, SourceContent
from rosefs.vfs.inodes import Inode, Way
from rosefs.vfs.later import Later
from rosefs.vfs.list_gestures import save_cover
from rosefs.vfs.model import Appearance, Attributes, Changes, OpenFile
from rosefs.vfs.nodes import ARRIVAL, PLAYLIST_COVER, DirectoryNode, FileNode, Node
from rosefs.vfs.places import OF_MEMBERS, place_of
from rosefs.vfs.release_gestures import save
from rosefs.vfs.sinks import Sinks
from rosefs.vfs.spool import Spool
from rosefs.vfs.ways import Ways

log = logging.getLogger(__name__)


class Writing(Asking):
    """A library whose files can be written."""

    def __init__(
        self,
        c: Config,
        settings: VfsSettings,
        *,
        journal: Journal | None = None,
        appearance: Appearance | None = None,
        clock: Callable[[], float] = time.monotonic,
        smart: Sequence[Smart] = (),
    ) -> None:
        """Makes the file system. Reads nothing yet but the end of the change feed.

        Args:
            c: The configuration of the cache, which is brought up to date by somebody else.
            settings: What is shown.
            journal: Where edits are noted; without one, nothing can be changed.
            appearance: How it is shown, unless as usual.
            clock: Seconds, from any start.
            smart: The lists that matchers make.
        """
        super().__init__(c, settings, clock, appearance or Appearance(), smart)
        self._clock = clock
        self._drafting = threading.Lock()
        self._later = Later(clock)
        self._ways = Ways()
        self._edits = None
        if journal is not None:
            self.writable = True
            self._edits = Edits(
                c, journal, self._tree, self._overlay, self._later, clock,
                self._freshness.look, self._handles.disks,
                Sinks(c, self._tree, self._later, clock),
                Arrivals(clock, self._tree.current),
            )  # fmt: skip

    def run_due(self) -> None:
        """Does what was left for later and is due by the clock; a thread does so by itself."""
        self._later.run_due()

    def close(self) -> None:
        """Does what was left for later, and closes what is still open. Nothing may be asked afterwards.

        A file that a program still writes to stays as it was: nobody knows whether what it wrote is whole.
        """
        self._later.end()
        for opened in self._handles.files():
            if opened.inode.draft is not None:
                opened.inode.draft.abandon()
        super().close()

    # Files ----------------------------------------------------------------------------------------------

    def create(
        self, parent: int, name: bytes, mode: int, flags: int, asker: int = 0
    ) -> tuple[OpenFile, Attributes]:
        """Makes a file and opens it, and counts a lookup of it."""
        with self._telling.holding((parent,)):
            return self._create(parent, name, mode, flags, asker)

    def _create(
        self, parent: int, name: bytes, mode: int, flags: int, asker: int
    ) -> tuple[OpenFile, Attributes]:
        directory = self._directory(parent)
        request = self._request(directory, name)
        if request.node is not None:
            if flags & os.O_EXCL:
                raise ExistsError(request.name)
            found = self.lookup(parent, name, asker)
            self._tell_way(found.inode, (directory.key, request.name), flags, asker)
            try:
                opened = self.open(found.inode, flags, asker)
            except FileSystemError:
                self.forget(found.inode, 1)
                raise
            return opened, replace(self.getattr(found.inode), keep_name=False)
        node = perform(self._editing(), Operation.CREATE, request)
        assert isinstance(node, FileNode)
        self._overlay.write(node.release_id, request.name, node, lasting=True)
        inode = self._inodes.remember(node)
        inode.through, inode.called = directory.key, request.name
        self._inodes.opened_draft(inode)
        draft = self._start(inode, None, mode=mode & 0o777 | 0o600)
        handle = self._handles.add(FileHandle(inode, draft, writes=True, way=inode.way, opener=asker))
        self._forgetting.name_elsewhere(directory.key, request.name)
        return OpenFile(handle, keep_cache=True), self._attributes(inode)

    def opens_at_once(self, inode: int) -> bool:
        """Tells whether a file is opened for reading without waiting for a disk, and without asking the cache."""
        opened = self._inodes.get(inode)
        node = opened.node
        if not isinstance(node, FileNode) or opened.draft is not None or not self.is_known(inode):
            return False
        return node.content is not None or self._handles.disks.has_at_hand(node.path)

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        """Opens a file. Raises as for reading, and NotPermittedError, AccessDeniedError, SourceWriteError."""
        reads_only, truncates = flags & os.O_ACCMODE == os.O_RDONLY, bool(flags & os.O_TRUNC)
        if reads_only and not truncates:
            return self._open_to_read(inode, asker)
        self._editing()
        self._freshness.check()
        opened = self._current(inode)
        operation = Operation.TRUNCATE if truncates else Operation.WRITE
        way = self._way(opened, operation, asker)
        self._expect(opened, operation, way)
        if reads_only:
            self._truncate(opened, 0, None, way, asker)
            return self._open_to_read(inode, asker)
        handle, draft = self._open_to_write(opened, way, asker)
        if truncates:
            try:
                draft.truncate(0, by_opening=True)
            except FileSystemError:
                self.release(handle.handle)
                raise
        return handle

    def _open_to_write(self, inode: Inode, way: Way, asker: int) -> tuple[OpenFile, Draft]:
        self._inodes.opened_draft(inode)  # before it is looked at: with the last open file, a draft goes
        keep_cache, draft = True, inode.draft
        if draft is not None and draft.shown() is not None:
            draft.begin(None)
        else:
            self._discard(self._inodes.closed(inode))
            node = inode.node
            assert isinstance(node, FileNode)
            content = self._open(node)
            assert isinstance(content, SourceContent)
            path = Path(os.fsdecode(content.path))
            with refused(path):
                os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            keep_cache = self._inodes.opened(inode, content.stamp, content.identity_length)
            draft = self._start(inode, content)
        handle = self._handles.add(FileHandle(inode, draft, writes=True, way=way, opener=asker))
        return OpenFile(handle, keep_cache), draft

    def write(self, handle: int, offset: int, data: bytes) -> int:
        """Writes bytes, and returns how many. Raises SourceWriteError, and then the old file stays."""
        opened = self._handles.get(handle)
        if opened.inode.draft is None:
            raise ReadOnlyError("this file is open for reading")
        opened.inode.draft.write(offset, data)
        return len(data)

    def fsync(self, handle: int) -> None:
        """Has what was written flushed to the disk."""
        draft = self._handles.get(handle).inode.draft
        if draft is not None:
            draft.sync()

    def is_clean(self, handle: int) -> bool:
        """Tells whether closing a file has nothing to save."""
        opened = self._handles.get(handle)
        return not opened.writes or opened.inode.draft is None or opened.inode.draft.is_clean

    def flush(self, handle: int) -> None:
        """Saves what was written, when a program closes a file. Raises what saving does."""
        opened = self._handles.get(handle)
        if opened.writes and opened.inode.draft is not None:
            self._save(opened.inode, opened.inode.draft.flush)

    def release(self, handle: int) -> None:
        """Closes a file for good. No program waits for this, so what is not saved yet is saved in a moment."""
        opened = self._handles.get(handle)
        draft = opened.inode.draft
        if opened.writes and draft is not None and draft.end() and not draft.is_clean:
            self._later.at(
                self._clock(), ("save", handle), lambda: self._save_late(handle, opened.inode, draft)
            )
        else:
            super().release(handle)

    def _save_late(self, handle: int, inode: Inode, draft: Draft) -> None:
        try:
            if not draft.writers:
                self._save(inode, draft.save)
        except FileSystemError as error:
            log.warning("what was written to %s could not be saved: %s", draft.path, error)
        finally:
            super().release(handle)

    def setattr(self, inode: int, changes: Changes, handle: int | None = None, asker: int = 0) -> Attributes:
        """Sets size, times or permissions of a file, or times and permissions of a release's directory."""
        with self._telling.holding((inode,)):
            return self._setattr(inode, changes, handle, asker)

    def _setattr(self, inode: int, changes: Changes, handle: int | None, asker: int) -> Attributes:
        edits = self._editing()
        self._freshness.check()
        found = self._current(inode)
        look = self._appearance
        if changes.uid not in (None, look.uid) or changes.gid not in (None, look.gid):
            raise NotPermittedError("files belong to whoever mounted")
        way = self._way_to_set(found, changes, handle, asker)
        if changes.size is not None:
            self._truncate(found, changes.size, handle, way, asker)
        if changes.has_others:
            request = self._request_of(found, way, changes)
            draft = found.draft
            if draft is not None and draft.shown() is not None:
                perform(edits, Operation.SET_ATTRIBUTES, msgspec.structs.replace(request, changes=None))
                draft.set_attributes(changes)
            else:
                perform(edits, Operation.SET_ATTRIBUTES, request)
                if draft is not None:
                    draft.rebase()
        return self._attributes(self._current(inode))

    # Helpers --------------------------------------------------------------------------------------------

    def _tell_way(self, inode: int, way: Way, flags: int, asker: int) -> None:
        """Says where a file was found that is about to be opened, if it matters."""
        known = self._inodes.get(inode)
        if known.in_list is not None and flags & (os.O_ACCMODE | os.O_TRUNC) != os.O_RDONLY:
            operation = Operation.TRUNCATE if flags & os.O_TRUNC else Operation.WRITE
            self._ways.tell(asker, inode, operation, way)

    def _request(self, directory: DirectoryNode, name: bytes, *, to: Request | None = None) -> Request:
        self._editing()
        self._freshness.check()
        text = os.fsdecode(name)
        if not text.isascii() and directory.key.space != ARRIVAL:  # where names are those of the disk
            try:
                text = name.decode()
            except UnicodeDecodeError as error:
                raise InvalidRequestError(f"{text!r} is not UTF-8") from error
        node: Node | None
        try:
            node = self._find(directory, name)
        except NoEntryError:
            node = None
        return Request(directory.key, text, node, to)

    def _start(self, inode: Inode, content: SourceContent | None, *, mode: int = 0o644) -> Draft:
        """Returns the draft of an open file, which is begun if there is none, with one more writer."""

        def save_it(draft: Draft, spool: Spool) -> SourceContent:
            now = inode.node if draft.is_new else self._fresh(inode.node)
            assert isinstance(now, FileNode)
            saved: SourceContent | None = None
            with translated():
                saving = save_cover if now.key.space == PLAYLIST_COVER else save
                saved = saving(self._editing(), draft, spool, now)
            assert saved is not None
            return saved

        def where() -> Path:
            now = self._fresh(inode.node)
            assert isinstance(now, FileNode)
            return Path(os.fsdecode(now.path))

        with self._drafting:
            if inode.draft is None:
                inode.draft = Draft(where, content, save_it, mode=mode)
            inode.draft.begin(content)
            return inode.draft

    def _save(self, inode: Inode, saving: Callable[[], bool]) -> None:
        """Saves a draft, and has the kernel forget what is not true."""
        draft = inode.draft
        assert draft is not None
        was_new, was_saved = draft.is_new, draft.shown() is None
        try:
            stale = saving()
        except FileSystemError:
            if was_new:
                self._overlay.drop(inode.node.key)
            self._telling.drop_pages(inode.number)
            raise
        base = draft.base
        if draft.shown() is None and not was_saved and base is not None:
            written = self._overlay.resolve(inode.node.key)
            if isinstance(written, FileNode) and written.key == inode.node.key:
                written.size, written.mtime = base.size, base.mtime
                self._overlay.settle(written.key)
            self._editing().look()
            inode.stamp = base.stamp
        if stale:
            self._telling.drop_pages(inode.number)
        else:
            self._telling.wait()

    def _truncate(self, inode: Inode, size: int, handle: int | None, way: Way, asker: int) -> None:
        draft = inode.draft
        if handle is not None:
            # What was opened through a list stays so: an open file cannot become another one. There, editing in place
            # ends by cutting off, and copying begins so.
            directory, name = way
            in_list = directory is not None and place_of(directory) in OF_MEMBERS
            if in_list and (not size or draft is None or draft.shown() is None):
                raise NotPermittedError(f"{name}: a member is only cut off where it was written to")
        self._expect(inode, Operation.TRUNCATE if handle is None else Operation.WRITE, way)
        if draft is not None and draft.writers:
            # Without a handle it may be the second half of an open with O_TRUNC.
            draft.truncate(size, by_opening=handle is None and size == 0)
            return
        opened, draft = self._open_to_write(inode, way, asker)
        try:
            draft.truncate(size)
            self.flush(opened.handle)
            assert inode.stamp is not None
            inode.stamp = (*inode.stamp[:2], -1, -1)  # what the kernel has of it may be older: not to be kept
        finally:
            self.release(opened.handle)


def missing(name: bytes) -> NoEntryError:
    """Returns the error that there is no such name."""
    return NoEntryError(os.fsdecode(name))
