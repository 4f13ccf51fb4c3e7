"""Ending llfuse on a signal, every time: llfuse alone misses its own wake-up now and then.

Its workers look whether to end and then wait for a request; the signal by which it wakes them is lost on one
that is between the two, and ``llfuse.main`` waits for that one for good. (Seen with llfuse 1.5.2: twice in 60
stops of a mount just made, on a busy machine.) So the workers are woken here until all have ended.

While ``llfuse.main`` runs, the main thread runs no Python, so that no handler of Python's would be called: those of
the other signals that a mount knows are called from here. Knows nothing of requests or of the tree.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rosefs.fuse.translation import STOP_SIGNALS

log = logging.getLogger(__name__)

_WAKE = signal.SIGRTMIN + 1
"""What does nothing but interrupt a wait. llfuse itself uses SIGUSR1 for it, which means something else to users."""

_WATCHED = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGUSR1)
"""What llfuse has handlers of its own for, and must not get, or not before it is time."""

_INTERVAL = 0.02
"""Seconds between two attempts to wake the workers."""


@contextmanager
def stopping_on_signals(first: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Lets the stop signals end ``llfuse.main``, which has to run within the block, in the main thread.

    SIGHUP is left to the handler that Python has for it, and SIGUSR1 writes the stacks of all threads to stderr.
    On a stop signal, ``first`` is called while requests are still answered.

    Gives a function to be called once ``llfuse.main`` has put up its signal handlers. Signals that come
    earlier are kept until then: unhandled they would end the process and leave a dead mount.
    """
    finished = threading.Event()
    waiters: list[threading.Thread] = []

    def begin() -> None:
        waiter = threading.Thread(target=_watch, args=(finished, first), name="signals", daemon=True)
        waiters.append(waiter)
        waiter.start()

    # Threads that are started from here on have these signals blocked too, so that only the waiter gets them.
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    # It stays, since at the end one may still be on its way to a thread.
    signal.signal(_WAKE, lambda number, frame: None)
    try:
        yield begin
    finally:
        finished.set()
        for waiter in waiters:
            os.kill(os.getpid(), STOP_SIGNALS[0])  # for a waiter that still waits
            waiter.join()
        while waiters and signal.sigtimedwait(_WATCHED, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)


def _watch(finished: threading.Event, first: Callable[[], None]) -> None:
    """Does what signals ask for, until one of them says to stop."""
    while not finished.is_set():
        number = signal.Signals(signal.sigwait(_WATCHED))
        if finished.is_set():
            return
        if number in STOP_SIGNALS:
            log.info("ends on %s", number.name)
            first()
            _stop(number, finished)
        elif number == signal.SIGUSR1:
            faulthandler.dump_traceback()
        elif callable(handler := signal.getsignal(number)):
            handler(number, None)


def _stop(number: signal.Signals, finished: threading.Event) -> None:
    """Has llfuse's handler take note of a stop signal, and wakes everybody until all have ended."""
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
