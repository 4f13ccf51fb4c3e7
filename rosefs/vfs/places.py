"""Places: what kind of directory something is in, as far as that decides what a write operation means there."""

from __future__ import annotations

from enum import Enum, auto

from rosefs.vfs.nodes import ALL_TRACKS, ARRIVAL, GHOST, GHOSTS, ROOT_KEY, Key
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
    SINK = auto()
    """A directory that was just copied into a collage; also where anything just copied in is concerned."""
    ARRIVAL = auto()
    """A release that programs fill, or a directory in it."""


OF_MEMBERS = frozenset((Place.PLAYLIST, Place.COLLAGE_RELEASE, Place.COLLAGE_TRACKS))
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
    view = VIEWS[directory.space]
    if not directory.value and view.values is not None:
        return {"collages": Place.COLLAGES, "playlists": Place.PLAYLISTS}.get(view.key, Place.VALUES)
    if not directory.entity:
        return {"collages": Place.COLLAGE, "playlists": Place.PLAYLIST}.get(view.key, Place.RELEASES)
    in_collage = view.key == "collages"
    if directory.entity == ALL_TRACKS:
        return Place.COLLAGE_TRACKS if in_collage else Place.ALL_TRACKS
    return Place.COLLAGE_RELEASE if in_collage else Place.RELEASE
