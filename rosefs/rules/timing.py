"""A limit to what is computed: for regular expressions, some of which take time that doubles with each character."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def computing_at_most(seconds: float) -> Iterator[None]:
    """Ends what takes more processor time than that. Waiting takes none.

    Python's regular expressions look for signals as they go, so a timer of the process ends them. Python handles
    signals in the main thread, where commands run; in another thread nothing is limited.

    Raises:
        TimeoutError: It took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise TimeoutError

    handler = signal.signal(signal.SIGVTALRM, end)
    timer = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, *timer)
        signal.signal(signal.SIGVTALRM, handler)
