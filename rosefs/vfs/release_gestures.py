"""Gestures on releases and their files: writing, renaming, marking as new.

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

from rosecache.boundary import expect_inside, expect_no_link
from rosecache.model import Release
from rosecache.names import distinct_name
from rosecache.query.releases import release_logtext
from rosecache.tags import is_audio
from rosecache.temporary import SPOOL_PREFIX
from rosecache.update import update_cache_for_releases
from rosecache.update.release import choose_cover
from rosefs.library import releases
from rosefs.library.editing import holding, refresh, release_directory
from rosefs.library.errors import CacheBehindError
from rosefs.library.journal import Edit
from rosefs.vfs.drafts import Draft
from rosefs.vfs.edits import Edits, Request, check_new_name
from rosefs.vfs.errors import NotPermittedError
from rosefs.vfs.handles import SourceContent
from rosefs.vfs.identity import give_identity
from rosefs.vfs.nodes import ALL_TRACKS, FILE, MEMBER, TRACK, DirectoryNode, FileNode, Key, Node
from rosefs.vfs.places import Place
from rosefs.vfs.release_edits import editing_release, forget_emptied, is_datafile, release_of, touched_by
from rosefs.vfs.spool import PERMISSIONS, Spool, set_times

log = logging.getLogger(__name__)

_QUIET_SECONDS = 5.5
"""After which a new audio file is looked at again; an update gives it no id before it was left alone for five."""

_OF_RELEASES = (TRACK, MEMBER, FILE)


def expect_source_file(edits: Edits, request: Request) -> None:
    """Makes sure that what is to be changed is a file of a release, and may be.

    Raises:
        NotPermittedError: It is something else.
        OSError: It is a link, or elsewhere.
    """
    _expect_own(edits, Path(os.fsdecode(_source_file(request).path)))


def _expect_own(edits: Edits, path: Path) -> None:
    """Makes sure that a file of a release is in the music directory, and not what a link in it leads to."""
    expect_inside(edits.c, release_directory(edits.c, path))
    expect_no_link(path)


def _source_file(request: Request) -> FileNode:
    node = request.node
    if not isinstance(node, FileNode) or node.key.space not in _OF_RELEASES:
        raise NotPermittedError(f"{request.name}: this cannot be written")
    return node


# Writing ----------------------------------------------------------------------------------------------------


def create(edits: Edits, request: Request) -> Node:
    """Chooses where a new file is going to be; it is made when it is saved."""
    check_new_name(request.name)
    release = release_of(edits, request.directory.id)
    expect_inside(edits.c, release_directory(edits.c, release.source_path))
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
    release = release_of(edits, node.release_id)
    path = Path(os.fsdecode(node.path))
    try:
        with editing_release(edits, release, f"write {path.name} of {release_logtext(release)}") as edit:
            if draft.is_new:
                _save_new(edits, edit, release, path, spool)
            else:
                _save_over(edits, edit, release, draft, spool, node)
            saved = SourceContent(os.fsencode(path), edits.disks)
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
    forget_emptied(edits, release)  # it has a track again
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
        path = release_of(edits, node.release_id).source_path
    else:
        node = _source_file(request)
        path = Path(os.fsdecode(node.path))
    if changes is None:
        return
    if isinstance(node, FileNode):
        _expect_own(edits, path)
    touched = touched_by(edits, release_of(edits, node.release_id))
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
    release = release_of(edits, request.directory.id)
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
    with editing_release(edits, release, title) as edit:
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
    for each in (old, path):
        _expect_own(edits, each)
    title = f"replace {path.name} of {release_logtext(release)} by {old.name}"
    with editing_release(edits, release, title) as edit, _ready(old, path) as ready:
        if target.key.space != FILE:
            give_identity(edits.c, ready, path, target.key.id, release)
            if not edits.c.write_ids_to_tags:
                # Files without ids are told by size and time: this one must not be taken for one that moved.
                status = ready.stat()
                os.utime(ready, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        edit.put(path, ready)
        with suppress(FileNotFoundError):
            old.unlink()
    edits.sinks.holds.let_go(old)
    edits.overlay.redirect(node.key, target)


@contextmanager
def _ready(old: Path, path: Path) -> Iterator[Path]:
    """Gives a second name, with the suffix of the path that it is for, to a file that is going to be there.

    The suffix tells what kind of file it is, and those of temporary names are anything. With a second name, the
    file is still there after a crash.
    """
    ready = path.parent / f"{SPOOL_PREFIX}{secrets.token_hex(8)}{path.suffix}"
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
    releases.set_new(edits.c, edits.journal, release_of(edits, node.key.id), views[1] == "releases_new")


def set_new(edits: Edits, request: Request) -> None:
    """Marks a release as new or as not new."""
    if request.node is None or request.node.key.entity == ALL_TRACKS:
        raise NotPermittedError(f"{request.name}: is no release")
    releases.set_new(edits.c, edits.journal, release_of(edits, request.node.key.id), request.new)
