"""Whose turn it is to wait for a request: tasks as pyfuse3 has them, with a channel in the place of the kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
import trio.testing

from rosefs.fuse.waiting import Turns


@dataclass
class Served:
    """Tasks that answer what is sent to them, and who answered what."""

    turns: Turns
    send: trio.MemorySendChannel[str]
    receive: trio.MemoryReceiveChannel[str]
    slow: trio.Event = field(default_factory=trio.Event)
    answers: list[tuple[str, str]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    async def work(self, name: str) -> None:
        """As pyfuse3 does: waits for a request while it has the lock, and answers it without."""
        lock = self.turns.Lock()
        while True:
            async with lock:
                asked = await self.receive.receive()
            if asked == "end":
                self.ended.append(name)
                return
            if asked == "slow":
                self.turns.pass_on()
                await self.slow.wait()
            self.answers.append((name, asked))

    async def ask(self, *requests: str) -> None:
        for request in requests:
            await self.send.send(request)
            await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def two_tasks() -> AsyncIterator[Served]:
    """Has two tasks serve, of which ``a`` begins to wait first, until both have ended."""
    turns = Turns()
    served = Served(turns, *trio.open_memory_channel[str](10))
    async with turns.open_nursery() as nursery:
        for name in "ab":
            nursery.start_soon(served.work, name)
            await trio.testing.wait_all_tasks_blocked()
        yield served


def serving(check: Callable[[Served], Awaitable[None]]) -> None:
    """Runs a check of two tasks that serve."""

    async def run() -> None:
        async with two_tasks() as served:
            await check(served)
            served.slow.set()
            await served.ask("end", "end")
        assert sorted(served.ended) == ["a", "b"]

    trio.run(run)


def test_who_answers_at_once_waits_for_the_next_one_too() -> None:
    async def check(served: Served) -> None:
        await served.ask("1", "2", "3")
        assert served.answers == [("a", "1"), ("a", "2"), ("a", "3")]

    serving(check)


def test_while_a_handler_waits_another_task_takes_its_turn() -> None:
    async def check(served: Served) -> None:
        await served.ask("slow", "1", "2")
        assert served.answers == [("b", "1"), ("b", "2")]
        served.slow.set()
        await trio.testing.wait_all_tasks_blocked()
        await served.ask("3")
        assert served.answers[2:] == [("a", "slow"), ("b", "3")]

    serving(check)


def test_whoever_ends_makes_room_for_the_next() -> None:
    async def run() -> None:
        async with two_tasks() as served:
            await served.ask("end", "1", "end")
        assert served.answers == [("b", "1")]
        assert served.ended == ["a", "b"]

    trio.run(run)


def test_who_stands_in_line_can_be_cancelled() -> None:
    async def run() -> None:
        turns = Turns()
        served = Served(turns, *trio.open_memory_channel[str](10))
        async with turns.open_nursery() as nursery:
            nursery.start_soon(served.work, "a")
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0):
                await served.work("cancelled")
            nursery.start_soon(served.work, "b")
            await served.ask("slow", "1", "end")
            served.slow.set()
            await served.ask("end")
        assert served.answers == [("b", "1"), ("a", "slow")]

    trio.run(run)


def test_a_task_that_fails_makes_room_too() -> None:
    async def run() -> None:
        turns = Turns()
        served = Served(turns, *trio.open_memory_channel[str](10))

        async def fail() -> None:
            with trio.CancelScope() as scope:
                async with turns.Lock():
                    scope.cancel()
                    await trio.lowlevel.checkpoint()

        async with turns.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(served.work, "b")
            await trio.testing.wait_all_tasks_blocked()
            await served.ask("1", "end")
        assert served.answers == [("b", "1")]

    trio.run(run)
