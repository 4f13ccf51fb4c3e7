"""Programs that permissions stop, even where the tests run as root, whom they do not stop."""

from __future__ import annotations

import os
import subprocess
import sys

_WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def as_user() -> list[str]:
    """Returns a command that runs another one, given after it, in a process that permissions stop."""
    return _WITHOUT_PRIVILEGE if os.geteuid() == 0 else []


def run_as_user(program: str, *arguments: str) -> str:
    """Runs a Python program in a process that permissions stop, and returns what it prints."""
    done = subprocess.run(
        [*as_user(), sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout
