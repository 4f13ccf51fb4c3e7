"""Having a tree follow what other processes change, for as long as it is mounted."""

from __future__ import annotations

import threading

import trio

from rosefs.fuse.operations import Operations
from rosefs.vfs.memory import trim

INTERVAL = 0.25
"""Seconds between two looks. Most find nothing new, and ask the file system for that, and not the database: 0.2 ms of
work in a process that sleeps in between, and so finds its memory in no cache of the processor."""


async def follow(tree: Operations) -> None:
    """Has the tree look again and again; to run beside the mount.

    In one thread all the time: to hand each look to a thread would cost many times the look.
    """
    going_on = threading.Lock()  # an event costs half as much again to wait for

    def look() -> None:
        before = threading.active_count()
        while not going_on.acquire(timeout=INTERVAL):
            tree.follow()
            now = threading.active_count()
            if now < before:
                trim()  # what threads that have ended had, such as their connections to the cache
            before = now

    going_on.acquire()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, look)
        try:
            await trio.sleep_forever()
        finally:
            going_on.release()
