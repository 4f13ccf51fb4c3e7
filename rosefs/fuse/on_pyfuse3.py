"""The binding to libfuse 3, by pyfuse3 on trio: translates types and errors, and nothing else.

What is answered from memory, or by a few short queries about one thing, is answered on the event loop: to hand it to
a thread would cost more than that. What may take longer, as listing a whole view does, runs in worker threads, and what
waits for the music in threads of its own, so that a slow disk stalls nobody but its readers.
Directories are answered together with the attributes of what is in them (READDIRPLUS).
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import pyfuse3
import trio

from rosefs.fuse.checks import explaining_refusal
from rosefs.fuse.companions import run_companions
from rosefs.fuse.errnos import errno_for
from rosefs.fuse.following import follow
from rosefs.fuse.operations import Operations
from rosefs.fuse.requests import Requests
from rosefs.fuse.translation import (
    STOP_SIGNALS,
    Companion,
    Timeouts,
    changes_of,
    fill_absent,
    fill_entry,
    fill_statvfs,
    refill_entry,
    trusted_timeouts,
)
from rosefs.fuse.waiting import Turns
from rosefs.vfs.errors import AbsentError, NoAttributeError, NotPermittedError, ReadOnlyError
from rosefs.vfs.listings import HERE
from rosefs.vfs.model import Attributes, OpenFile

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

QUERY_THREADS = 8
READ_THREADS = 64
"""For all that may wait for the disk with the music: opening a file on it, too, and asking how full it is."""
EDIT_THREADS = 16
"""Apart from queries: an edit may wait long for another program that has its release locked."""
MAX_REQUESTS = 512
"""Requests in work or waiting at once. Far above READ_THREADS: a read that waits for a thread is one too."""


def _handler(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Makes sure that a handler raises nothing but what pyfuse3 answers; anything else would end the mount."""

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except Exception as error:
            raise pyfuse3.FUSEError(errno_for(error, function.__name__)) from error

    return guarded


class Handlers(pyfuse3.Operations):
    """The kernel's requests as calls of a tree. pyfuse3 documents each method."""

    def __init__(self, tree: Operations, timeouts: Timeouts, requests: Requests, turns: Turns) -> None:
        super().__init__()
        self.started = trio.Event()
        """Set when the kernel has made contact."""
        self._tree = tree
        self._requests = requests
        self._turns = turns
        self._kernel = _Kernel()
        self._wanted_timeouts = timeouts
        self._timeouts = timeouts.untold()
        self._queries = trio.CapacityLimiter(QUERY_THREADS)
        self._reads = trio.CapacityLimiter(READ_THREADS)
        self._edits = trio.CapacityLimiter(EDIT_THREADS)
        tree.connect(self._kernel)

    def init(self) -> None:
        self.started.set()

    def trust_kernel(self) -> None:
        """Lets the kernel keep answers for longer, if it can be told when they are not true any more."""
        self._timeouts = trusted_timeouts(self._kernel, self._wanted_timeouts)

    # Names and attributes --------------------------------------------------------------------------------

    @_handler
    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        try:
            is_cheap = self._tree.is_cheap(parent_inode, name)
            found = await self._ask(is_cheap, self._tree.lookup, parent_inode, name, ctx.pid)
        except AbsentError:
            return fill_absent(pyfuse3.EntryAttributes(), self._timeouts)
        return self._entry(found)

    @_handler
    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for inode, count in inode_list:
            self._tree.forget(inode, count)

    @_handler
    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return self._entry(await self._ask(self._tree.is_known(inode), self._tree.getattr, inode))

    @_handler
    async def getxattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        if not self._tree.has_attribute(inode, name):
            raise NoAttributeError(name.decode("utf-8", "backslashreplace"))
        return await self._in_thread(self._queries, self._tree.getxattr, inode, name)

    @_handler
    async def listxattr(self, inode: int, ctx: pyfuse3.RequestContext) -> Sequence[bytes]:
        return await self._ask(self._tree.is_known(inode), self._tree.listxattr, inode)

    @_handler
    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        numbers = await self._in_thread(self._reads, self._tree.statfs)
        return fill_statvfs(pyfuse3.StatvfsData(), numbers)

    # Directories -----------------------------------------------------------------------------------------

    @_handler
    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        may_keep = self._timeouts == self._wanted_timeouts and self._requests.may_list_unopened
        if may_keep and self._requests.inode == inode:
            # Then the kernel never asks again, opens all directories by itself, and keeps what they list.
            self._kernel.keeps_listings = True
            raise pyfuse3.FUSEError(errno.ENOSYS)
        return inode  # what it lists is found out when it is read

    @_handler
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        inode = fh or self._requests.inode
        filled, fill = pyfuse3.EntryAttributes(), fill_entry
        if not start_id:
            # A kept listing is dropped by dropping its pages, and of nothing at all there would be none.
            filled.st_ino, filled.st_mode = inode, stat.S_IFDIR
            pyfuse3.readdir_reply(token, b".", filled, HERE)
        for name, attributes, offset in await self._ask(
            self._tree.is_cheap(inode), self._tree.entries, inode, start_id
        ):
            if not pyfuse3.readdir_reply(token, name, fill(filled, attributes, self._timeouts), offset):
                self._tree.forget(attributes.inode, 1)
                break
            fill = refill_entry

    @_handler
    async def releasedir(self, fh: int) -> None:
        """Nothing is kept of an open directory."""

    # Files -----------------------------------------------------------------------------------------------

    @_handler
    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        reads = flags & (os.O_ACCMODE | os.O_TRUNC) == os.O_RDONLY
        if reads and self._tree.opens_at_once(inode):
            return self._opened(inode, self._tree.open(inode, flags, ctx.pid))
        limiter = self._reads if reads else self._edits
        opened = await self._in_thread(limiter, self._tree.open, inode, flags, ctx.pid)
        return self._opened(inode, opened)

    @_handler
    async def read(self, fh: int, off: int, size: int) -> bytes:
        data = self._tree.read_now(fh, off, size)
        if data is None:
            data = await self._in_thread(self._reads, self._tree.read, fh, off, size)
        return data

    @_handler
    async def flush(self, fh: int) -> None:
        if not self._tree.writable:
            raise pyfuse3.FUSEError(errno.ENOSYS)  # then the kernel does not ask again
        if not self._tree.is_clean(fh):
            await self._edit(self._tree.flush, fh)

    @_handler
    async def release(self, fh: int) -> None:
        self._tree.release(fh)

    # What changes something ------------------------------------------------------------------------------

    @_handler
    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        opened, attributes = await self._edit(self._tree.create, parent_inode, name, mode, flags, ctx.pid)
        return self._opened(attributes.inode, opened), self._entry(attributes)

    @_handler
    async def write(self, fh: int, off: int, buf: bytes) -> int:
        return await self._edit(self._tree.write, fh, off, buf)

    @_handler
    async def fsync(self, fh: int, datasync: bool) -> None:
        if not self._tree.is_clean(fh):
            await self._edit(self._tree.fsync, fh)

    @_handler
    async def setattr(
        self, inode: int, attr: pyfuse3.EntryAttributes, fields: pyfuse3.SetattrFields, fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:  # fmt: skip
        return self._entry(await self._edit(self._tree.setattr, inode, changes_of(attr, fields), fh, ctx.pid))

    @_handler
    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._entry(await self._edit(self._tree.mkdir, parent_inode, name))

    @_handler
    async def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        await self._edit(self._tree.unlink, parent_inode, name)

    @_handler
    async def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        await self._edit(self._tree.rmdir, parent_inode, name)

    @_handler
    async def rename(
        self, parent_inode_old: int, name_old: bytes, parent_inode_new: int, name_new: bytes, flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:  # fmt: skip
        await self._edit(self._tree.rename, parent_inode_old, name_old, parent_inode_new, name_new, flags)

    @_handler
    async def setxattr(self, inode: int, name: bytes, value: bytes, ctx: pyfuse3.RequestContext) -> None:
        await self._edit(self._tree.setxattr, inode, name, value)

    @_handler
    async def removexattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        await self._edit(self._tree.removexattr, inode, name)

    @_handler
    async def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotPermittedError if self._tree.writable else ReadOnlyError

    mknod = symlink = link = _refuse

    # Helpers ---------------------------------------------------------------------------------------------

    async def _ask(self, is_cheap: bool, question: Callable[..., T], *args: int | bytes) -> T:
        """Asks the tree here if it answers by a few short queries at most, and in a thread otherwise."""
        if is_cheap:
            return question(*args)
        return await self._in_thread(self._queries, question, *args)

    async def _edit(self, edit: Callable[..., T], *args: Any) -> T:
        return await self._in_thread(self._edits, edit, *args)

    async def _in_thread(self, limiter: trio.CapacityLimiter, function: Callable[..., T], *args: Any) -> T:
        """Has a thread do something: the only way in which a handler may wait, as meanwhile others are answered."""
        self._turns.pass_on()
        return await trio.to_thread.run_sync(function, *args, limiter=limiter)

    def _opened(self, inode: int, opened: OpenFile) -> pyfuse3.FileInfo:
        if not opened.keep_cache:
            # The pages go with the answer. The attributes go before it, or a file that has grown would be read
            # up to its old size; they alone, since more could wait for a request that waits for us.
            with suppress(OSError):
                self._kernel.forget_attributes(inode)
        return pyfuse3.FileInfo(fh=opened.handle, keep_cache=opened.keep_cache)

    def _entry(self, attributes: Attributes) -> pyfuse3.EntryAttributes:
        return fill_entry(pyfuse3.EntryAttributes(), attributes, self._timeouts)


class _Kernel:
    """The kernel, to be told what it must not remember any more: ``vfs.model.Kernel``."""

    keeps_listings = False

    def forget_entry(self, parent: int, name: bytes) -> bool:
        return _is_known(pyfuse3.invalidate_entry, parent, name)

    def forget_attributes(self, inode: int) -> bool:
        return _is_known(pyfuse3.invalidate_inode, inode, attr_only=True)

    def drop_pages(self, inode: int) -> bool:
        return _is_known(pyfuse3.invalidate_inode, inode)


def _is_known(tell: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
    try:
        tell(*args, **kwargs)
    except FileNotFoundError:
        return False
    return True


def serve(
    tree: Operations,
    mountpoint: Path,
    options: frozenset[str],
    timeouts: Timeouts,
    on_ready: Callable[[], None],
    companions: Sequence[Companion],
) -> None:
    """Mounts and serves a tree: see ``translation.Serve``."""
    trio.run(_serve, tree, mountpoint, options, timeouts, on_ready, companions)


async def _serve(
    tree: Operations,
    mountpoint: Path,
    options: frozenset[str],
    timeouts: Timeouts,
    on_ready: Callable[[], None],
    companions: Sequence[Companion],
) -> None:
    requests, turns = Requests(), Turns()
    handlers = Handlers(tree, timeouts, requests, turns)
    # Signals first: one that came between mounting and this would leave a dead mount.
    with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
        with explaining_refusal(mountpoint):
            more = requests.listen(pyfuse3.__file__)
            pyfuse3.init(handlers, str(mountpoint), {*pyfuse3.default_options, *options, *more})
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_terminate_on, signals, tree)
                nursery.start_soon(_accompany, tree, handlers, on_ready, companions)
                pyfuse3.trio = turns  # type: ignore[attr-defined]
                await pyfuse3.main(max_tasks=MAX_REQUESTS)
                nursery.cancel_scope.cancel()
        finally:
            pyfuse3.trio = trio  # type: ignore[attr-defined]
            tree.disconnect()
            pyfuse3.close(unmount=True)


async def _terminate_on(signals: AsyncIterator[int], tree: Operations) -> None:
    async for number in signals:
        log.info("ends on %s", signal.Signals(number).name)
        # As long as requests are answered, of which what is being told to the kernel may have to wait for one.
        await trio.to_thread.run_sync(tree.disconnect)
        pyfuse3.terminate()


async def _accompany(
    tree: Operations, handlers: Handlers, on_ready: Callable[[], None], companions: Sequence[Companion]
) -> None:
    await handlers.started.wait()
    handlers.trust_kernel()
    on_ready()
    await run_companions([functools.partial(follow, tree), *companions])
