"""Running ``rosefs`` on a terminal of its own, as a user would see it."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = (sys.executable, "-m", "rosefs")
"""The command ``rosefs`` with this interpreter, wherever its script is installed."""

_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Shown:
    """What a terminal showed, escape sequences and all, and how the command ended."""

    text: str
    status: int

    @property
    def plain(self) -> str:
        """The text without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)

    @property
    def has_colours(self) -> bool:
        return re.search(r"\x1b\[(\d+;)*3\d", self.text) is not None


def run_on_terminal(
    *args: str | Path,
    answers: str = "",
    environment: Mapping[str, str] | None = None,
    shell: str | None = None,
) -> Shown:
    """Runs a command line on a terminal of 100 columns until it ends.

    Args:
        args: The arguments of ``rosefs``.
        answers: What the user types.
        environment: Variables to set.
        shell: A shell command line in which ``{}`` stands for the command.
    """
    command = [*PROGRAM, *map(str, args)]
    if shell is not None:
        command = ["sh", "-c", shell.format(shlex.join(command))]
    ours, theirs = pty.openpty()
    variables = {"TERM": "xterm-256color", "COLUMNS": "100", **(environment or {})}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **variables},
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(ours, answers.encode())
        shown = _read_all(ours)
        return Shown(shown.decode(errors="replace").replace("\r\n", "\n"), process.wait(_PATIENCE_SECONDS))
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_all(terminal: int) -> bytes:
    """Reads until the last program has closed the terminal."""
    shown = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], _PATIENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"the command does not end; so far it said: {shown!r}")
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: EIO when nobody has the other end open
            return shown
        if not data:
            return shown
        shown += data
