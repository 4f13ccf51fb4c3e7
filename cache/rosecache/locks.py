"""Locks by name, by which threads and processes take turns, retried actively.

All of them are in one lock file, each on a byte of its own: a file for each release would cost more to make than the
release takes to be read. The operating system holds them (open file description locks, fcntl(2)), so the end of a
process, however it comes, frees what it held. Whoever needs several locks takes releases first, then collages, then
playlists, each in order of name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.temporary import make_private_directory

DEFAULT_TIMEOUT = 30.0
"""Seconds to wait for a lock before giving up."""

_FIRST_WAIT = 0.0005
_LONGEST_WAIT = 0.02
_GROWTH = 1.5

_LOCK = struct.Struct("hhqqi")
"""The system's ``struct flock``: kind, from where the place counts, place, length, process."""


class _Held(threading.local):
    def __init__(self) -> None:
        self.depths: dict[tuple[str, int], int] = {}


_held = _Held()


def lock_path(c: Config) -> Path:
    """Returns the file of all locks."""
    return c.cache_dir / "locks" / "all.lock"


def place_of(name: str) -> int:
    """Returns which byte of the lock file is a lock's: a hash, since a lock's name may hold anything at any length."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest()) >> 2


@contextmanager
def lock(c: Config, name: str, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
    """Holds the lock of that name for the block; the same thread may take it again inside.

    Waits by trying again at short, growing, jittered intervals, so that a freed lock is taken within
    milliseconds, not at the end of a timeout.

    Args:
        c: Whose cache directory holds the lock file.
        name: Any text.
        timeout: Seconds; 0 tries once, and does not find out who holds it.

    Raises:
        LockTimeoutError: It was not free in time; after any wait the error says who holds it.
    """
    path, place = str(lock_path(c)), place_of(name)
    depth = _held.depths.get((path, place), 0)
    if depth:
        _held.depths[path, place] = depth + 1
        try:
            yield
        finally:
            _held.depths[path, place] -= 1
        return
    descriptors: list[int] = []
    try:
        wait_until(lambda: _try(path, place, descriptors), name, timeout, lambda: _read_holder(path, place))
        _held.depths[path, place] = 1
        try:
            yield
        finally:
            del _held.depths[path, place]
    finally:
        for descriptor in descriptors:
            _free(descriptor, place)


def wait_until(
    attempt: Callable[[], bool],
    name: str,
    timeout: float = DEFAULT_TIMEOUT,
    holder: Callable[[], str] = str,
) -> None:
    """Repeats an attempt at short, growing, jittered intervals until it succeeds.

    Raises:
        LockTimeoutError: It did not within ``timeout`` seconds; after any wait ``holder`` is asked who is in the way.
    """
    deadline = time.monotonic() + timeout
    wait = _FIRST_WAIT
    while not attempt():
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockTimeoutError(name, timeout, holder() if timeout else "")
        time.sleep(min(left, wait * random.uniform(0.5, 1.0)))
        wait = min(wait * _GROWTH, _LONGEST_WAIT)


def _try(path: str, place: int, descriptors: list[int]) -> bool:
    """Tries to take a lock once. The descriptor that holds it, if it does, is added to the list."""
    descriptor = _open(path)
    descriptors.append(descriptor)
    try:
        _set(descriptor, fcntl.F_WRLCK, place)
        if os.fstat(descriptor).st_nlink:
            return True  # and no file that somebody has removed, beside which there may be another one by now
    except BlockingIOError:
        pass
    descriptors.remove(descriptor)
    os.close(descriptor)
    return False


def _free(descriptor: int, place: int) -> None:
    try:
        # To close it is not enough while a process that was forked meanwhile has the same description open.
        _set(descriptor, fcntl.F_UNLCK, place)
    finally:
        os.close(descriptor)


def _set(descriptor: int, kind: int, place: int) -> None:
    # Of an open file description, not of the process: other threads of it wait, too.
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, place, 1, 0))


def _open(path: str) -> int:
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            make_private_directory(Path(path).parent)


def _read_holder(path: str, place: int) -> str:
    """Returns who holds a lock, from what the kernel says of the processes' open files (proc_pid_fdinfo(5))."""
    with suppress(OSError):
        status = os.stat(path)
        file = (
            f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino} {place} {place}\n"
        )
        for found in Path("/proc").glob("[0-9]*/fdinfo/*"):
            with suppress(OSError):  # another user's, or gone
                if file in found.read_text(encoding="ascii"):
                    process = found.parts[2]
                    command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ")
                    return f"process {process} ({os.fsdecode(command).strip()[:200]})"
    return ""
