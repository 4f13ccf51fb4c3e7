"""The kinds of directories that hold what a release holds: its own, and the flat ones of many releases' tracks.

What they list of a release is made once for all that are about it, of rows of the cache.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from sys import intern

import rosecache
from rosecache.names import safe_name
from rosecache.naming import extension_of
from rosecache.query.filters import ids_filter
from rosecache.query.rows import snapshot
from rosecache.query.shown import (
    ReleaseHead,
    ShownFile,
    ShownTrack,
    find_shown_tracks,
    list_contents,
    list_release_heads,
    list_shown_tracks,
)
from rosecache.templates import NameTemplate
from rosefs.vfs.building import Built
from rosefs.vfs.contents import FlatDirectory, InView, releases_of, wanted_by
from rosefs.vfs.directories import Context
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.fetching import fetch_file_node
from rosefs.vfs.names import Candidate, Follower
from rosefs.vfs.nodes import FILE, TRACK, FileNode, Key, Node

_NAME = itemgetter(4)
"""Of a :class:`rosecache.query.shown.ShownTrack`."""


class AllTracksDirectory(FlatDirectory):
    """All tracks of the releases that the directory above lists."""

    __slots__ = ("_parts",)

    extensions = True

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        # What is listed of each release, for other such directories to have it too.
        self._parts: Collection[Built] = ()

    def build(self, generation: int) -> Built:
        c, shared = self.context.c, self.context.shared
        with snapshot(c):  # the keys of releases are good for no longer
            releases = {intern(release.id): release for release in self._heads()}
            keys = {
                release_id: self.shared_key("all_tracks", release_id, generation) for release_id in releases
            }
            parts = {release_id: shared.find(key) for release_id, key in keys.items()}
            missing = [releases[release_id] for release_id, part in parts.items() if part is None]
            found = named_tracks(self, missing, "all_tracks") if missing else {}
        for release_id, tracks in found.items():
            built = Built(
                [
                    Candidate(row[4], node.key.value, node)
                    for row, node in _with_nodes(self, "track", tracks, release_id, generation)
                ]
            )
            parts[release_id] = shared.keep(keys[release_id], built)
        self._parts = tuple(part for part in parts.values() if part is not None)
        candidates = [candidate for part in self._parts for candidate in part.candidates]
        return Built(candidates, tuple(releases))

    def _heads(self) -> Iterator[ReleaseHead]:
        """Yields the releases of the directory above, in its order."""
        c, wanted = self.context.c, wanted_by(self)
        if wanted is not None:
            yield from list_release_heads(c, wanted)
            return
        ids = dict.fromkeys(release.id for release in releases_of(self))
        heads = {head.id: head for head in list_release_heads(c, ids_filter(ids))}
        yield from (heads[release_id] for release_id in ids)

    def lost(self, release_ids: Collection[str] | None) -> Collection[str]:
        if self.view.ordered:
            return super().lost(release_ids)
        names = self.leading(release_ids)
        existing = self.survivors(set(names.values())) if names else ()
        return [name for name, key in names.items() if key not in existing]

    def survivors(self, keys: Collection[Key]) -> Collection[Key]:
        if not self.view.keeps_left:
            return ()
        found = {track.id for track in rosecache.list_tracks(self.context.c, {key.id for key in keys})}
        return {key for key in keys if key.id in found}

    def fetch(self, key: Key) -> Node | None:
        return fetch_file_node(self.context.c, key, self.context.versions.generation)


class ReleaseDirectory(InView):
    """A release: its tracks, its cover, its datafile, and its other files."""

    __slots__ = ("_built",)

    extensions = True
    most_single = 1  # who asks for a second track is likely to ask for all

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        # What is listed, for other directories of the release to have it too.
        self._built: Built | None = None

    def is_short(self) -> bool:
        return True

    def build(self, generation: int) -> Built:
        shared, key = self.context.shared, self.shared_key("track", self.key.id, generation)
        self._built = shared.find(key) or shared.keep(key, self._build(generation))
        return self._built

    def look_up(self, name: str, generation: int) -> Sequence[Node] | None:
        """Finds a track that alone wants a name, which it has then: tracks have the first choice of names."""
        namer, release_id = self.context.namer, self.key.id
        place = namer.place(namer.template(self.view.key, "track"))
        if place is None:
            return None
        found = find_shown_tracks(self.context.c, release_id, namer.naming, place, name)
        if found is None or len(found) != 1:
            return None
        return (_track_file(found[0], release_id, generation),)

    def _build(self, generation: int) -> Built:
        release_id = self.key.id
        tracks, files = self._contents()
        # Tracks have the first choice of names, and among other files those that programs look for.
        candidates = [
            Candidate(row[4], node.key.value, node)
            for row, node in _with_nodes(self, "all_tracks", tracks, release_id, generation)
        ]
        single: dict[str, ShownFile] = {}
        extra = []
        for file in files:
            if file[0] in ("cover", "datafile") and file[0] not in single:
                single[file[0]] = file
            else:
                extra.append(file)
        if "cover" in single:
            cover = single["cover"]
            name = f"cover{extension_of(cover[2])}"
            candidates.append(Candidate(name, "~1", _file_node(cover, release_id, generation)))
        if "datafile" in single:
            datafile = single["datafile"]
            name = os.path.basename(os.fsdecode(datafile[2]))
            candidates.append(Candidate(name, "~2", _file_node(datafile, release_id, generation)))
        followers = list(self._extra(tracks, extra, generation))
        return Built(candidates, (release_id,), followers)

    def _contents(self) -> tuple[Sequence[ShownTrack], Sequence[ShownFile]]:
        """Returns the tracks, with names, and the other files. Raises NoEntryError if the release is gone."""
        c, release_id, naming = self.context.c, self.key.id, self.context.namer.naming
        template = self.context.namer.template(self.view.key, "track")
        place = self.context.namer.place(template)
        found = list_contents(c, release_id, naming, place)
        if found is not None and all(map(_NAME, found[0])):
            return found
        with snapshot(c):  # so that those which get names here are those which were found
            found = list_contents(c, release_id, naming, place)
            if found is None:
                raise NoEntryError(f"release {release_id} is gone")
            tracks, files = found
            return with_names(self, template, {release_id: tracks})[release_id], files

    def _extra(
        self, tracks: Sequence[ShownTrack], files: Sequence[ShownFile], generation: int
    ) -> Iterator[Follower]:
        if not self.context.settings.show_extra_files or not files:
            return
        max_bytes = self.context.c.max_filename_bytes
        beside: dict[str, Key] = {}
        for track_id, _, _, source, _ in tracks:
            beside.setdefault(_split(os.fsdecode(source))[0], Key(TRACK, track_id, ""))
        for file in files:
            path = os.fsdecode(file[1] + file[2])

            def wanted(names: Mapping[Key, str], path: str = path) -> str:
                """Lyrics and such are called as the track beside them, so that players find them."""
                stem, extension = _split(path)
                track = beside.get(stem)
                if track is None:
                    return kept_name(os.path.basename(path), max_bytes)
                return safe_name(_split(names[track])[0], max_bytes=max_bytes, extension=extension)

            node = _file_node(file, self.key.id, generation)
            yield Follower(wanted, node.key.entity, node)


def named_tracks(
    directory: InView, releases: Sequence[ReleaseHead], kind: str
) -> Mapping[str, Sequence[ShownTrack]]:
    """Returns the tracks of releases by the ids of these, with names: those of the cache, or else made here.

    In the snapshot in which the releases were read.
    """
    c, namer = directory.context.c, directory.context.namer
    template = namer.template(directory.view.key, kind)
    return with_names(
        directory, template, list_shown_tracks(c, releases, namer.naming, namer.place(template))
    )


def with_names(
    directory: InView, template: NameTemplate, shown: Mapping[str, Sequence[ShownTrack]]
) -> Mapping[str, Sequence[ShownTrack]]:
    """Returns tracks by the ids of their releases with names, of which those are made that the cache does not have.

    In the snapshot in which they were read.
    """
    c, namer = directory.context.c, directory.context.namer
    unnamed = [release_id for release_id, tracks in shown.items() if not all(map(_NAME, tracks))]
    if not unnamed:
        return shown
    full = rosecache.get_tracks_of_releases(c, rosecache.list_releases(c, unnamed))
    made = {
        track.id: namer.name(template, track, context=directory.names_context)
        for _, tracks in full
        for track in tracks
    }
    named = {
        release_id: [(*row[:4], row[4] or made[row[0]]) for row in shown[release_id]]
        for release_id in unnamed
    }
    return {**shown, **named}


def kept_name(name: str, max_bytes: int) -> str:
    """Returns a source file's own name, unless it is no readable text."""
    composed = unicodedata.normalize("NFC", name)
    if composed.isprintable() and len(os.fsencode(composed)) <= max_bytes:
        return composed
    stem, extension = _split(name)
    return safe_name(stem, max_bytes=max_bytes, extension=extension)


def _split(path: str) -> tuple[str, str]:
    """Returns a path without its extension, and that with its dot. A dot at either end of a name begins none."""
    start = path.rfind("/") + 1
    dot = path.rfind(".")
    return (path[:dot], path[dot:]) if start < dot < len(path) - 1 else (path, "")


def _with_nodes(
    directory: InView, kind: str, tracks: Sequence[ShownTrack], release_id: str, generation: int
) -> Iterator[tuple[ShownTrack, Node]]:
    """Yields tracks with their files: those that directories of another kind list, where they are there."""
    built = directory.context.shared.find(directory.shared_key(kind, release_id, generation))
    known = {each.node.key.value: each.node for each in built.candidates} if built is not None else {}
    for row in tracks:
        track_id, size, mtime, path, _ = row
        node = known.get(track_id)
        if not isinstance(node, FileNode) or (node.size, node.mtime, node.path) != (size, mtime, path):
            node = _track_file(row, release_id, generation)
        yield row, node


def _track_file(track: ShownTrack, release_id: str, generation: int) -> FileNode:
    track_id, size, mtime, path, _ = track
    return FileNode(Key(TRACK, track_id, ""), release_id, mtime, generation, size=size, path=path)


def _file_node(file: ShownFile, release_id: str, generation: int) -> Node:
    _, above, path, size, mtime = file
    key = Key(FILE, release_id, os.fsdecode(path))
    return FileNode(key, release_id, mtime, generation, size=size, path=above + path)
