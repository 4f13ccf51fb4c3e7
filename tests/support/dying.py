"""Processes that are killed at a chosen system call, to see what they leave behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

CHANGING_CALLS = (
    "pwrite", "copy_file_range", "fsync", "replace", "unlink", "utime", "fchmod", "setxattr", "close",
)  # fmt: skip


def die_at(call: int, *, halfway: bool) -> None:
    """Makes this process end at its n-th call that changes something; at a write, after half of the bytes."""
    count = 0

    def deadly(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == call:
                if halfway and name == "pwrite":
                    fd, data, offset = arguments
                    function(fd, data[: len(data) // 2], offset)
                os._exit(9)
            return function(*arguments, **named)

        return wrapped

    for name in CHANGING_CALLS:
        setattr(os, name, deadly(name, getattr(os, name)))


def is_killed(act: Callable[[], bool], call: int, *, halfway: bool) -> bool:
    """Does something in another process that dies at the n-th call; False if it came to its end before that.

    Args:
        act: What to do; says whether it went well.
        call: At which call that changes something to die.
        halfway: Whether half of a write is done before.
    """
    child = os.fork()
    if child == 0:
        die_at(call, halfway=halfway)
        os._exit(0 if act() else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9
