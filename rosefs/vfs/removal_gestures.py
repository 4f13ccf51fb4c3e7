"""Gestures that remove releases and their files: to the trash, one file after the other, and the rest at the end.

Handlers of the table in ``gestures``. A release stays for a moment when it has lost its last track, for whoever is
about to remove its directory.
"""

from __future__ import annotations

import os
from pathlib import Path

import rosecache
from rosecache.model import Release
from rosecache.query.releases import release_logtext
from rosefs.library.editing import editing, refresh
from rosefs.vfs.edits import Edits, Request
from rosefs.vfs.errors import NotEmptyError
from rosefs.vfs.nodes import ALL_TRACKS, FileNode, Node
from rosefs.vfs.overlay import MOMENT
from rosefs.vfs.places import Place
from rosefs.vfs.release_edits import editing_release, forget_emptied, is_datafile, release_of, touched_by

_LOOK_SECONDS = 0.5
"""After which it is looked again whether a release that has lost its last track has got some back."""


def removes_file(request: Request) -> bool:
    """Tells whether an unlink removes a file of the source, and does not only hide a name."""
    node = request.node
    in_source = isinstance(node, FileNode) and node.content is None and not is_datafile(node)
    return in_source and request.place in (Place.RELEASE, Place.ALL_TRACKS)


def hide(edits: Edits, request: Request) -> None:
    """Hides a name for a moment, so that a program can remove the directory that it is in."""
    if request.node is not None:
        edits.overlay.hide(request.directory, request.node.key)


def remove_file(edits: Edits, request: Request) -> None:
    """Puts a file into the trash. What is kept by us is only hidden."""
    node = request.node
    if not isinstance(node, FileNode) or not removes_file(request):
        hide(edits, request)
        return
    release = release_of(edits, node.release_id)
    path = Path(os.fsdecode(node.path))
    _keep_name(edits, request)
    title = f"delete {path.name} of {release_logtext(release)}"
    group = edits.succession(f"rm {release.id}")
    is_last = release.id in edits.emptied or not _has_tracks(edits, release, without=path)
    with editing_release(edits, release, title, group=group) as edit:
        edit.trash(path)
        if is_last:
            edits.emptied.setdefault(release.id, set()).add(node.key)
            edits.overlay.hide_everywhere(node.key, release.id, 2 * MOMENT)
            edits.later.at(edits.clock() + MOMENT, ("emptied", release.id), lambda: _let_go(edits, release))
            _watch_emptied(edits, release)
    edits.overlay.drop(node.key)
    edits.sinks.holds.let_go(path)


def _has_tracks(edits: Edits, release: Release, *, without: Path | None = None) -> bool:
    return any(
        track.source_path != without and track.source_path.exists()
        for track in rosecache.get_tracks_of_release(edits.c, release)
    )


def _let_go(edits: Edits, release: Release) -> None:
    """Has the cache notice that a release has no tracks any more, and what became of it since."""
    try:
        refresh(edits.c, touched_by(edits, release))
        edits.look()
    finally:
        forget_emptied(edits, release)


def _watch_emptied(edits: Edits, release: Release) -> None:
    """Shows the tracks of a release again that somebody has put back, by undo for one, which the cache never missed."""

    def look() -> None:
        if _has_tracks(edits, release):
            _let_go(edits, release)
        else:
            _watch_emptied(edits, release)

    edits.later.at(edits.clock() + _LOOK_SECONDS, ("refilled", release.id), look)


def remove_release(edits: Edits, request: Request) -> None:
    """Puts what is left of a release without tracks into the trash."""
    node = request.node
    assert node is not None
    if node.key.entity == ALL_TRACKS:
        _hide_all_tracks(edits, request, node)
        return
    release = release_of(edits, node.key.id)
    if _has_tracks(edits, release):
        raise NotEmptyError(f"{request.name} still has tracks")
    _keep_name(edits, request)
    title = f"delete {release_logtext(release)}"
    group = edits.succession(f"rm {release.id}")
    with editing(edits.c, edits.journal, title, touched_by(edits, release), group=group) as edit:
        edit.trash(release.source_path)
    edits.successions.pop(f"rm {release.id}", None)
    forget_emptied(edits, release)
    edits.overlay.unhide(node.key)


def _hide_all_tracks(edits: Edits, request: Request, node: Node) -> None:
    """Hides the directory of all tracks when these are removed, for ``rm -r`` of all that is beside it too."""
    shown = edits.tree.directory(node.key).entries().names.values()
    if any(not edits.overlay.is_hidden(node.key, each.key) for each in shown):
        raise NotEmptyError(f"{request.name} still has tracks")
    hide(edits, request)


def _keep_name(edits: Edits, request: Request) -> None:
    """Gives the name of what is removed to none of its equals for a moment: who tried again would remove them too."""
    directory = edits.tree.directory(request.directory)
    if request.node is not None and directory.has_equals(request.name):
        directory.bind({request.name: request.node.key}, MOMENT)
        edits.later.at(edits.clock() + MOMENT, ("close up", request.directory), directory.close_up)
