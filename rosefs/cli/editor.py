"""Running the user's editor on a file, and being told to end meanwhile. Reads and writes no file itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

_USUAL = ("sensible-editor", "vim", "nano")


def run_editor(path: Path) -> None:
    """Lets the user edit a file, in the program of ``$VISUAL``, ``$EDITOR``, or one that is there.

    The variable is a command of the shell, so that it can have arguments, as git has it.

    Raises:
        click.ClickException: The editor cannot be run, or failed.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or next(filter(shutil.which, _USUAL), "vi")
    process = subprocess.Popen(["sh", "-c", f'{editor} "$@"', editor, str(path)])
    status = process.wait()
    if status != 0:
        raise click.ClickException(
            f"the editor, {editor}, failed with status {status}; $EDITOR says which it is"
        )


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Turns what ends the process into an exception, so that there is time for a word; Ctrl-C is the editor's."""

    def end(number: int, _: FrameType | None) -> None:
        raise click.exceptions.Exit(128 + number)

    def leave(number: int, _: FrameType | None) -> None:
        """Does nothing. Unlike SIG_IGN it is not handed on to the editor."""

    handlers = {signal.SIGHUP: end, signal.SIGTERM: end, signal.SIGINT: leave}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
