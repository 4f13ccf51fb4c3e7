"""Gestures on releases and their files: writing, renaming, removing, marking as new.

Handlers of the table in ``gestures``. A file's identity stays with its name: whatever is written to a track, or
renamed over it, becomes that track.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import rosecache
from rosecache.datafiles import parse_datafile_name
from rosecache.model import Release
from rosecache.names import distinct_name
from rosecache.query.releases import release_logtext
from rosecache.tags import is_audio
from rosecache.temporary import SPOOL_PREFIX
from rosecache.update import update_cache_for_releases
from rosecache.update.release import choose_cover
from rosefs.library import releases
from rosefs.library.editing import Touched, editing, holding, refresh, release_directory
from rosefs.library.errors import CacheBehindError
from rosefs.library.journal import Edit
from rosefs.vfs.drafts import Draft
from rosefs.vfs.edits import Edits, Request, check_new_name
from rosefs.vfs.errors import (
    NoEntryError,
    NotEmptyError,
    NotPermittedError,
)
from rosefs.vfs.handles import SourceContent
from rosefs.vfs.identity import give_identity
from rosefs.vfs.nodes import ALL_TRACKS, FILE, MEMBER, TRACK, DirectoryNode, FileNode, Key, Node
from rosefs.vfs.overlay import MOMENT
from rosefs.vfs.places import Place
from rosefs.vfs.spool import PERMISSIONS, Spool, set_times

log = logging.getLogger(__name__)

_QUIET_SECONDS = 5.5
"""After which a new audio file is looked at again; an update gives it no id before it was left alone for five."""

_OF_RELEASES = (TRACK, MEMBER, FILE)


def expect_source_file(edits: Edits, request: Request) -> None:
    """Makes sure that what is to be changed is a file of a release. Raises NotPermittedError."""
    _source_file(request)


def _source_file(request: Request) -> FileNode:
    node = request.node
    if not isinstance(node, FileNode) or node.key.space not in _OF_RELEASES:
        raise NotPermittedError(f"{request.name}: this cannot be written")
    return node


def _release(edits: Edits, release_id: str) -> Release:
    release = rosecache.get_release(edits.c, release_id)
    if release is None:
        raise NoEntryError(f"release {release_id} is gone")
    return release


def _touched(edits: Edits, release: Release) -> Touched:
    return Touched([release_directory(edits.c, release.source_path)])


@contextmanager
def _editing(edits: Edits, release: Release, title: str, *, group: str | None = None) -> Iterator[Edit]:
    """Makes an edit of a release, and brings the cache up to date with it: see ``library.editing``.

    Of a release that has just lost its last track the cache is not told yet: it would let go of it, and whoever
    removes it, or fills it again, is not done.
    """
    touched = _touched(edits, release)
    with holding(edits.c, touched), edits.journal.edit(title, group=group) as edit:
        yield edit
    if release.id not in edits.emptied:
        refresh(edits.c, touched)


def is_datafile(node: Node) -> bool:
    """Tells whether something is a release's datafile."""
    return node.key.space == FILE and parse_datafile_name(os.fsencode(node.key.entity)) is not None


def removes_file(request: Request) -> bool:
    """Tells whether an unlink removes a file of the source, and does not only hide a name."""
    node = request.node
    in_source = isinstance(node, FileNode) and node.content is None and not is_datafile(node)
    return in_source and request.place in (Place.RELEASE, Place.ALL_TRACKS)


# Writing ----------------------------------------------------------------------------------------------------


def create(edits: Edits, request: Request) -> Node:
    """Chooses where a new file is going to be; it is made when it is saved."""
    check_new_name(request.name)
    release = _release(edits, request.directory.id)
    path = _new_path(edits, release, release.source_path, request.name)
    return _new_node(edits, release, path)


def _new_path(edits: Edits, release: Release, directory: Path, name: str) -> Path:
    """Returns a path for a new file: of this name, unless the source has a file of the name already."""
    taken = set(os.listdir(directory))
    taken |= {Path(os.fsdecode(node.path)).name for node in edits.overlay.written(release.id).values()}
    return directory / distinct_name(name, taken, extensions=True, max_bytes=255)


def _new_node(edits: Edits, release: Release, path: Path) -> FileNode:
    """Returns a file that is going to be there; one of its name that was just removed hides it no more."""
    key = Key(FILE, release.id, str(path.relative_to(release.source_path)))
    edits.overlay.unhide(None, [key])
    generation = edits.tree.versions.generation
    return FileNode(key, release.id, 0, generation, size=0, path=os.fsencode(path))


def save(edits: Edits, draft: Draft, spool: Spool, node: FileNode) -> SourceContent:
    """Puts what was written to a file in its place, and opens it there.

    Args:
        edits: Where.
        draft: What programs write to.
        spool: What they wrote.
        node: The file as the cache knows it now.

    Raises:
        BusyError: Another program has changed the file since it was opened.
        NoEntryError: The release is gone.
        OSError, RosecacheError: It could not be done; nothing was changed.
    """
    release = _release(edits, node.release_id)
    path = Path(os.fsdecode(node.path))
    try:
        with _editing(edits, release, f"write {path.name} of {release_logtext(release)}") as edit:
            if draft.is_new:
                _save_new(edits, edit, release, path, spool)
            else:
                _save_over(edits, edit, release, draft, spool, node)
            saved = SourceContent(os.fsencode(path), edits.refusing)
            if draft.is_new and is_audio(path.name):
                _expect_track(edits, release)
    except CacheBehindError as error:
        log.warning("%s", error)  # it is saved, and the next update makes up for the rest
    return saved


def _save_new(edits: Edits, edit: Edit, release: Release, path: Path, spool: Spool) -> None:
    spool.finish()
    outdone = _outdone_covers(edits, release, path)
    edit.create_from(path, spool.path)
    for cover in outdone:
        edit.trash(cover)


def _save_over(
    edits: Edits, edit: Edit, release: Release, draft: Draft, spool: Spool, node: FileNode
) -> None:
    path = Path(os.fsdecode(node.path))
    draft.expect_unchanged(path)
    spool.finish()
    if node.key.space != FILE:
        draft.changed_bytes = give_identity(edits.c, spool.path, path, node.key.id, release)
    edit.put(path, spool.path)


def _outdone_covers(edits: Edits, release: Release, path: Path) -> list[Path]:
    """Returns the cover whose place a new file called cover takes, if it is called so and there is one."""
    name = os.fsencode(path.name)
    if path.parent != release.source_path or path.stem.lower() != "cover":
        return []
    if choose_cover(edits.c, [name]) is None or release.cover_image_path is None:
        return []
    return [release.cover_image_path] if release.cover_image_path.exists() else []


def _expect_track(edits: Edits, release: Release) -> None:
    """Has a release with new audio updated when that has been left alone for long enough to get its ids."""
    _forget_emptied(edits, release)  # it has a track again
    directory = release.source_path

    def look() -> None:
        report = update_cache_for_releases(edits.c, [directory])
        edits.look()
        if report.skipped:
            edits.later.at(edits.clock() + _QUIET_SECONDS, ("look", directory), look)

    edits.later.at(edits.clock() + _QUIET_SECONDS, ("look", directory), look)


def set_attributes(edits: Edits, request: Request) -> None:
    """Sets permissions and times of a file, or of a release's directory, in the source."""
    node, changes = request.node, request.changes
    if isinstance(node, DirectoryNode) and node.release_id:
        path = _release(edits, node.release_id).source_path
    else:
        node = _source_file(request)
        path = Path(os.fsdecode(node.path))
    if changes is None:
        return
    touched = _touched(edits, _release(edits, node.release_id))
    with holding(edits.c, touched):
        if changes.mode is not None:
            path.chmod(changes.mode & PERMISSIONS)
        if (changes.atime, changes.mtime) != (None, None):
            set_times(os.fsencode(path), changes.atime, changes.mtime)
    if node.release_id not in edits.emptied:
        refresh(edits.c, touched)


# Renaming ---------------------------------------------------------------------------------------------------


def rename_file(edits: Edits, request: Request) -> None:
    """Gives a file of a release another name there, or the place of another file."""
    node, to = _source_file(request), request.to
    assert to is not None
    if to.place is not Place.RELEASE or to.directory.id != request.directory.id or is_datafile(node):
        raise NotPermittedError(f"{request.name}: files are renamed within their release only")
    if to.node is None or not is_datafile(to.node):
        check_new_name(to.name)
    release = _release(edits, request.directory.id)
    if to.node is not None:
        _replace(edits, release, node, _source_file(to))
    elif node.key.space == FILE:
        _move(edits, release, node, to.name)
    else:
        raise NotPermittedError(f"{request.name}: a track is called by its tags")


def _move(edits: Edits, release: Release, node: FileNode, name: str) -> None:
    old = Path(os.fsdecode(node.path))
    new = _new_path(edits, release, old.parent, name)
    title = f"rename {old.name} of {release_logtext(release)} to {new.name}"
    with _editing(edits, release, title) as edit:
        outdone = [cover for cover in _outdone_covers(edits, release, new) if cover != old]
        edit.rename(old, new)
        for cover in outdone:
            edit.trash(cover)
        status = new.stat()
        if is_audio(new.name):
            _expect_track(edits, release)
    edits.sinks.holds.let_go(old)
    moved = _new_node(edits, release, new)
    moved.size, moved.mtime = status.st_size, status.st_mtime_ns
    edits.overlay.redirect(node.key, moved)
    edits.overlay.write(release.id, name, moved)


def _replace(edits: Edits, release: Release, node: FileNode, target: FileNode) -> None:
    if node.key == target.key:
        return
    old, path = Path(os.fsdecode(node.path)), Path(os.fsdecode(target.path))
    title = f"replace {path.name} of {release_logtext(release)} by {old.name}"
    with _editing(edits, release, title) as edit, _ready(old, path) as ready:
        if target.key.space != FILE:
            give_identity(edits.c, ready, path, target.key.id, release)
            if not edits.c.write_ids_to_tags:
                # Files without ids are told by size and time: this one must not be taken for one that moved.
                status = ready.stat()
                os.utime(ready, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        edit.put(path, ready)
        with suppress(FileNotFoundError):
            old.unlink()
    edits.overlay.redirect(node.key, target)


@contextmanager
def _ready(old: Path, path: Path) -> Iterator[Path]:
    """Gives a second name, with the suffix of the path that it is for, to a file that is going to be there.

    The suffix tells what kind of file it is, and those of temporary names are anything. With a second name, the
    file is still there after a crash.
    """
    ready = Path(os.path.realpath(path)).parent / f"{SPOOL_PREFIX}{secrets.token_hex(8)}{path.suffix}"
    try:
        os.link(old, ready)
    except OSError:
        with open(old, "rb") as source:
            spool = Spool.copy_of(source.fileno(), path, empty=False)
        spool.set_times(None, old.stat().st_mtime_ns)
        spool.finish()
        ready = spool.path
    try:
        yield ready
    finally:
        ready.unlink(missing_ok=True)


# Removing ---------------------------------------------------------------------------------------------------


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
    release = _release(edits, node.release_id)
    path = Path(os.fsdecode(node.path))
    _keep_name(edits, request)
    title = f"delete {path.name} of {release_logtext(release)}"
    group = edits.succession(f"rm {release.id}")
    is_last = release.id in edits.emptied or not _has_tracks(edits, release, without=path)
    with _editing(edits, release, title, group=group) as edit:
        edit.trash(path)
        if is_last:
            edits.emptied.setdefault(release.id, set()).add(node.key)
            edits.overlay.hide(None, node.key, seconds=2 * MOMENT)
            edits.later.at(edits.clock() + MOMENT, ("emptied", release.id), lambda: _let_go(edits, release))
    edits.overlay.drop(node.key)
    edits.sinks.holds.let_go(path)


def _has_tracks(edits: Edits, release: Release, *, without: Path | None = None) -> bool:
    return any(
        track.source_path != without and track.source_path.exists()
        for track in rosecache.get_tracks_of_release(edits.c, release)
    )


def _let_go(edits: Edits, release: Release) -> None:
    """Has the cache notice that a release has no tracks any more, and what became of it since."""
    refresh(edits.c, _touched(edits, release))
    edits.look()
    edits.overlay.unhide(None, edits.emptied.pop(release.id, ()))


def _forget_emptied(edits: Edits, release: Release) -> None:
    edits.later.cancel(("emptied", release.id))
    edits.overlay.unhide(None, edits.emptied.pop(release.id, ()))


def remove_release(edits: Edits, request: Request) -> None:
    """Puts what is left of a release without tracks into the trash."""
    node = request.node
    if node is None or node.key.entity == ALL_TRACKS:
        raise NotPermittedError(f"{request.name}: this directory is made by us")
    release = _release(edits, node.key.id)
    if _has_tracks(edits, release):
        raise NotEmptyError(f"{request.name} still has tracks")
    _keep_name(edits, request)
    title = f"delete {release_logtext(release)}"
    group = edits.succession(f"rm {release.id}")
    with editing(edits.c, edits.journal, title, _touched(edits, release), group=group) as edit:
        edit.trash(release.source_path)
    edits.successions.pop(f"rm {release.id}", None)
    _forget_emptied(edits, release)
    edits.overlay.unhide(node.key)


def _keep_name(edits: Edits, request: Request) -> None:
    """Gives the name of what is removed to none of its equals for a moment: who tried again would remove them too."""
    directory = edits.tree.directory(request.directory)
    if request.node is not None and directory.has_equals(request.name):
        directory.bind({request.name: request.node.key}, MOMENT)
        edits.later.at(edits.clock() + MOMENT, ("close up", request.directory), directory.close_up)


# Marking ----------------------------------------------------------------------------------------------------


def move_release(edits: Edits, request: Request) -> None:
    """Marks a release as not new when it is moved out of the view of new ones, and as new when into it."""
    node, to = request.node, request.to
    assert to is not None
    views = (request.directory.space, to.directory.space)
    is_same = node is not None and (to.node is None or to.node.key.id == node.key.id)
    if node is None or not is_same or to.place is not Place.RELEASES or node.key.entity == ALL_TRACKS:
        raise NotPermittedError(f"{request.name}: a release is called by its tags")
    if views not in (("releases_new", "releases"), ("releases", "releases_new")):
        raise NotPermittedError(f"{request.name}: a release is in a directory by its tags")
    releases.set_new(edits.c, edits.journal, _release(edits, node.key.id), views[1] == "releases_new")


def set_new(edits: Edits, request: Request) -> None:
    """Marks a release as new or as not new."""
    if request.node is None or request.node.key.entity == ALL_TRACKS:
        raise NotPermittedError(f"{request.name}: is no release")
    releases.set_new(edits.c, edits.journal, _release(edits, request.node.key.id), request.new)
