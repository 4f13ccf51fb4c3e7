"""Lock files by which threads and processes take turns, retried actively.

The operating system holds the lock (``flock``, through filelock), so the end of a process, however it comes,
frees what it held. The files stay: removing a lock file would let two holders lock two different files.
Whoever needs several locks takes releases first, then collages, then playlists, each in order of name.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.temporary import make_private_directory

DEFAULT_TIMEOUT = 30.0
"""Seconds to wait for a lock before giving up."""

_FIRST_WAIT = 0.0005
_LONGEST_WAIT = 0.02
_GROWTH = 1.5


class _Held(threading.local):
    def __init__(self) -> None:
        self.depths: dict[str, int] = {}


_held = _Held()


@functools.lru_cache(maxsize=8)
def _lock_directory(cache_dir: Path) -> Path:
    directory = cache_dir / "locks"
    make_private_directory(directory)
    return directory


def lock_path(c: Config, name: str) -> Path:
    """Returns the file of a lock. Its name is a hash, since a lock's name may hold anything at any length."""
    digest = hashlib.blake2b(os.fsencode(name), digest_size=12).hexdigest()
    return _lock_directory(c.cache_dir) / f"{digest}.lock"


@contextmanager
def lock(c: Config, name: str, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
    """Holds the lock of that name for the block; the same thread may take it again inside.

    Waits by trying again at short, growing, jittered intervals, so that a freed lock is taken within
    milliseconds, not at the end of a timeout.

    Args:
        c: Whose cache directory holds the lock files.
        name: Any text.
        timeout: Seconds; 0 tries once.

    Raises:
        LockTimeoutError: It was not free in time; the error says who holds it.
    """
    path = str(lock_path(c, name))
    depth = _held.depths.get(path, 0)
    if depth:
        _held.depths[path] = depth + 1
        try:
            yield
        finally:
            _held.depths[path] -= 1
        return
    file_lock = FileLock(path, timeout=0, thread_local=False, mode=0o600)
    wait_until(lambda: _try(file_lock), name, timeout, lambda: _read_holder(path))
    _held.depths[path] = 1
    try:
        yield
    finally:
        del _held.depths[path]
        file_lock.release()


def wait_until(
    attempt: Callable[[], bool],
    name: str,
    timeout: float = DEFAULT_TIMEOUT,
    holder: Callable[[], str] = str,
) -> None:
    """Repeats an attempt at short, growing, jittered intervals until it succeeds.

    Raises:
        LockTimeoutError: It did not within ``timeout`` seconds; ``holder`` is asked for who is in the way.
    """
    deadline = time.monotonic() + timeout
    wait = _FIRST_WAIT
    while not attempt():
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockTimeoutError(name, timeout, holder())
        time.sleep(min(left, wait * random.uniform(0.5, 1.0)))
        wait = min(wait * _GROWTH, _LONGEST_WAIT)


def _try(file_lock: FileLock) -> bool:
    try:
        file_lock.acquire(blocking=False)
    except TimeoutError:
        return False
    return True


def _read_holder(path: str) -> str:
    """Returns who holds a lock file, from the kernel's list of locks (proc_locks(5))."""
    with suppress(OSError, IndexError, ValueError):
        status = os.stat(path)
        file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5] == file:
                command = Path(f"/proc/{int(fields[4])}/cmdline").read_bytes().replace(b"\0", b" ")
                return f"process {fields[4]} ({os.fsdecode(command).strip()[:200]})"
    return ""
