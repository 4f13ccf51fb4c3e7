"""What tests of the watcher get: a watcher that follows a library while the test changes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from rosecache.config import Config
from rosefs.settings import WatchSettings
from rosefs.watch.watcher import Watcher
from tests.support.waiting import PATIENCE

EVENTS = WatchSettings(mode="events")
POLLING = WatchSettings(mode="polling", poll_seconds=0.1)


async def until(condition: Callable[[], Any], what: Callable[[], object] = lambda: "") -> None:
    """Waits until the condition holds. Fails the test, with ``what`` there is instead, if it never does."""
    with trio.move_on_after(PATIENCE):
        while not condition():
            await trio.sleep(0.01)
        return
    raise AssertionError(f"waited in vain: {what()}")


@asynccontextmanager
async def watching(c: Config, settings: WatchSettings = EVENTS) -> AsyncIterator[Watcher]:
    """Follows a library while the block runs, from when its first update is done."""
    watcher = Watcher(c, settings)
    with trio.fail_after(2 * PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watcher.run)
            await until(lambda: watcher.state.updates, lambda: watcher.state)
            yield watcher
            nursery.cancel_scope.cancel()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Runs a test on trio."""
    trio.run(test)


async def in_thread(work: Callable[[], Any]) -> None:
    """Runs what takes a while, such as a program, while the watcher goes on."""
    await trio.to_thread.run_sync(work)
