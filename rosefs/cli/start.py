"""The start of ``rosefs``: with the C library's allocator if it is to mount.

Python has to be told of it before it starts. A mount lives for months, and Python's own allocator gives memory back by
whole MiB, of which a few objects that live on keep each. So the process starts anew, as the same process and with the
same words; whoever has chosen an allocator keeps it. Imports next to nothing, since a mount imports it twice.
"""

from __future__ import annotations

import gc
import os
import sys

_ALLOCATOR = "PYTHONMALLOC"
_STARTED = "_ROSEFS_STARTED_AS"
"""Holds what ``ps`` called the process before it was started anew; no program that we run gets to see it."""

_GIVES_BACK = "CS_GNU_LIBC_VERSION" in os.confstr_names
"""Only glibc's allocator is known to be fast, and to give memory back when it is asked to: ``vfs.memory``."""


_NEW_OBJECTS = 50_000
"""After how many new objects Python looks for circles of garbage among them; 700 by itself, which is a quarter of the
time that the imports of a mount take, and finds nothing: what they make stays."""


def main() -> None:
    """Runs ``rosefs`` with the arguments of this process."""
    arguments = sys.argv[1:]
    _choose_allocator(may_mount="mount" in arguments or is_called_by_mount(arguments))
    gc.set_threshold(_NEW_OBJECTS)
    from rosefs.cli.main import main as run

    run()


def main_of_helper() -> None:
    """Runs ``mount.fuse.rosefs`` with the arguments of this process."""
    _choose_allocator(may_mount=True)
    gc.set_threshold(_NEW_OBJECTS)
    from rosefs.cli.helper import main as run

    run()


def is_called_by_mount(arguments: list[str]) -> bool:
    """Tells whether the arguments of ``rosefs`` are in the form of mount(8): no command has a slash in its name."""
    return bool(arguments) and "/" in arguments[0] and not arguments[0].startswith("-")


def _choose_allocator(*, may_mount: bool) -> None:
    """Starts this process anew if it has another allocator than it should. A word too many costs a start, no more."""
    before = os.environ.pop(_STARTED, None)
    if before is not None:
        os.environ.pop(_ALLOCATOR, None)
        _be_called(before)
        return
    is_chosen = _ALLOCATOR in os.environ or sys.flags.dev_mode or sys.flags.ignore_environment
    if may_mount and not is_chosen and _GIVES_BACK and sys.executable:
        environment = {**os.environ, _ALLOCATOR: "malloc", _STARTED: _called()}
        try:  # noqa: SIM105 - contextlib would be another fifth of this start
            os.execve(sys.executable, sys.orig_argv, environment)
        except OSError:
            pass  # then it has the allocator that it has


def _called() -> str:
    """Returns the name that ``ps`` and ``pgrep`` know this process by: that of the script, as it was started."""
    try:
        with open("/proc/self/comm", encoding="utf-8", errors="surrogateescape") as file:
            return file.read().removesuffix("\n")
    except OSError:
        return ""


def _be_called(name: str) -> None:
    try:
        with open("/proc/self/comm", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(name)
    except OSError:
        pass  # it is called what it is called
