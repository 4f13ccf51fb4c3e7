"""Extended attributes: what ``getfattr -d`` shows of a release or a track.

Programs ask for many attributes that nobody has; those are answered without asking the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import rosecache
from rosecache.config import Config
from rosecache.model import Release, Track
from rosefs.vfs.errors import NoAttributeError, NoEntryError
from rosefs.vfs.nodes import ALL_TRACKS, MEMBER, TRACK, DirectoryNode, Node

_OF_RELEASES: Mapping[bytes, Callable[[Release], str]] = {
    b"user.rosefs.id": lambda release: release.id,
    b"user.rosefs.source_path": lambda release: str(release.source_path),
    b"user.rosefs.new": lambda release: "true" if release.new else "false",
}
_OF_TRACKS: Mapping[bytes, Callable[[Track], str]] = {
    b"user.rosefs.id": lambda track: track.id,
    b"user.rosefs.release_id": lambda track: track.release.id,
    b"user.rosefs.source_path": lambda track: str(track.source_path),
}


def list_attributes(node: Node) -> list[bytes]:
    """Returns the names of the attributes that a directory or file has."""
    if _is_release(node):
        return list(_OF_RELEASES)
    return list(_OF_TRACKS) if _is_track(node) else []


def get_attribute(c: Config, node: Node, name: bytes) -> bytes:
    """Returns the value of an attribute.

    Raises:
        NoAttributeError: It has no attribute of this name.
        NoEntryError: It is gone.
    """
    value: str | None
    if _is_release(node) and name in _OF_RELEASES:
        release = rosecache.get_release(c, node.key.id)
        value = None if release is None else _OF_RELEASES[name](release)
    elif _is_track(node) and name in _OF_TRACKS:
        track = rosecache.get_track(c, node.key.id)
        value = None if track is None else _OF_TRACKS[name](track)
    else:
        raise NoAttributeError(os.fsdecode(name))
    if value is None:
        raise NoEntryError(f"{node.key} is gone")
    return os.fsencode(value)


def _is_release(node: Node) -> bool:
    return isinstance(node, DirectoryNode) and node.key.entity not in ("", ALL_TRACKS)


def _is_track(node: Node) -> bool:
    return node.key.space in (TRACK, MEMBER)
