"""What gestures on a release have in common: which one it is, and edits of it under its lock.

Nothing here knows what a gesture means.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import rosecache
from rosecache.datafiles import parse_datafile_name
from rosecache.model import Release
from rosefs.library.editing import Touched, holding, refresh, release_directory
from rosefs.library.journal import Edit
from rosefs.vfs.edits import Edits
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.nodes import FILE, Node


def release_of(edits: Edits, release_id: str) -> Release:
    """Returns a release by its id. Raises NoEntryError if it is gone."""
    release = rosecache.get_release(edits.c, release_id)
    if release is None:
        raise NoEntryError(f"release {release_id} is gone")
    return release


def touched_by(edits: Edits, release: Release) -> Touched:
    """Returns what an edit of a release changes."""
    return Touched([release_directory(edits.c, release.source_path)])


@contextmanager
def editing_release(
    edits: Edits, release: Release, title: str, *, group: str | None = None
) -> Iterator[Edit]:
    """Makes an edit of a release, and brings the cache up to date with it: see ``library.editing``.

    Of a release that has just lost its last track the cache is not told yet: it would let go of it, and whoever
    removes it, or fills it again, is not done.
    """
    touched = touched_by(edits, release)
    with holding(edits.c, touched), edits.journal.edit(title, group=group) as edit:
        yield edit
    if release.id not in edits.emptied:
        refresh(edits.c, touched, force=edit.does_not_show)


def forget_emptied(edits: Edits, release: Release) -> None:
    """Has a release be one like any other: it has a track again, or is gone."""
    edits.later.cancel(("emptied", release.id))
    edits.later.cancel(("refilled", release.id))
    edits.overlay.unhide(None, edits.emptied.pop(release.id, ()))


def is_datafile(node: Node) -> bool:
    """Tells whether something is a release's datafile."""
    return node.key.space == FILE and parse_datafile_name(os.fsencode(node.key.entity)) is not None
