"""Ending llfuse on a signal, every time: llfuse alone misses its own wake-up now and then.

Its workers look whether to end and then wait for a request; the signal by which it wakes them is lost on one
that is between the two, and ``llfuse.main`` waits for that one for good. (Seen with llfuse 1.5.2: twice in 60
stops of a mount just made, on a busy machine.) So the workers are woken here until all have ended.

Knows nothing of requests or of the tree.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rosefs.fuse.translation import STOP_SIGNALS

_WAKE = signal.SIGUSR1
"""What llfuse has a handler for that does nothing but interrupt a wait."""

_INTERVAL = 0.02
"""Seconds between two attempts to wake the workers."""


@contextmanager
def stopping_on_signals() -> Iterator[Callable[[], None]]:
    """Lets the stop signals end ``llfuse.main``, which has to run within the block, in the main thread.

    Gives a function to be called once ``llfuse.main`` has put up its signal handlers. Signals that come
    earlier are kept until then: unhandled they would end the process and leave a dead mount.
    """
    finished = threading.Event()
    waiters: list[threading.Thread] = []

    def begin() -> None:
        waiter = threading.Thread(target=_stop_on_signal, args=(finished,), name="stop signals", daemon=True)
        waiters.append(waiter)
        waiter.start()

    # Threads that are started from here on have these signals blocked too, so that only the waiter gets them.
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    old_handler = signal.signal(_WAKE, lambda number, frame: None)
    try:
        yield begin
    finally:
        finished.set()
        for waiter in waiters:
            os.kill(os.getpid(), STOP_SIGNALS[0])  # for a waiter that still waits
            waiter.join()
        while waiters and signal.sigtimedwait(STOP_SIGNALS, 0) is not None:
            pass
        signal.signal(_WAKE, old_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)


def _stop_on_signal(finished: threading.Event) -> None:
    """Waits for a stop signal, has llfuse's handler take note of it, and wakes everybody until all have ended."""
    number = signal.sigwait(STOP_SIGNALS)
    if finished.is_set():
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    signal.pthread_kill(threading.get_ident(), number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    while not finished.wait(_INTERVAL):
        _wake_other_threads()


def _wake_other_threads() -> None:
    # By tgkill(2) of glibc and the kernel's list of threads. The idents that Python has are of no use: llfuse's
    # workers end without its knowledge, and pthread_kill(3) of a thread that has ended may crash.
    libc = ctypes.CDLL(None)
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            libc.tgkill(os.getpid(), int(task.name), int(_WAKE))
