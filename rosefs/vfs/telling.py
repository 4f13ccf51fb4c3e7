"""Telling the kernel what to forget: in threads of its own, which hold no lock while they do.

The kernel may keep such a message waiting until a request on the same directory or file is answered. So none is
sent by who works for a request, and none about a directory that a write operation in progress is about: those follow
its answer. What is to be told is gathered first, so that the same thing is told once. Nothing here knows why.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from rosefs.vfs.model import Kernel

log = logging.getLogger(__name__)

PATIENCE = 0.05
"""Seconds for which an operation waits until the kernel was told what it changed elsewhere."""

PAGES_PATIENCE = 1.0
"""Seconds for which an operation waits until the kernel has dropped pages that would be read wrongly after it. They
may have to wait for a slow disk."""

_THREADS = 4
"""One message that has to wait must not keep back the others."""

_NO_NAME = b"\x01"
"""A name that no directory has. To be told of any name, the kernel waits until nobody is reading the directory."""

_PAGES_AT_ONCE = 50
_END_PATIENCE = 5.0


class Telling:
    """Messages to the kernel. Safe to use from several threads at once.

    Attributes:
        told: How many messages were sent.
    """

    def __init__(self) -> None:
        self.told = 0
        self._kernel: Kernel | None = None
        self._changed = threading.Condition()
        self._work: deque[Callable[[], None]] = deque()
        self._is_working = False
        self._names: dict[int, set[bytes]] = {}
        self._listings: set[int] = set()
        self._dropping_listings = 0
        self._listed: set[int] = set()
        self._attributes: set[int] = set()
        self._pages: set[int] = set()
        self._dropping: Counter[int] = Counter()
        self._unknown: set[int] = set()
        self._told_again: set[int] = set()
        self._held: Counter[int] = Counter()
        self._running = 0
        self._threads: list[threading.Thread] = []

    # What there is to tell ------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a kernel to tell."""
        return self._kernel is not None

    def connect(self, kernel: Kernel) -> None:
        """Tells this kernel from now on."""
        self._kernel = kernel

    def find_out(self, work: Callable[[], None]) -> None:
        """Has a thread find out what there is to tell; one piece of work after the other."""
        self._add(lambda: self._work.append(work))

    def entries(self, directory: int, names: Iterable[bytes]) -> None:
        """Has it forget names in a directory. For none, as where one is listed first, no thread is woken."""
        if told := set(names):
            self._add(lambda: self._names.setdefault(directory, set()).update(told))

    def listing(self, directory: int) -> None:
        """Has it forget what a directory lists: now, and again when whoever is reading it has got the answer.

        An answer from before the change may be on its way, and is kept when it arrives.
        """
        kernel = self._kernel
        if kernel is not None and kernel.keeps_listings:
            self._add(lambda: self._add_listing(directory))

    def _add_listing(self, directory: int) -> None:
        self._listings.add(directory)
        self._listed.add(directory)
        self._names.setdefault(directory, set())

    def attributes(self, inode: int) -> None:
        """Has it forget attributes."""
        self._add(lambda: self._attributes.add(inode))

    def pages(self, inode: int) -> None:
        """Has it forget content and attributes."""
        self._add(lambda: self._pages.add(inode))

    def tell_again(self) -> None:
        """Tells once more of what the kernel did not know: an answer about it may have been on its way."""
        with self._changed:
            self._told_again, self._unknown = self._unknown, set()
            again = self._told_again
        if again:
            self._add(lambda: self._attributes.update(again))

    # Waiting --------------------------------------------------------------------------------------------

    @contextmanager
    def holding(self, inodes: Iterable[int]) -> Iterator[None]:
        """Tells nothing of these directories' names while the block runs.

        For operations during which the kernel keeps them locked. At the end it is waited for a moment until
        everything else was told.
        """
        held = list(inodes)
        with self._changed:
            self._held.update(held)
        try:
            yield
            self.wait()
        finally:
            with self._changed:
                self._held.subtract(held)
                self._held += Counter()  # without those that nobody holds
                self._changed.notify_all()

    def wait(self, seconds: float = PATIENCE) -> bool:
        """Waits until everything was told, but for what is held; returns whether it was.

        For listings longer than for the rest: telling of them waits for nothing the first time.
        """
        with self._changed:
            self._wait_for_listings(max(seconds, PAGES_PATIENCE))
            return self._changed.wait_for(self._is_done, seconds)

    def drop_listing(self, directory: int) -> None:
        """Has it forget what a directory lists, and waits for a moment until it has been told for the first time.

        The kernel begins to use what was listed when it is told that this is all: here, it has nothing any more then.
        """
        self.listing(directory)
        with self._changed:
            self._wait_for_listings(PATIENCE)

    def _wait_for_listings(self, seconds: float) -> None:
        self._changed.wait_for(lambda: not (self._listings or self._dropping_listings), seconds)

    def drop_pages(self, inode: int) -> None:
        """Has it forget content and attributes, and waits until it did, or cannot now."""
        self.pages(inode)
        with self._changed:
            self._changed.wait_for(
                lambda: inode not in self._pages and not self._dropping[inode], PAGES_PATIENCE
            )

    def end(self) -> None:
        """Tells nothing any more. What is being told is waited for, as the kernel's session must outlive it."""
        with self._changed:
            self._kernel = None
            for waiting in (
                self._work,
                self._names,
                self._attributes,
                self._pages,
                self._unknown,
                self._listings,
            ):
                waiting.clear()
            self._changed.notify_all()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(_END_PATIENCE)

    # The threads ----------------------------------------------------------------------------------------

    def _add(self, add: Callable[[], object]) -> None:
        with self._changed:
            if self._kernel is None:
                return
            add()
            while len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._run, name=f"telling {len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def _is_done(self) -> bool:
        nothing_left = not (self._work or self._attributes or self._pages or self._listings or self._running)
        return nothing_left and all(self._held[directory] for directory in self._names)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (task := self._take()) is None:
                    if self._kernel is None:
                        return
                    self._changed.wait()
                self._running += 1
            try:
                task()
            except Exception:
                # One failure must not end a thread that everything else needs.
                log.exception("the kernel may not have been told everything that changed")
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

    def _take(self) -> Callable[[], None] | None:
        """Returns what a thread is to do next, if there is anything."""
        kernel = self._kernel
        if kernel is None:
            return None
        if self._listings:
            listings, self._listings = self._listings, set()
            self._dropping_listings += 1
            return partial(self._drop_listings, kernel, listings)
        if self._work and not self._is_working:
            self._is_working = True
            return partial(self._find_out, self._work.popleft())
        if self._attributes:
            inodes, self._attributes = self._attributes, set()
            return partial(self._tell_all, kernel.forget_attributes, inodes)
        for directory in self._names:
            if not self._held[directory]:
                is_listed = directory in self._listed
                self._listed.discard(directory)
                return partial(self._tell_names, kernel, directory, self._names.pop(directory), is_listed)
        if self._pages:
            some = {self._pages.pop() for _ in range(min(len(self._pages), _PAGES_AT_ONCE))}
            self._dropping.update(some)
            return partial(self._drop_pages, kernel, some)
        return None

    def _find_out(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._is_working = False

    def _tell_all(self, tell: Callable[[int], bool], inodes: Iterable[int]) -> None:
        for inode in inodes:
            if not self._tell(tell, inode) and inode not in self._told_again:
                with self._changed:
                    self._unknown.add(inode)

    def _drop_pages(self, kernel: Kernel, inodes: Iterable[int]) -> None:
        try:
            self._tell_all(kernel.drop_pages, inodes)
        finally:
            with self._changed:
                self._dropping.subtract(inodes)
                self._dropping += Counter()  # without those that are done

    def _drop_listings(self, kernel: Kernel, directories: Iterable[int]) -> None:
        try:
            for directory in directories:
                self._tell(kernel.drop_pages, directory)
        finally:
            with self._changed:
                self._dropping_listings -= 1

    def _tell_names(self, kernel: Kernel, directory: int, names: set[bytes], is_listed: bool) -> None:
        for name in names:
            self._tell(kernel.forget_entry, directory, name)
        if is_listed:
            if not names:
                self._tell(kernel.forget_entry, directory, _NO_NAME)
            self._tell(kernel.drop_pages, directory)

    def _tell(self, tell: Callable[..., bool], *args: int | bytes) -> bool:
        if self._kernel is None:
            return True
        self.told += 1
        try:
            return tell(*args)
        except OSError as error:
            log.debug("the kernel does not listen: %s", error)
            return True
