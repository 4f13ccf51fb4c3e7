"""Gestures on collages and playlists: making, renaming, removing them, and removing and moving their members.

Handlers of the table in ``gestures``. Members are numbered, and a program that removes several goes by the names
that it saw before the first: so names keep their numbers until a directory has been left alone for a while.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rosecache.datafiles import Member, read_members
from rosecache.names import safe_name
from rosefs.library import lists
from rosefs.library.editing import editing
from rosefs.library.errors import CacheBehindError, CoverError, NotFoundError
from rosefs.library.lists import COLLAGES, PLAYLISTS, Kind
from rosefs.vfs.directories import Directory
from rosefs.vfs.drafts import Draft
from rosefs.vfs.edits import Edits, Request, check_new_name
from rosefs.vfs.errors import (
    ExistsError,
    InvalidRequestError,
    NoEntryError,
    NotEmptyError,
    NotPermittedError,
)
from rosefs.vfs.handles import SourceContent
from rosefs.vfs.nodes import ALL_TRACKS, MEMBER, PLAYLIST_COVER, TRACK, DirectoryNode, FileNode, Key, Node
from rosefs.vfs.overlay import MOMENT
from rosefs.vfs.spool import Spool

log = logging.getLogger(__name__)

_TRIES = 3
_NUMBER = re.compile(r"[0-9]+")


def kind_of(directory: Key) -> Kind:
    """Returns what kind of list a directory, or the one above it, is that of."""
    return COLLAGES if directory.space == "collages" else PLAYLISTS


# Lists ------------------------------------------------------------------------------------------------------


def create_list(edits: Edits, request: Request) -> Node:
    """Makes a collage or a playlist."""
    _check_list_name(request)
    edits.sinks.note_made(Key(request.directory.space, request.name, ""))
    lists.create(edits.c, edits.journal, kind_of(request.directory), request.name)
    edits.look()
    made = edits.tree.directory(request.directory).find_key(Key(request.directory.space, request.name, ""))
    if made is None:
        raise NoEntryError(f"{request.name} is gone again")
    return made


def rename_list(edits: Edits, request: Request) -> None:
    """Renames a collage or a playlist."""
    node, to = request.node, request.to
    assert to is not None
    if node is None or to.directory != request.directory:
        raise NotPermittedError(f"{request.name}: collages and playlists stay where they are")
    _check_list_name(to)
    lists.rename(edits.c, edits.journal, kind_of(request.directory), node.key.value, to.name)


def _check_list_name(request: Request) -> None:
    check_new_name(request.name)
    if request.node is not None:
        raise ExistsError(request.name)
    if safe_name(request.name) != request.name:
        raise InvalidRequestError(f"{request.name!r} would be shown as {safe_name(request.name)!r}")


def remove_list(edits: Edits, request: Request) -> None:
    """Puts a collage or a playlist into the trash, with the members it had before this gesture."""
    if request.node is None:
        raise NoEntryError(request.name)
    kind, name = kind_of(request.directory), request.node.key.value
    directory = edits.tree.directory(request.node.key)
    if _members(directory):
        raise NotEmptyError(f"{request.name} still has members")
    path = lists.list_path(edits.c, kind, name)
    before, until = edits.lists_before.get(str(path), (b"", 0.0))
    touched, group = lists.touched(kind, name), edits.succession(_removals_from(path))
    with editing(edits.c, edits.journal, f"delete {kind.name} {name}", touched, group=group) as edit:
        lists.expect_list(edits.c, kind, name)
        if edits.clock() < until:
            edit.replace(path, before)
        for each in (path, *lists.covers_of(edits.c, path)):
            edit.trash(each)
    edits.lists_before.pop(str(path), None)
    directory.let_go()


# Covers -----------------------------------------------------------------------------------------------------


def expect_file_of_playlist(edits: Edits, request: Request) -> None:
    """Makes sure that what is to be written is a member of a playlist, or its cover. Raises NotPermittedError."""
    if request.node is None or request.node.key.space not in (TRACK, MEMBER, PLAYLIST_COVER):
        raise NotPermittedError(f"{request.name}: this cannot be written")


def save_cover(edits: Edits, draft: Draft, spool: Spool, node: FileNode) -> SourceContent:
    """Makes what was written to a playlist's cover its cover, and opens it there.

    Raises:
        BusyError: Another program has changed the file since it was opened.
        InvalidRequestError: It is not the image that its name says.
        OSError, RosecacheError: It could not be done; nothing was changed.
    """
    draft.expect_unchanged(Path(os.fsdecode(node.path)))
    try:
        with _behind_is_done():
            lists.set_cover(edits.c, edits.journal, node.key.value, spool.path)
    except CoverError as error:
        raise InvalidRequestError(f"{os.fsdecode(node.path)}: {error}") from error
    saved = SourceContent(node.path, edits.disks)
    spool.discard()
    return saved


@contextmanager
def _behind_is_done() -> Iterator[None]:
    """Goes on after what was done and the cache does not know yet: the next update makes up for that."""
    try:
        yield
    except CacheBehindError as error:
        log.warning("%s", error)


# Members ----------------------------------------------------------------------------------------------------


def remove_from_playlist(edits: Edits, request: Request) -> None:
    """Removes a member from a playlist, or its cover; what is generated is only hidden."""
    node = request.node
    assert node is not None
    if node.key.space in (TRACK, MEMBER):
        remove_member(edits, request.directory, node)
        edits.sinks.forget(request.directory, node.key.id)
    elif node.key.space == PLAYLIST_COVER:
        with _held(edits, request.directory, without=node.key), _behind_is_done():
            lists.delete_cover(edits.c, edits.journal, request.directory.value)
    else:
        edits.overlay.hide(request.directory, node.key)


def remove_from_collage(edits: Edits, request: Request) -> None:
    """Removes a release from a collage, when all its tracks were unlinked there."""
    node = request.node
    assert node is not None
    shown = [
        each
        for each in edits.tree.directory(node.key).entries().names.values()
        if each.key.space in (TRACK, MEMBER) and not edits.overlay.is_hidden(node.key, each.key)
    ]
    if shown:
        raise NotEmptyError(f"{request.name} still has tracks")
    if node.key.entity == ALL_TRACKS:
        edits.overlay.hide(request.directory, node.key)
    else:
        remove_member(edits, request.directory, node)
        edits.sinks.forget(request.directory, node.key.id)
    edits.overlay.unhide(node.key)


def move_member(edits: Edits, request: Request) -> None:
    """Moves a member to the position that its new name begins with."""
    node, to = request.node, request.to
    assert node is not None
    assert to is not None
    number = _NUMBER.match(to.name)
    is_member = node.key.space in (TRACK, MEMBER) or _is_listed_release(node)
    if to.directory != request.directory or number is None or not is_member:
        raise NotPermittedError(f"{request.name}: only the number of a member can be changed")
    with edits.list_lock(lists.list_path(edits.c, kind_of(request.directory), request.directory.value)):
        _move_locked(edits, request.directory, node, max(1, int(number.group())))


def _move_locked(edits: Edits, key: Key, node: Node, wanted: int) -> None:
    kind, name = kind_of(key), key.value
    directory = edits.tree.directory(key)
    shown = _members(directory)
    positions = [
        position for position, member in enumerate(_read(edits, kind, name), 1) if not member.missing
    ]
    if not positions:
        raise NoEntryError(f"{kind.name} {name} is empty")
    target = positions[wanted - 1] if wanted <= len(positions) else positions[-1]
    lists.move(
        edits.c, edits.journal, kind, name, node.key.id, _position(edits, kind, name, shown, node), target
    )
    directory.let_go()


def remove_member(edits: Edits, key: Key, node: Node) -> None:
    """Removes what a list's directory shows from the list, where it is shown."""
    with edits.list_lock(lists.list_path(edits.c, kind_of(key), key.value)):
        _remove_locked(edits, key, node)


def _remove_locked(edits: Edits, key: Key, node: Node) -> None:
    kind, name = kind_of(key), key.value
    directory = edits.tree.directory(key)
    path = lists.list_path(edits.c, kind, name)
    before = _before(edits, directory, path)
    shown = _members(directory)
    with _held(edits, key, without=node.key), _behind_is_done():
        _remove_shown(edits, kind, name, shown, node)
    edits.lists_before[str(path)] = (before, edits.clock() + MOMENT)


@contextmanager
def _held(edits: Edits, key: Key, *, without: Key) -> Iterator[None]:
    """Has a list's directory keep its names, but for one thing, for a moment after the block, and then close up."""
    directory = edits.tree.directory(key)
    with directory.hold(MOMENT, without=without):
        yield
    edits.later.at(edits.clock() + MOMENT, ("close up", key), directory.close_up)


def _remove_shown(edits: Edits, kind: Kind, name: str, shown: list[Node], node: Node) -> None:
    group = edits.succession(_removals_from(lists.list_path(edits.c, kind, name)))
    for attempt in range(_TRIES):
        position = _position(edits, kind, name, shown, node)
        try:
            lists.remove(edits.c, edits.journal, kind, name, node.key.id, position, group=group)
            break
        except NotFoundError:  # somebody else changed the list in between
            if attempt == _TRIES - 1:
                raise


def _removals_from(path: Path) -> str:
    return f"rm {path}"


def _before(edits: Edits, directory: Directory, path: Path) -> bytes:
    """Returns what a list's file held before the first removal of this gesture."""
    kept, until = edits.lists_before.get(str(path), (b"", 0.0))
    if directory.is_held and edits.clock() < until:
        return kept
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NoEntryError(f"{path} is gone") from error


def _members(directory: Directory) -> list[Node]:
    """Returns what a collage or a playlist shows of its members, in order."""
    return [
        node
        for node in directory.entries().names.values()
        if node.key.space in (TRACK, MEMBER) or _is_listed_release(node)
    ]


def _is_listed_release(node: Node) -> bool:
    return isinstance(node, DirectoryNode) and node.key.entity != ALL_TRACKS


def _position(edits: Edits, kind: Kind, name: str, shown: list[Node], node: Node) -> int:
    """Returns the place in a list's file of something shown: of equal ones, the one with as many before it."""
    keys = [each.key for each in shown]
    if node.key not in keys:
        raise NoEntryError(f"{kind.name} {name} does not show {node.key.id} any more")
    index = keys.index(node.key)
    number = sum(each.key.id == node.key.id for each in shown[:index])
    places = [place for place, member in enumerate(_read(edits, kind, name), 1) if member.id == node.key.id]
    if number >= len(places):
        raise NoEntryError(f"{kind.name} {name} holds {node.key.id} no more")
    return places[number]


def _read(edits: Edits, kind: Kind, name: str) -> list[Member]:
    try:
        return read_members(lists.list_path(edits.c, kind, name), kind.key)
    except FileNotFoundError as error:
        raise NoEntryError(f"{kind.name} {name} is gone") from error
