"""Waiting for what happens when it happens: until a condition holds, and never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds after which what has not happened never will."""


def wait_until(condition: Callable[[], Any], what: Callable[[], object] = lambda: "") -> None:
    """Waits until the condition holds. Fails the test, with ``what`` there is instead, if it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what()}"
        time.sleep(0.01)
