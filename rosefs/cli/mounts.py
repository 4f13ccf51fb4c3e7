"""All mounts of rosefs on this machine: what the kernel says of each, and what the process that serves it tells.

Only looks. A mount that does not answer costs a moment, and never hangs whoever asks.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from datetime import datetime
from pathlib import Path

import msgspec

from rosecache.inspection import Contents, contents_of
from rosefs.cli.running import Problem, Told, told_of
from rosefs.fuse.kernel import users_of
from rosefs.fuse.liveness import Liveness, liveness_of
from rosefs.mountinfo import Mount, mounts


class MountStatus(msgspec.Struct, frozen=True):
    """A mount, and how it is. None is what nobody tells: the mount is another user's, or of another program.

    Attributes:
        mountpoint: Where it is.
        state: Whether it answers.
        source: The music directory.
        binding: The library that it was mounted with.
        pid: The process that serves it, or did.
        since: When it was mounted, ISO 8601 with offset.
        read_only: Whether the kernel refuses all changes.
        owner: The id of the user who mounted it.
        view: The view that is shown as the root; None also if all are shown.
        contents: How much is in its cache now.
        updated: When the cache was brought up to date by its process, ISO 8601 with offset.
        watcher: What follows the source directory.
        used_by: The processes that keep it busy, as far as this user may see them.
        problem_count: How many problems the last update had.
        problems: The first of them.
    """

    mountpoint: Path
    state: Liveness
    source: str
    binding: str | None
    pid: int | None
    since: str | None
    read_only: bool
    owner: int | None
    view: str | None
    contents: Contents | None
    updated: str | None
    watcher: str | None
    used_by: tuple[str, ...]
    problem_count: int
    problems: tuple[Problem, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state in (Liveness.ALIVE, Liveness.FOREIGN)


def rosefs_mounts() -> list[Mount]:
    """Returns the mounts of rosefs, in the order in which they were mounted."""
    return [mount for mount in mounts() if mount.is_rosefs]


def told_from(source: Path) -> list[Told]:
    """Returns what living processes tell of their mounts of a music directory."""
    told = [told_of(mount.mountpoint) for mount in rosefs_mounts()]
    return [
        each for each in told if each is not None and each.source == str(source) and each.process.is_alive
    ]


def status_of(mount: Mount) -> MountStatus:
    """Finds out how a mount is."""
    told = told_of(mount.mountpoint)
    state = liveness_of(mount.mountpoint)
    if told is not None and not told.process.is_alive and state is not Liveness.DEAD:
        told = None  # of an earlier mount at the same place, whose process was killed
    return MountStatus(
        mountpoint=mount.mountpoint,
        state=state,
        source=told.source if told is not None else urllib.parse.unquote(mount.source, errors="surrogateescape"),
        binding=told.binding if told is not None else None,
        pid=told.process.pid if told is not None else None,
        since=_as_text(told.since) if told is not None else None,
        read_only=mount.read_only,
        owner=mount.owner,
        view=told.view if told is not None else None,
        contents=_contents(told),
        updated=_as_text(told.updated) if told is not None else None,
        watcher=told.watcher if told is not None else None,
        used_by=tuple(users_of(mount.mountpoint)),
        problem_count=told.problem_count if told is not None else 0,
        problems=told.problems if told is not None else (),
    )  # fmt: skip


def _contents(told: Told | None) -> Contents | None:
    if told is None or not os.path.exists(told.database):
        return None
    try:
        return contents_of(Path(told.database))
    except sqlite3.Error:
        return None  # what is wrong with it, rosefs doctor says


def _as_text(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
