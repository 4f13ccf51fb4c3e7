"""Locks of things that take no memory while nobody has them."""

from __future__ import annotations

import threading
import time

import pytest

from rosefs.vfs.turns import Turns
from tests.support.waiting import wait_until


def test_one_at_a_time_has_the_lock_of_a_thing() -> None:
    turns, order, waits = Turns(), [], threading.Event()

    def take() -> None:
        waits.set()
        with turns.of("a"):
            order.append("second")

    with turns.of("a"):
        thread = threading.Thread(target=take)
        thread.start()
        waits.wait()
        wait_until(lambda: turns._waiting)
        with turns.of("b"):  # another thing, for which nobody waits
            assert turns.is_taken("b")
        order.append("first")
        assert thread.is_alive()
    thread.join()
    assert order == ["first", "second"]


def test_nothing_is_left_of_a_lock_that_nobody_has() -> None:
    turns = Turns()
    with turns.of("a"):
        assert turns.is_taken("a")
        assert not turns.is_taken("b")
    with pytest.raises(RuntimeError), turns.of("b"):
        raise RuntimeError
    assert not turns._taken


def test_of_many_who_add_up_none_is_lost() -> None:
    turns, sums = Turns(), {"a": 0, "b": 0}

    def add(thing: str) -> None:
        for _ in range(500):
            with turns.of(thing):
                before = sums[thing]
                time.sleep(0)  # lets others run
                sums[thing] = before + 1

    threads = [threading.Thread(target=add, args=(thing,)) for thing in "aabb"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == {"a": 1000, "b": 1000}
