"""What a name in the tree stands for: its identity, and what ``stat`` and ``open`` need to know of it.

Nodes are made by listings and shared with the inode table. There is one for everything that was looked at,
so they are small, and hold no release and no track.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from rosecache.model import File, Release, Track
from rosefs.settings import ViewKey

ALL_TRACKS = "!all"
"""The entity of a flat directory of tracks; no release has this id."""


SEARCH: Literal["search"] = "search"
"""The view of searches. Their directories are called by matchers, and are in one another: the names are the value of
the key, with slashes between them."""

SMART_COLLAGES = "smart-collages"

SMART_LISTS: Mapping[str, ViewKey] = {SMART_COLLAGES: "collages", "smart-playlists": "playlists"}
"""The spaces of the lists that a matcher makes, with the views that show them."""


class Key(NamedTuple):
    """The identity of a directory or file, from which its inode number is made.

    A directory is (view, value, entity), as far down as it goes: ``("artists", "LOONA", <release id>)``; the
    top directory is three empty texts. A file is (one of the kinds below, whose it is, which one), and so
    the same in every view.
    """

    space: str
    value: str
    entity: str

    @property
    def parent(self) -> Key:
        """The directory that lists this one; the top directory's is itself."""
        if self.entity:
            return Key(self.space, self.value, "")
        if self.space in SMART_LISTS:
            return Key(SMART_LISTS[self.space], "", "")
        if self.space == SEARCH and "/" in self.value:
            return Key(SEARCH, self.value.rpartition("/")[0], "")
        return Key(self.space, "", "") if self.value else ROOT_KEY

    @property
    def id(self) -> str:
        """The release's or track's id, without the number that tells a repetition apart."""
        return (self.entity or self.value).partition("#")[0]


ROOT_KEY = Key("", "", "")


def top_key(view: ViewKey | None) -> Key:
    """Returns the key of a mount's top directory: that of a view if the mount shows it alone."""
    return ROOT_KEY if view is None else Key(view, "", "")


TRACK = "track"
"""Files: ``(TRACK, <track id>, "")``."""
MEMBER = "member"
"""A track that a playlist has repeatedly: ``(MEMBER, <playlist>, <track id>#2)``."""
FILE = "file"
"""Another file of a release: ``(FILE, <release id>, <path below the release>)``."""
ARRIVAL = "arrival"
"""A file or directory of a release that programs fill: ``(ARRIVAL, <which release>, <number>)``."""
PLAYLIST_COVER = "playlist-cover"
PLAYLIST_M3U8 = "m3u8"
"""Files of a playlist: ``(…, <playlist>, "")``, of a smart one ``(…, <playlist>, "smart-playlists")``."""
GHOST = "ghost"
GHOSTS = "ghosts"
"""A file, and a directory, that a program wrote where bytes are not wanted: ``(…, <number>, "")``."""


ALWAYS_CURRENT = 1 << 62
"""A generation that no change of the cache makes out of date."""


class Node:
    """A directory or file. ``release_id`` names the release whose change makes it out of date.

    Attributes:
        key: What it is.
        release_id: Empty for what any change may concern.
        mtime: Nanoseconds.
        generation: When it was read from the cache, see ``freshness.Versions``.
    """

    __slots__ = ("generation", "key", "mtime", "release_id")

    def __init__(self, key: Key, release_id: str, mtime: int, generation: int) -> None:
        self.key = key
        self.release_id = release_id
        self.mtime = mtime
        self.generation = generation

    def looks_like(self, other: Node) -> bool:
        """Tells whether nobody sees which of the two is shown."""
        return self.mtime == other.mtime


class DirectoryNode(Node):
    """A directory."""

    __slots__ = ()


class FileNode(Node):
    """A file of the source, or one that exists in memory only.

    Attributes:
        size: Bytes.
        path: The source file, in the bytes of its file system.
        content: What a generated file holds; None for source files.
    """

    __slots__ = ("content", "path", "size")

    def __init__(
        self,
        key: Key,
        release_id: str,
        mtime: int,
        generation: int,
        *,
        size: int,
        path: bytes = b"",
        content: bytes | None = None,
    ) -> None:
        self.key = key
        self.release_id = release_id
        self.mtime = mtime
        self.generation = generation
        self.size = size
        self.path = path
        self.content = content

    def looks_like(self, other: Node) -> bool:
        return (
            isinstance(other, FileNode)
            and (self.mtime, self.size, self.path) == (other.mtime, other.size, other.path)
            and self.content == other.content
        )


def playlist_of(file: Key) -> Key:
    """Returns the playlist's directory that one of its files, which is no track, is in."""
    return Key(file.entity or "playlists", file.value, "")


def track_node(track: Track, generation: int, *, key: Key | None = None) -> Node:
    """Returns the file of a track; under another key if it is a repetition."""
    return FileNode(
        key or Key(TRACK, track.id, ""),
        track.release.id,
        track.source_mtime,
        generation,
        size=track.source_size,
        path=os.fsencode(track.source_path),
    )


def file_node(release: Release, file: File, generation: int) -> Node:
    """Returns a file of a release that is no track."""
    return FileNode(
        Key(FILE, release.id, relative_path(release.source_path, file.path)),
        release.id,
        file.mtime,
        generation,
        size=file.size,
        path=os.fsencode(file.path),
    )


def nameless(node: FileNode, number: int) -> FileNode:
    """Returns a file that was removed, as whoever has it open under an inode number goes on seeing it."""
    key = Key(FILE, node.release_id, f"\0{number}")
    return FileNode(key, node.release_id, node.mtime, ALWAYS_CURRENT, size=node.size, path=node.path)


def relative_path(directory: Path, path: Path) -> str:
    """Returns a path below a directory as text; bytes that are no UTF-8 are lone surrogates in it."""
    return str(path.relative_to(directory))
