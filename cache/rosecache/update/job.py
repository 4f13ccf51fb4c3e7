"""One release as a job that this process or a worker process does."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.update.release import Outcome, update_release
from rosecache.update.report import problem, reason_of


@dataclass(frozen=True, slots=True)
class Options:
    """What is the same for all jobs of an update."""

    c: Config
    force: bool
    defer: bool
    log_level: int = logging.WARNING
    """From which level on a worker process says what it does."""


def update_one(options: Options, directory: bytes) -> Outcome:
    """Updates one release; what stops it, and not the whole update, becomes a problem of the outcome."""
    try:
        return update_release(options.c, directory, force=options.force, defer=options.defer)
    except LockTimeoutError as error:
        reason = str(error)
    except OSError as error:
        reason = reason_of(error)
    path = os.path.join(os.fsencode(options.c.music_source_dir), directory)
    return Outcome(problems=[problem(path, reason)])
