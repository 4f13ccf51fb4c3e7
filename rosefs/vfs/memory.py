"""Giving memory back to the system that nothing needs any more."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Has the C library give back what it has free and would keep for later."""
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except AttributeError:  # it is one of glibc's
        return lambda keep: None
    return trim
