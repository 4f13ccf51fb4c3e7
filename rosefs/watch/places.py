"""What an event or a look at the disk can be about: one release, one list, or everything.

Only names: nothing here reads the disk.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from rosecache.config import Config
from rosecache.temporary import IN_PROGRESS_PREFIX
from rosecache.update.walk import may_be_release

PlaceKind = Literal["release", "collage", "playlist", "everything"]

LIST_DIRECTORIES: dict[bytes, PlaceKind] = {b"!collages": "collage", b"!playlists": "playlist"}


class Place(NamedTuple):
    """What has to be looked at again.

    Attributes:
        kind: What it is.
        name: A release's directory, or a list's name, as the disk has it; empty for all lists of the kind.
    """

    kind: PlaceKind
    name: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {os.fsdecode(self.name)}" if self.name else f"every {self.kind}"


EVERYTHING = Place("everything")


def place_of(c: Config, path: bytes) -> Place | None:
    """Returns what a change of a path below the source directory is about; None if it is nothing of ours.

    Args:
        c: The settings.
        path: Relative to the source directory, as the disk has it.
    """
    top, *below = path.split(b"/")
    if any(part.startswith(IN_PROGRESS_PREFIX.encode()) for part in (top, *below)):
        return None
    kind = LIST_DIRECTORIES.get(top)
    if kind is not None:
        return Place(kind, os.path.splitext(below[0])[0] if below else b"")
    if not may_be_release(c, top) or _is_own(c, path):
        return None
    return Place("release", top)


def _is_own(c: Config, path: bytes) -> bool:
    """Tells whether a path is in the cache directory: what an update writes there must not cause another one."""
    full = os.path.join(os.fsencode(c.music_source_dir), path)
    own = os.fsencode(c.cache_dir)
    return full == own or full.startswith(own + b"/")
