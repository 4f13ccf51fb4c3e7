"""Looking again and again beside a mount, and giving back what threads had that have ended."""

from __future__ import annotations

import threading

import pytest
import trio

from rosefs.fuse import following
from tests.support.memory_tree import MemoryTree


@pytest.mark.parametrize(
    ("threads", "trims"),
    [([9, 9, 8, 8, 8], 1), ([9, 9, 9, 9, 9], 0), ([7, 8, 7, 9, 6], 2), ([1, 2, 3, 4, 5], 0)],
)
def test_memory_is_given_back_when_threads_have_ended(
    monkeypatch: pytest.MonkeyPatch, threads: list[int], trims: int
) -> None:
    counts, trimmed, is_done = iter(threads), 0, threading.Event()

    class Tree(MemoryTree):
        looks = 0

        def follow(self) -> None:
            self.looks += 1

    def active_count() -> int:
        number = next(counts, None)
        if number is None:
            is_done.set()
        return number or threads[-1]

    def trim() -> None:
        nonlocal trimmed
        trimmed += 1

    async def run() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(following.follow, tree)
                await trio.to_thread.run_sync(is_done.wait, 50)
                nursery.cancel_scope.cancel()

    tree = Tree({})
    monkeypatch.setattr(following, "INTERVAL", 0.01)
    monkeypatch.setattr(following, "trim", trim)
    monkeypatch.setattr(threading, "active_count", active_count)
    trio.run(run)
    assert tree.looks >= len(threads)
    assert trimmed == trims
