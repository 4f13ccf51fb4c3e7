"""A tree that logs every request that is made of it, for looking into what a program does on a mount.

Changes nothing of what the tree does. Costs time, and so is put before a tree only when somebody asks for it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, cast

from rosefs.fuse.operations import Operations
from rosefs.vfs.errors import FileSystemError

log = logging.getLogger(__name__)

_LONGEST = 200
"""Characters of a value that are shown."""


def traced(tree: Operations) -> Operations:
    """Returns the tree, with every call and what came of it in the log, at the level of details."""
    return cast(Operations, _Traced(tree))


class _Traced:
    def __init__(self, tree: Operations) -> None:
        self._tree = tree

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tree, name)
        if not callable(found):
            return found
        setattr(self, name, _logging_calls(name, found))
        return getattr(self, name)


def _logging_calls(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        given = ", ".join([*map(_shown, args), *(f"{key}={_shown(value)}" for key, value in kwargs.items())])
        try:
            result = function(*args, **kwargs)
        except FileSystemError as error:
            log.debug("%s(%s): %s: %s", name, given, type(error).__name__, error)
            raise
        log.debug("%s(%s) = %s", name, given, _shown(result))
        return result

    return called


def _shown(value: object) -> str:
    if isinstance(value, bytes) and len(value) > _LONGEST:
        return f"<{len(value)} bytes>"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
