"""Having a tree follow what other processes change, for as long as it is mounted."""

from __future__ import annotations

import trio

from rosefs.fuse.operations import Operations

INTERVAL = 0.1
"""Seconds between two looks. One that finds nothing new asks the database for a number."""


async def follow(tree: Operations) -> None:
    """Has the tree look again and again; to run beside the mount."""
    while True:
        await trio.sleep(INTERVAL)
        await trio.to_thread.run_sync(tree.follow)
