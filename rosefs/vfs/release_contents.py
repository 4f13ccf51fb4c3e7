"""The kinds of directories that hold what a release holds: its own, and the flat ones of many releases' tracks.

What they list of a release is made once for all that are about it, of rows of the cache.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
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
    list_release_heads,
    list_shown_files,
    list_shown_tracks,
)
from rosefs.vfs.building import Built
from rosefs.vfs.contents import InView, releases_of, wanted_by
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.fetching import fetch_file_node
from rosefs.vfs.names import Candidate, Follower
from rosefs.vfs.nodes import FILE, TRACK, FileNode, Key, Node

_NAME = itemgetter(4)
"""Of a :class:`rosecache.query.shown.ShownTrack`."""


class AllTracksDirectory(InView):
    """All tracks of the releases that the directory above lists."""

    extensions = True

    _parts: Collection[Built] = ()
    """What is listed of each release, for other such directories to have it too."""

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
                    Candidate(row[4], row[0], node)
                    for row, node in _with_nodes(self, "track", tracks, release_id, generation)
                ]
            )
            parts[release_id] = shared.keep(keys[release_id], built)
        self._parts = [part for part in parts.values() if part is not None]
        candidates = [candidate for part in self._parts for candidate in part.candidates]
        return Built(candidates, frozenset(releases))

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

    extensions = True

    _built: Built | None = None
    """What is listed, for other directories of the release to have it too."""

    def is_short(self) -> bool:
        return True

    def build(self, generation: int) -> Built:
        shared, key = self.context.shared, self.shared_key("track", self.key.id, generation)
        self._built = shared.find(key) or shared.keep(key, self._build(generation))
        return self._built

    def _build(self, generation: int) -> Built:
        c, release_id = self.context.c, self.key.id
        with snapshot(c):  # or its files may be in another directory than itself, if it is renamed just now
            heads = list_release_heads(c, ids_filter((release_id,)))
            if not heads:
                raise NoEntryError(f"release {release_id} is gone")
            files = list_shown_files(c, heads[0])
            tracks = named_tracks(self, heads, "track")[release_id]
        # Tracks have the first choice of names, and among other files those that programs look for.
        candidates = [
            Candidate(row[4], row[0], node)
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
        return Built(candidates, frozenset((release_id,)), followers)

    def _extra(
        self, tracks: Sequence[ShownTrack], files: Sequence[ShownFile], generation: int
    ) -> Iterator[Follower]:
        if not self.context.settings.show_extra_files or not files:
            return
        max_bytes = self.context.c.max_filename_bytes
        beside: dict[Path, Key] = {}
        for track_id, _, _, source, _ in tracks:
            beside.setdefault(Path(os.fsdecode(source)).with_suffix(""), Key(TRACK, track_id, ""))
        for file in files:
            path = Path(os.fsdecode(file[1] + file[2]))

            def wanted(names: Mapping[Key, str], path: Path = path) -> str:
                """Lyrics and such are called as the track beside them, so that players find them."""
                track = beside.get(path.with_suffix(""))
                if track is None:
                    return kept_name(path.name, max_bytes)
                return safe_name(Path(names[track]).stem, max_bytes=max_bytes, extension=path.suffix)

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
    shown = list_shown_tracks(c, releases, namer.naming, namer.place(template))
    unnamed = [release_id for release_id, tracks in shown.items() if not all(map(_NAME, tracks))]
    if unnamed:
        full = rosecache.get_tracks_of_releases(c, rosecache.list_releases(c, unnamed))
        made = {
            track.id: namer.name(template, track, context=directory.names_context)
            for _, tracks in full
            for track in tracks
        }
        for release_id in unnamed:
            shown[release_id] = [(*row[:4], row[4] or made[row[0]]) for row in shown[release_id]]
    return shown


def kept_name(name: str, max_bytes: int) -> str:
    """Returns a source file's own name, unless it is no readable text."""
    composed = unicodedata.normalize("NFC", name)
    if composed.isprintable() and len(os.fsencode(composed)) <= max_bytes:
        return composed
    path = Path(name)
    return safe_name(path.stem, max_bytes=max_bytes, extension=path.suffix)


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
            node = FileNode(Key(TRACK, track_id, ""), release_id, mtime, generation, size=size, path=path)
        yield row, node


def _file_node(file: ShownFile, release_id: str, generation: int) -> Node:
    _, above, path, size, mtime = file
    key = Key(FILE, release_id, os.fsdecode(path))
    return FileNode(key, release_id, mtime, generation, size=size, path=above + path)
