"""Giving memory back to the system that nothing needs any more."""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable
from contextlib import suppress

_ARENA_MAX = -8
"""What mallopt(3) calls M_ARENA_MAX."""


def give_back() -> None:
    """Gives back what Python and then the C library have free and would keep for later.

    Python keeps some thousand of the smallest objects that it is done with, until it looks for circles of garbage
    everywhere: little, but on as many pages of memory.
    """
    gc.collect()
    trim()


def use_one_arena() -> None:
    """Has threads that are started from now on take memory where all do.

    By itself, the C library gives each its own: what is left of one that has listed much is on as many pages again.
    Python lets one thread at a time do what takes memory anyway.
    """
    with suppress(AttributeError):  # it is one of glibc's
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def trim() -> None:
    """Gives back what the C library has free, in less than a millisecond: after work that left no circles."""
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except AttributeError:  # it is one of glibc's
        return lambda keep: None
    return trim
