"""Programs that permissions stop, even where the tests run as root, whom they do not stop."""

from __future__ import annotations

import os
import subprocess
import sys

_WITHOUT_PRIVILEGE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def run_as_user(program: str, *arguments: str) -> str:
    """Runs a Python program in a process that permissions stop, and returns what it prints."""
    before = _WITHOUT_PRIVILEGE if os.geteuid() == 0 else []
    done = subprocess.run(
        [*before, sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout
