"""The binding to libfuse 2, by llfuse on threads: translates types and errors, and nothing else.

llfuse runs every handler under one lock of its own. What is answered from memory, or by a few short queries about one
thing, is answered under it; what may take longer, or touch the disk of the music, releases it. There is no READDIRPLUS,
and the answer to open cannot drop a file's cached pages, so they are dropped before it.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import llfuse

from rosefs.fuse.checks import explaining_refusal
from rosefs.fuse.companions import companions_in_thread
from rosefs.fuse.device import Device, open_devices
from rosefs.fuse.errnos import errno_for
from rosefs.fuse.following import follow
from rosefs.fuse.llfuse_signals import stopping_on_signals
from rosefs.fuse.operations import Operations
from rosefs.fuse.translation import (
    Companion,
    Timeouts,
    changes_of,
    fill_absent,
    fill_entry,
    fill_statvfs,
    trusted_timeouts,
)
from rosefs.vfs.errors import AbsentError, NoAttributeError, NotPermittedError, ReadOnlyError
from rosefs.vfs.model import Attributes, Kernel, OpenFile

P = ParamSpec("P")
T = TypeVar("T")

WORKERS = 24
"""Threads that answer requests: half as many again as read-aheads that the kernel has under way at once."""


def _handler(function: Callable[P, T]) -> Callable[P, T]:
    """Makes sure that a handler raises nothing but what llfuse answers; anything else would end the mount."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except llfuse.FUSEError:
            raise
        except Exception as error:
            raise llfuse.FUSEError(errno_for(error, function.__name__)) from error

    return guarded


class Handlers:
    """The kernel's requests as calls of a tree. llfuse documents each method, in its class ``Operations``."""

    def __init__(
        self, tree: Operations, kernel: Kernel, timeouts: Timeouts, on_start: Callable[[], None]
    ) -> None:
        self._tree = tree
        self._kernel = kernel
        self._timeouts = timeouts
        self._on_start = on_start
        tree.connect(kernel)

    @_handler
    def init(self) -> None:
        self._timeouts = trusted_timeouts(self._kernel, self._timeouts)
        with llfuse.lock_released:
            self._on_start()

    def destroy(self) -> None:
        """Nothing to clean up: the tree belongs to whoever made it."""

    # Names and attributes --------------------------------------------------------------------------------

    @_handler
    def lookup(self, parent_inode: int, name: bytes, ctx: Any) -> Any:
        try:
            found = self._ask(
                self._tree.is_cheap(parent_inode, name), self._tree.lookup, parent_inode, name, ctx.pid
            )
        except AbsentError:
            return fill_absent(llfuse.EntryAttributes(), self._timeouts)
        return self._entry(found)

    @_handler
    def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, count in inode_list:
            self._tree.forget(inode, count)

    @_handler
    def getattr(self, inode: int, ctx: Any) -> Any:
        found = self._ask(self._tree.is_known(inode), self._tree.getattr, inode)
        return self._entry(found)

    @_handler
    def getxattr(self, inode: int, name: bytes, ctx: Any = None) -> bytes:
        # llfuse also asks by itself, and without a context, before it sets an attribute that has to be new.
        if not self._tree.has_attribute(inode, name):
            raise NoAttributeError(name.decode("utf-8", "backslashreplace"))
        with llfuse.lock_released:
            return self._tree.getxattr(inode, name)

    @_handler
    def listxattr(self, inode: int, ctx: Any) -> Sequence[bytes]:
        return self._ask(self._tree.is_known(inode), self._tree.listxattr, inode)

    @_handler
    def statfs(self, ctx: Any) -> Any:
        with llfuse.lock_released:
            numbers = self._tree.statfs()
        return fill_statvfs(llfuse.StatvfsData(), numbers)

    # Directories -----------------------------------------------------------------------------------------

    @_handler
    def opendir(self, inode: int, ctx: Any) -> int:
        return inode  # what it lists is found out when it is read

    def readdir(self, fh: int, off: int) -> Iterator[tuple[bytes, Any, int]]:
        # A generator runs after its call has returned, so the guard of the other handlers would see nothing.
        try:
            for entry in self._ask(self._tree.is_cheap(fh), self._tree.entries, fh, off):
                self._tree.forget(entry.attributes.inode, 1)  # the kernel is told of names only
                attributes = fill_entry(llfuse.EntryAttributes(), entry.attributes, self._timeouts)
                yield entry.name, attributes, entry.offset
        except Exception as error:
            raise llfuse.FUSEError(errno_for(error, "readdir")) from error

    @_handler
    def releasedir(self, fh: int) -> None:
        """Nothing is kept of an open directory."""

    # Files -----------------------------------------------------------------------------------------------

    @_handler
    def open(self, inode: int, flags: int, ctx: Any) -> int:
        with llfuse.lock_released:
            opened = self._tree.open(inode, flags, ctx.pid)
        return self._opened(inode, opened)

    @_handler
    def read(self, fh: int, off: int, size: int) -> bytes:
        with llfuse.lock_released:
            return self._tree.read(fh, off, size)

    @_handler
    def flush(self, fh: int) -> None:
        if not self._tree.writable:
            raise llfuse.FUSEError(errno.ENOSYS)  # then the kernel does not ask again
        if not self._tree.is_clean(fh):
            with llfuse.lock_released:
                self._tree.flush(fh)

    @_handler
    def release(self, fh: int) -> None:
        self._tree.release(fh)

    # What changes something --------------------------------------------------------------------------------

    @_handler
    def create(self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: Any) -> tuple[int, Any]:
        with llfuse.lock_released:
            opened, attributes = self._tree.create(parent_inode, name, mode, flags, ctx.pid)
        return self._opened(attributes.inode, opened), self._entry(attributes)

    @_handler
    def write(self, fh: int, off: int, buf: bytes) -> int:
        with llfuse.lock_released:
            return self._tree.write(fh, off, buf)

    @_handler
    def fsync(self, fh: int, datasync: bool) -> None:
        with llfuse.lock_released:
            self._tree.fsync(fh)

    @_handler
    def setattr(self, inode: int, attr: Any, fields: Any, fh: int | None, ctx: Any) -> Any:
        changes = changes_of(attr, fields)
        with llfuse.lock_released:
            attributes = self._tree.setattr(inode, changes, fh, ctx.pid)
        return self._entry(attributes)

    @_handler
    def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: Any) -> Any:
        with llfuse.lock_released:
            attributes = self._tree.mkdir(parent_inode, name)
        return self._entry(attributes)

    @_handler
    def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        with llfuse.lock_released:
            self._tree.unlink(parent_inode, name)

    @_handler
    def rmdir(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        with llfuse.lock_released:
            self._tree.rmdir(parent_inode, name)

    @_handler
    def rename(
        self, parent_inode_old: int, name_old: bytes, parent_inode_new: int, name_new: bytes, ctx: Any
    ) -> None:
        with llfuse.lock_released:
            self._tree.rename(parent_inode_old, name_old, parent_inode_new, name_new, 0)

    @_handler
    def setxattr(self, inode: int, name: bytes, value: bytes, ctx: Any) -> None:
        with llfuse.lock_released:
            self._tree.setxattr(inode, name, value)

    @_handler
    def removexattr(self, inode: int, name: bytes, ctx: Any) -> None:
        with llfuse.lock_released:
            self._tree.removexattr(inode, name)

    @_handler
    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotPermittedError if self._tree.writable else ReadOnlyError

    mknod = symlink = link = _refuse

    def _leave_to_kernel(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise llfuse.FUSEError(errno.ENOSYS)

    access = fsyncdir = readlink = _leave_to_kernel

    def stacktrace(self) -> None:
        """llfuse's own debugging aid, which this file system does without."""

    # Helpers ---------------------------------------------------------------------------------------------

    def _ask(self, is_cheap: bool, question: Callable[..., T], *args: int | bytes) -> T:
        """Asks the tree under llfuse's lock if it answers by a few short queries at most, and without it otherwise."""
        if is_cheap:
            return question(*args)
        with llfuse.lock_released:
            return question(*args)

    def _opened(self, inode: int, opened: OpenFile) -> int:
        if not opened.keep_cache:
            # llfuse cannot say so in the answer, so the pages have to go before it.
            with llfuse.lock_released:
                self._tree.drop_pages(inode)
        return opened.handle

    def _entry(self, attributes: Attributes) -> Any:
        return fill_entry(llfuse.EntryAttributes(), attributes, self._timeouts)


def serve(
    tree: Operations,
    mountpoint: Path,
    options: frozenset[str],
    timeouts: Timeouts,
    on_ready: Callable[[], None],
    companions: Sequence[Companion],
) -> None:
    """Mounts and serves a tree: see ``translation.Serve``."""
    kernel = Device()
    # As long as requests are answered, of which what is being told to the kernel may have to wait for one.
    stopping = stopping_on_signals(first=tree.disconnect)
    beside = companions_in_thread([functools.partial(follow, tree), *companions])
    with beside as begin_companions, stopping as begin_stopping:

        def start() -> None:
            begin_stopping()
            on_ready()
            begin_companions()

        handlers = Handlers(tree, kernel, timeouts, start)
        others = open_devices()
        with explaining_refusal(mountpoint):
            llfuse.init(handlers, str(mountpoint), {*llfuse.default_options, "atomic_o_trunc", *options})
        try:
            kernel.attach(*(open_devices() - others))
            llfuse.main(workers=WORKERS)
        finally:
            tree.disconnect()
            kernel.close()
            llfuse.close(unmount=True)
