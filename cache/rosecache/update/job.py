"""Some releases as a job that this process or a worker process does."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from rosecache.config import Config
from rosecache.errors import ConfigError, LockTimeoutError
from rosecache.genres import GenreTree, load_genre_tree
from rosecache.update.batch import Batch
from rosecache.update.release import Outcome
from rosecache.update.report import problem, reason_of


class Options(msgspec.Struct, frozen=True):
    """What is the same for all jobs of an update."""

    c: Config
    force: bool
    defer: bool
    log_level: int = logging.WARNING
    """From which level on a worker process says what it does."""
    genres: GenreTree | None = None
    """The tree in force, where it is not the one that everybody has: its file may say something else by now."""


def own_genres(c: Config) -> GenreTree | None:
    """Returns the genre tree for :class:`Options`. Without one that can be read, there is none."""
    with suppress(ConfigError):
        return None if c.genres_file is None else load_genre_tree(c)
    return None


def update_some(options: Options, directories: Iterable[bytes]) -> list[Outcome]:
    """Updates and stores some releases; what stops one, and not the whole update, becomes a problem of its outcome."""
    with Batch(options.c, force=options.force, defer=options.defer) as batch:
        return [_update_one(options, batch, directory) for directory in directories]


def _update_one(options: Options, batch: Batch, directory: bytes) -> Outcome:
    try:
        return batch.update(directory)
    except LockTimeoutError as error:
        reason = str(error)
    except OSError as error:
        reason = reason_of(error)
    path = os.path.join(os.fsencode(options.c.music_source_dir), directory)
    return Outcome(problems=[problem(path, reason)])
