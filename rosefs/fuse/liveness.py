"""Whether a mount answers: asked of the mount itself, but never for longer than a moment.

Apart from ``kernel``, which reads tables only. A mount whose process was killed goes on answering ``stat`` from what
the kernel remembers, so it is asked for what the kernel never remembers.
"""

from __future__ import annotations

import errno
import os
import threading
from enum import StrEnum
from pathlib import Path

PATIENCE = 5.0
"""Seconds that a mount may take to answer."""


class Liveness(StrEnum):
    """What became of a question to a mount."""

    ALIVE = "alive"
    DEAD = "dead"
    """The process that served it has ended."""
    SILENT = "not answering"
    FOREIGN = "another user's"
    """Only whoever mounted it may ask, and not even root."""


def liveness_of(mountpoint: Path, *, patience: float = PATIENCE) -> Liveness:
    """Returns whether a mount answers.

    Args:
        mountpoint: Where something is mounted. Not by this process, which would wait for itself.
        patience: Seconds to wait for the answer.
    """
    answers: list[Liveness] = []
    # A question that is never answered ends with this process: the kernel gives up on it then.
    asking = threading.Thread(target=lambda: answers.append(_ask(mountpoint)), daemon=True)
    asking.start()
    asking.join(patience)
    return answers[0] if answers else Liveness.SILENT


def _ask(mountpoint: Path) -> Liveness:
    try:
        os.stat(mountpoint)  # refused to other users, to whom statvfs says nothing
        os.statvfs(mountpoint)
    except OSError as error:
        if error.errno in (errno.ENOTCONN, errno.ECONNABORTED):
            return Liveness.DEAD
        if error.errno in (errno.EACCES, errno.EPERM):
            return Liveness.FOREIGN
    return Liveness.ALIVE
