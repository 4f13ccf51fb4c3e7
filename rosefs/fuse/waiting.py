"""Whose turn it is to wait for the kernel's next request: what pyfuse3 has of trio in a mount.

pyfuse3 has several tasks take turns. By itself, a task that has got a request wakes the next one before it answers,
and stands in line again: two tasks run for every request, though nearly all are answered at once. Here the task that
has answered waits for the next request itself, and another one is woken only when a handler waits for something else.

pyfuse3 looks trio up when it uses it, so that its own module for asyncio can take its place; so does this. What is not
here is trio's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio


class Turns:
    """A lock that a task keeps in effect while it answers, unless it says otherwise. Of use in one trio only."""

    def __init__(self) -> None:
        self._is_taken = False
        self._in_line: deque[trio.lowlevel.Task] = deque()

    def pass_on(self) -> None:
        """Lets another task wait for requests, unless one does: to be called before a handler waits for anything."""
        if self._in_line and not self._is_taken:
            trio.lowlevel.reschedule(self._in_line.popleft())

    # What pyfuse3 asks trio for ---------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        return getattr(trio, name)

    def Lock(self) -> Turns:  # noqa: N802
        """Returns what a task has while it waits for a request. There is one such lock."""
        return self

    async def __aenter__(self) -> None:
        while self._is_taken:  # another one may have been faster than whoever was woken
            await self._stand_in_line()
        self._is_taken = True

    async def __aexit__(self, *_: object) -> None:
        self._is_taken = False

    async def _stand_in_line(self) -> None:
        task = trio.lowlevel.current_task()
        self._in_line.append(task)

        def leave(_: object) -> trio.lowlevel.Abort:
            self._in_line.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)

    @asynccontextmanager
    async def open_nursery(self) -> AsyncIterator[_Nursery]:
        """Gives a nursery whose tasks pass on when they end."""
        async with trio.open_nursery() as nursery:
            yield _Nursery(nursery, self)


class _Nursery:
    """A nursery for pyfuse3's tasks, which are given it to start others."""

    def __init__(self, nursery: trio.Nursery, turns: Turns) -> None:
        self._nursery = nursery
        self._turns = turns

    def start_soon(self, task: Callable[..., Awaitable[None]], *args: Any, name: object = None) -> None:
        """Starts a task."""
        self._nursery.start_soon(self._run, task, args, name=name)

    async def _run(self, task: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        try:
            await task(*args)
        finally:
            self._turns.pass_on()
