"""Places: what kind of directory something is in, as far as that decides what a write operation means there."""

from __future__ import annotations

from enum import Enum, auto

from rosefs.vfs.nodes import ALL_TRACKS, ARRIVAL, GHOST, GHOSTS, ROOT_KEY, SEARCH, SMART_LISTS, Key
from rosefs.vfs.searching import is_saved
from rosefs.vfs.views import VIEWS


class Place(Enum):
    """A kind of directory."""

    TOP = auto()
    """The top of the mount, which lists views."""
    VALUES = auto()
    """A view that lists artists, genres, descriptors or labels."""
    COLLAGES = auto()
    """The view of collages."""
    PLAYLISTS = auto()
    """The view of playlists."""
    RELEASES = auto()
    """A directory that lists releases by what they are."""
    COLLAGE = auto()
    """A collage."""
    PLAYLIST = auto()
    """A playlist."""
    RELEASE = auto()
    """A release's directory."""
    ALL_TRACKS = auto()
    """The flat directory of the tracks of releases."""
    COLLAGE_RELEASE = auto()
    """A release's directory below Collages."""
    COLLAGE_TRACKS = auto()
    """The flat directory of a collage's tracks."""
    SMART_LIST = auto()
    """A smart collage or playlist, or a saved search, or the flat directory of one's tracks; also where such a list is
    concerned."""
    SMART_RELEASE = auto()
    """A release's directory in a smart collage or a saved search."""
    SINK = auto()
    """A directory that was just copied into a collage; also where anything just copied in is concerned."""
    ARRIVAL = auto()
    """A release that programs fill, or a directory in it."""


OF_MEMBERS = frozenset(
    (Place.PLAYLIST, Place.COLLAGE_RELEASE, Place.COLLAGE_TRACKS, Place.SMART_LIST, Place.SMART_RELEASE)
)
"""Directories whose files are there because a list names them: what is done to their names is done to the list."""


def is_ghost(key: Key) -> bool:
    """Tells whether something is there because a program has just written it, see ``ghosts``."""
    return key.space in (GHOST, GHOSTS)


def place_of(directory: Key) -> Place:
    """Returns what kind of directory a key is that of."""
    if directory == ROOT_KEY:
        return Place.TOP
    if is_ghost(directory):
        return Place.SINK
    if directory.space == ARRIVAL:
        return Place.ARRIVAL
    if directory.space in SMART_LISTS or is_saved(directory):
        is_release = directory.entity not in ("", ALL_TRACKS)
        return Place.SMART_RELEASE if is_release else Place.SMART_LIST
    view = VIEWS[directory.space]
    if not directory.value and view.values is not None:
        return {"collages": Place.COLLAGES, "playlists": Place.PLAYLISTS}.get(view.key, Place.VALUES)
    if not directory.entity:
        return {"collages": Place.COLLAGE, "playlists": Place.PLAYLIST}.get(view.key, Place.RELEASES)
    in_collage = view.key == "collages"
    if directory.entity == ALL_TRACKS:
        return Place.COLLAGE_TRACKS if in_collage else Place.ALL_TRACKS
    return Place.COLLAGE_RELEASE if in_collage else Place.RELEASE


def place_of_name(directory: Key, key: Key | None) -> Place:
    """Returns where a name is, by its directory and what it stands for, which may be what decides what can be done."""
    if key is not None and (is_ghost(key) or key.space == ARRIVAL):
        return place_of(key)
    if key is not None and not key.entity and (key.space in SMART_LISTS or is_saved(key)):
        return Place.SMART_LIST
    if key is not None and key.space == SEARCH and not key.entity:
        return Place.VALUES
    return place_of(directory)
