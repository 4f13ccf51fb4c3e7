"""Having a tree follow what other processes change, for as long as it is mounted."""

from __future__ import annotations

import threading

import trio

from rosefs.fuse.operations import Operations

INTERVAL = 0.25
"""Seconds between two looks. Most find nothing new, and ask the file system for that, and not the database: 0.2 ms of
work in a process that sleeps in between, and so finds its memory in no cache of the processor."""


async def follow(tree: Operations) -> None:
    """Has the tree look again and again; to run beside the mount.

    In one thread all the time: to hand each look to a thread would cost many times the look.
    """
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL):
            tree.follow()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, look)
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
