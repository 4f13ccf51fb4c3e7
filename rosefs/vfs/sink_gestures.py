"""Gestures of copying into collages and playlists: a copy names a member, and its bytes land nowhere.

Handlers of the table in ``gestures``, and what a copy means when it is whole. Whatever is taken as a member is held
before, since a program that moves deletes what it has copied, see ``rosefs.library.holds``.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from msgspec.structs import replace

import rosecache
from rosecache.datafiles import parse_datafile_name
from rosecache.model import Track
from rosecache.tags import is_audio
from rosefs.library import lists
from rosefs.library.errors import CacheBehindError, CoverError, NotFoundError
from rosefs.library.lists import COLLAGES, PLAYLISTS
from rosefs.library.pictures import HEAD_SIZE, extensions_of
from rosefs.vfs.edits import Edits, Request, check_new_name
from rosefs.vfs.errors import (
    ExistsError,
    InvalidRequestError,
    NoEntryError,
    NotEmptyError,
    NotPermittedError,
    StaleError,
)
from rosefs.vfs.ghosts import Ghost, GhostDirectory, GhostFile
from rosefs.vfs.list_gestures import move_member, remove_member
from rosefs.vfs.nodes import MEMBER, PLAYLIST_M3U8, TRACK, FileNode, Key, Node
from rosefs.vfs.places import Place, place_of
from rosefs.vfs.sinks import final_name, identify, is_in_releases, is_source_of, is_temporary

log = logging.getLogger(__name__)

_COVER = "cover"
_GENERATED = "generated"
"""What a file can stand for beside the id of a track."""

_DATAFILE = re.compile(r"\.?(\.rose\.[0-9a-f-]{36}\.toml)(\.[A-Za-z0-9]{6})?", re.IGNORECASE)
_LIST = "m3u8"


def _ghost(edits: Edits, node: Node | None) -> Ghost:
    ghost = None if node is None else edits.sinks.ghosts.of(node.key)
    if ghost is None:
        raise NoEntryError("what was copied here is gone")
    return ghost


# Directories ------------------------------------------------------------------------------------------------


def make_member(edits: Edits, request: Request) -> Node:
    """Adds the release to a collage that a new directory there is called after, if one can tell which it is."""
    check_new_name(request.name)
    if request.node is not None:
        raise ExistsError(request.name)
    candidates = edits.sinks.releases_called(request.name)
    if not candidates:
        raise InvalidRequestError(f"{request.name}: no release is called so")
    ghosts = edits.sinks.ghosts
    ghost = ghosts.make_directory(request.directory, request.name, candidates)
    try:
        if len(candidates) == 1:
            _decide(edits, ghost, next(iter(candidates)))
    except BaseException:
        ghosts.drop(ghost)
        raise
    edits.sinks.use(ghost)
    return ghost.node


def _decide(edits: Edits, ghost: GhostDirectory, release_id: str) -> None:
    """Adds a release to the collage that a directory was made in."""
    release = rosecache.get_release(edits.c, release_id)
    if release is None:
        raise NoEntryError(f"release {release_id} is gone")
    edits.sinks.holds.hold_release(release)
    _add(edits, ghost.directory, release_id)
    ghost.release_id = release_id


def _add(edits: Edits, directory: Key, identifier: str, group: str | None = None) -> None:
    kind = COLLAGES if directory.space == "collages" else PLAYLISTS
    path = lists.list_path(edits.c, kind, directory.value)
    with edits.list_lock(path):
        group = group or edits.succession(f"cp {path}")
        try:
            lists.add(edits.c, edits.journal, kind, directory.value, [identifier], group=group)
        except CacheBehindError as error:
            log.warning("%s", error)  # it is added, and the next update makes up for the rest
        edits.tree.directory(directory).let_go()
    edits.look()


def make_directory(edits: Edits, request: Request) -> Node:
    """Makes a directory below one that was copied into a collage."""
    if request.node is not None:
        raise ExistsError(request.name)
    ghost = edits.sinks.ghosts.make_directory(request.directory, request.name)
    edits.sinks.use(ghost)
    return ghost.node


def remove_directory(edits: Edits, request: Request) -> None:
    """Removes a directory that was just copied in, and with it the member that it stands for."""
    ghost = _ghost(edits, request.node)
    if edits.sinks.ghosts.listed(ghost.node.key):
        raise NotEmptyError(request.name)
    if isinstance(ghost, GhostDirectory) and ghost.release_id:
        member = _member(edits, ghost.directory, ghost.release_id)
        if member is not None:
            remove_member(edits, ghost.directory, member)
        edits.sinks.forget(ghost.directory, ghost.release_id)
    edits.sinks.ghosts.drop(ghost)


def _member(edits: Edits, directory: Key, identifier: str) -> Node | None:
    """Returns what a list shows last of a member."""
    listed = edits.tree.directory(directory).entries().by_key.values()
    return next((node for node in reversed(list(listed)) if node.key.id == identifier), None)


def set_attributes_of_list(edits: Edits, request: Request) -> None:
    """Takes what a program that has copied a list, or into a member, sets of it in the end; nothing shows it."""
    if request.node is None or not edits.sinks.is_fresh(request.node.key):
        raise NotPermittedError(f"{request.name}: its times and permissions are made by us")


# Files ------------------------------------------------------------------------------------------------------


def create(edits: Edits, request: Request) -> Node:
    """Makes a file that lands nowhere: in a playlist, or in a directory that was copied into a collage."""
    if request.place is Place.PLAYLIST:
        check_new_name(request.name)
    elif request.place is Place.COLLAGE_RELEASE:
        _expect_save(edits, request)
    ghost = edits.sinks.ghosts.make_file(request.directory, request.name)
    try:
        if request.place is Place.PLAYLIST:
            path = lists.list_path(edits.c, PLAYLISTS, request.directory.value)
            ghost.group = edits.succession(f"cp {path}")
        elif request.place is Place.COLLAGE_RELEASE:
            _hold(edits, request.directory.id)
        elif (named := _DATAFILE.fullmatch(request.name)) is not None:
            _decide_if_open(edits, ghost.root, parse_datafile_name(named[1].lower().encode()))
    except BaseException:
        edits.sinks.ghosts.drop(ghost)
        raise
    return ghost.node


def _expect_save(edits: Edits, request: Request) -> None:
    """Makes sure that a new file in a member of a collage is going to replace one that is there."""
    shown = edits.tree.directory(request.directory).entries().names
    name = final_name(request.name)
    if not is_temporary(request.name) or not {name, f".{name}"} & shown.keys():
        raise NotPermittedError(f"{request.name}: files are added to a release where it is no member")


def _hold(edits: Edits, release_id: str) -> None:
    release = rosecache.get_release(edits.c, release_id)
    if release is not None:
        edits.sinks.holds.hold_release(release)


def _decide_if_open(edits: Edits, root: Ghost, release_id: str | None) -> None:
    if not isinstance(root, GhostDirectory) or root.release_id is not None:
        return
    if release_id not in root.candidates:
        raise InvalidRequestError(f"{root.name}: this is none of the releases that are called so")
    assert release_id is not None
    _decide(edits, root, release_id)


def sink_over(edits: Edits, request: Request) -> None:
    """Has a program that truncates a member write to another file, which it finds when it looks the name up again.

    A file has one inode number in all views, and what is done to that is done to the source.
    """
    node, ghosts = request.node, edits.sinks.ghosts
    if not isinstance(node, FileNode) or node.key.space == PLAYLIST_M3U8:
        raise NotPermittedError(f"{request.name}: this cannot be written")
    if ghosts.find(request.directory, request.name) is None:
        if request.place is not Place.PLAYLIST:
            _hold(edits, node.release_id)
        ghost = ghosts.make_file(request.directory, request.name)
        ghost.over = node.key.id if node.key.space in (TRACK, MEMBER) else None
        edits.sinks.use(ghost)
    raise StaleError(f"{request.name} is another file from now on")


def rename(edits: Edits, request: Request) -> None:
    """Renames what was just copied in, also over a member: the end of saving by a temporary file."""
    ghost, to = _ghost(edits, request.node), request.to
    assert to is not None
    if to.directory != request.directory:
        raise NotPermittedError(f"{request.name}: what was copied in stays where it is")
    if isinstance(ghost, GhostDirectory) and ghost.root is ghost:
        member = _member(edits, ghost.directory, ghost.release_id) if ghost.release_id else None
        if member is None:
            raise NotPermittedError(f"{request.name}: nobody can tell which release this is")
        move_member(edits, replace(request, node=member))
        edits.sinks.ghosts.drop(ghost)
        return
    if place_of(request.directory) is Place.PLAYLIST:
        check_new_name(to.name)
    if to.node is not None and to.node.key.space == PLAYLIST_M3U8:
        raise NotPermittedError(f"{to.name}: this is made by us")
    edits.sinks.ghosts.rename(ghost, to.name)
    edits.sinks.use(ghost)
    if isinstance(ghost, GhostFile) and place_of(request.directory) is Place.PLAYLIST:
        _settle_name(edits, ghost, to.node)


def _settle_name(edits: Edits, ghost: GhostFile, target: Node | None) -> None:
    """Does what only follows from the final name of a file in a playlist."""
    with ghost.lock:
        if ghost.stands_for is None and ghost.size:
            ghost.has_news = True
            take(edits, ghost)
        elif target is not None and target.key.space in (TRACK, MEMBER) and target.key.id == ghost.stands_for:
            _take_back(edits, ghost, target)


def _take_back(edits: Edits, ghost: GhostFile, target: Node) -> None:
    """Removes the member that a file has added, which is now over another place of the same track."""
    member = _member(edits, ghost.directory, target.key.id)
    if ghost.added and member is not None and member.key != target.key:
        remove_member(edits, ghost.directory, member)
        edits.tree.directory(ghost.directory).let_go()
        ghost.added = False


def unlink(edits: Edits, request: Request) -> None:
    """Removes a file that was just copied in, and from a playlist what it stands for."""
    ghost = _ghost(edits, request.node)
    if isinstance(ghost, GhostFile) and place_of(ghost.directory) is Place.PLAYLIST:
        if ghost.stands_for == _COVER:
            lists.delete_cover(edits.c, edits.journal, ghost.directory.value)
        elif ghost.stands_for not in (None, _GENERATED):
            member = _member(edits, ghost.directory, str(ghost.stands_for))
            if member is not None:
                remove_member(edits, ghost.directory, member)
    edits.sinks.ghosts.drop(ghost)
    if place_of(request.directory) in (Place.COLLAGE_RELEASE, Place.COLLAGE_TRACKS):
        below = edits.tree.directory(request.directory).find(request.name)
        if below is not None:
            edits.overlay.hide(request.directory, below.key)


# What a copy means ------------------------------------------------------------------------------------------


def take(edits: Edits, ghost: GhostFile) -> None:
    """Does what follows from the bytes that a program has written, when it closes the file.

    Raises:
        InvalidRequestError: Nothing does; the name is gone.
        FileSystemError, RosecacheError, OSError: It could not be done; the name is gone.
    """
    with ghost.lock:
        if not ghost.has_news or not ghost.size:
            return
        ghost.has_news = False
        try:
            if ghost.failure is not None:
                raise ghost.failure
            if place_of(ghost.directory) is Place.PLAYLIST:
                _take_into_playlist(edits, ghost)
            else:
                _take_into_collage(edits, ghost)
        except BaseException:
            edits.sinks.ghosts.drop(ghost)
            raise


def _take_into_collage(edits: Edits, ghost: GhostFile) -> None:
    name, root = final_name(ghost.name), ghost.root
    may_be_audio = is_audio(name) or (is_temporary(ghost.name) and name == ghost.name)
    track = identify(edits.c, ghost) if may_be_audio else None
    if isinstance(root, GhostDirectory) and root.release_id is None:
        if track is not None or is_audio(name):
            _decide_if_open(edits, root, None if track is None else track.release.id)
    elif track is not None:
        edits.sinks.holds.hold_track(track)  # it need not be one of the release that it was copied to
    if not is_in_releases(edits.c, ghost, _releases_of(root, track)):
        name = final_name(ghost.name) if track is None else _name_of(ghost, track)
        _throw_away(edits, ghost, "/".join([*edits.sinks.ghosts.names_above(ghost), name]), "this release")


def _releases_of(root: Ghost, track: Track | None) -> set[str]:
    """Returns the ids of the releases that have what was copied into a collage, if it is the library's."""
    found = set() if track is None else {track.release.id}
    if not isinstance(root, GhostDirectory):
        return {*found, root.directory.id}  # of the member that it was copied to
    return found | (root.candidates if root.release_id is None else {root.release_id})


def _take_into_playlist(edits: Edits, ghost: GhostFile) -> None:
    name = final_name(ghost.name)
    stem, extension = Path(name).stem, Path(name).suffix.lower().removeprefix(".")
    if extension in [each.lower() for each in edits.c.valid_art_exts]:
        if stem.lower() != "cover":
            raise InvalidRequestError(f"{ghost.name}: a playlist has one image, called cover.{extension}")
        _set_cover(edits, ghost, extension)
    elif extension == _LIST:
        _expect_generated(edits, ghost)
    elif (track := identify(edits.c, ghost)) is not None:
        _take_track(edits, ghost, track)
    elif not (is_temporary(ghost.name) and _is_image(ghost)):  # whose name will tell what it is for
        raise InvalidRequestError(f"{ghost.name}: this is no track of the library")


def _take_track(edits: Edits, ghost: GhostFile, track: Track) -> None:
    edits.sinks.holds.hold_track(track)
    _keep_edit(edits, ghost, track)
    if track.id in (ghost.over, ghost.stands_for):
        ghost.stands_for = track.id
        return
    _add(edits, ghost.directory, track.id, ghost.group)
    ghost.stands_for, ghost.added = track.id, True


def _keep_edit(edits: Edits, ghost: GhostFile, track: Track) -> None:
    if not is_source_of(track, ghost):
        _throw_away(edits, ghost, _name_of(ghost, track), "this track")


def _name_of(ghost: GhostFile, track: Track) -> str:
    name = final_name(ghost.name)
    # Nobody can tell yet what a file of GNOME's is going to be called.
    return track.source_path.name if is_temporary(name) else name


def _throw_away(edits: Edits, ghost: GhostFile, name: str, what: str) -> None:
    """Puts a copy with bytes of its own into the trash: a program that moves is going to delete what it was made of."""
    kept = edits.sinks.holds.throw_away(ghost.path, name)
    log.warning("%s is not what the library has of %s: a copy of it is in the trash, %s", name, what, kept)


def _set_cover(edits: Edits, ghost: GhostFile, extension: str) -> None:
    try:
        lists.set_cover(edits.c, edits.journal, ghost.directory.value, ghost.called(f".{extension}"))
    except CoverError as error:
        raise InvalidRequestError(str(error)) from error
    ghost.stands_for = _COVER
    ghost.cover = rosecache.get_playlist_cover(edits.c, ghost.directory.value)


def _is_image(ghost: GhostFile) -> bool:
    with ghost.path.open("rb") as file:
        return bool(extensions_of(file.read(HEAD_SIZE)))


def _expect_generated(edits: Edits, ghost: GhostFile) -> None:
    """Makes sure that a list of tracks is one that the mount shows, which will not be missed."""
    content = ghost.path.read_bytes()
    for name in rosecache.list_playlists(edits.c):
        try:
            shown = edits.tree.directory(Key("playlists", name, "")).find_key(Key(PLAYLIST_M3U8, name, ""))
        except (NoEntryError, NotFoundError):
            continue
        if isinstance(shown, FileNode) and shown.content == content:
            ghost.stands_for = _GENERATED
            return
    raise InvalidRequestError(f"{ghost.name}: this is none of the lists that are shown in playlists")
