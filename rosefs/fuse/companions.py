"""Tasks that run beside a mount for as long as it lives, such as the watcher: the same for both bindings.

pyfuse3 runs them in its own trio nursery, llfuse, which has none, in a thread with a trio of its own. What goes
wrong with one is logged and stops neither the mount nor the others. Knows nothing of what they do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import trio

from rosefs.fuse.translation import Companion

log = logging.getLogger(__name__)


async def run_companions(companions: Sequence[Companion]) -> None:
    """Runs all of them at once, and returns when the last is done."""
    async with trio.open_nursery() as nursery:
        for companion in companions:
            nursery.start_soon(_run_guarded, companion)


@contextmanager
def companions_in_thread(companions: Sequence[Companion]) -> Iterator[Callable[[], None]]:
    """Gives a function that starts them in a thread; at the end of the block they are cancelled and waited for."""
    scope = trio.CancelScope()
    tokens: list[trio.lowlevel.TrioToken] = []
    threads: list[threading.Thread] = []
    started = threading.Event()

    async def run() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        started.set()
        with scope:
            await run_companions(companions)

    def serve() -> None:
        try:
            trio.run(run)
        finally:
            started.set()  # whether or not it could be started

    def start() -> None:
        if companions:
            threads.append(threading.Thread(target=serve, name="companions"))
            threads[-1].start()

    try:
        yield start
    finally:
        for thread in threads:
            started.wait()
            for token in tokens:
                with suppress(trio.RunFinishedError):  # all of them had ended before the mount
                    token.run_sync_soon(scope.cancel)
            thread.join()


async def _run_guarded(companion: Companion) -> None:
    try:
        await companion()
    except Exception:
        # The mount has to live on; and one that ends for an unexpected reason must not take the others along.
        log.exception("what ran beside the mount has failed; the mount goes on without it")
