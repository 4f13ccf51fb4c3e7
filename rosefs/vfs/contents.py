"""The kinds of directories: what each asks the cache for, and under which names it lists it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from sys import intern

import rosecache
from rosecache.config import Config
from rosecache.formatting import format_artists
from rosecache.model import File, Release, Track
from rosecache.names import safe_name
from rosecache.query.filters import Filter, ids_filter
from rosecache.query.releases import releases_that_pass
from rosecache.query.rows import snapshot
from rosecache.query.shown import ShownRelease, find_shown_releases, list_few_releases, list_shown_releases
from rosecache.templates import NameTemplate
from rosefs.rules.smart import releases_of as smart_releases
from rosefs.settings import ViewKey
from rosefs.vfs.building import Built
from rosefs.vfs.directories import Context, Directory
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.fetching import fetch_release_node
from rosefs.vfs.listings import Listing
from rosefs.vfs.names import Candidate, unnumbered
from rosefs.vfs.nodes import (
    ALL_TRACKS,
    MEMBER,
    PLAYLIST_COVER,
    PLAYLIST_M3U8,
    SEARCH,
    SMART_LISTS,
    DirectoryNode,
    FileNode,
    Key,
    Node,
    track_node,
)
from rosefs.vfs.searching import find_smart, searched
from rosefs.vfs.views import OF_ANY, SPACES, VIEWS, View

ALL_TRACKS_NAME = "!All Tracks"

_FEW = 32
"""So many releases are listed in less than a millisecond, if the cache has their names."""


class RootDirectory(Directory):
    """The top of the mount: the views."""

    __slots__ = ()

    def build(self, generation: int) -> Built:
        c, views = self.context.c, self.context.settings.named_views
        kinds = {kind for view, _ in views for kind in self._kinds(view)}
        newest = {kind: rosecache.newest_change(c, kind) for kind in kinds}
        candidates = []
        for view, name in views:
            mtime = max(newest[kind] for kind in self._kinds(view))
            node = DirectoryNode(Key(view, "", ""), "", mtime, generation)
            candidates.append(Candidate(name, name, node))
        return Built(candidates)

    def _kinds(self, key: ViewKey) -> Iterator[str]:
        """Yields what changes when something in a view does."""
        yield from VIEWS[key].newest_of_all
        if any(smart.kind == VIEWS[key].smart for smart in self.context.smart):
            yield from OF_ANY


def newest_of_any(c: Config) -> int:
    """Returns when any release changed last, in nanoseconds: the time of what any change may change."""
    return max(rosecache.newest_change(c, kind) for kind in OF_ANY)


class InView(Directory):
    """A directory below a view."""

    __slots__ = ("view",)

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self.view: View = SPACES[key.space]

    @property
    def names_context(self) -> Mapping[str, str]:
        """What templates are told about this place."""
        return {self.view.context: self.key.value} if self.view.context else {}

    def shared_key(self, kind: str, release_id: str, generation: int) -> Hashable:
        """Returns what is the same for directories that list the same of a release, under the same names."""
        template = self.context.namer.template(self.view.key, kind)
        place = tuple(self.names_context.items()) if template.uses_context else ()
        version = self.context.versions.of(release_id)
        # What has changed since a listing was begun is not in it, and nobody who begins later may get that.
        return kind, release_id, version, min(version, generation), template.text, place


class ValuesDirectory(InView):
    """A view that lists artists, genres, collages …"""

    __slots__ = ()

    reserves_lost = (
        False  # a value that is gone has no releases; whoever is called the same now may have them
    )

    def build(self, generation: int) -> Built:
        c, settings, view = self.context.c, self.context.settings, self.view
        assert view.values is not None
        values = view.values(c)
        space, max_bytes = view.key, c.max_filename_bytes
        if not view.ordered and settings.limits(space):
            values = [each for each in values if settings.lists(space, each[0])]
        if not view.ordered and settings.hides_only_new(space):
            values = [each for each in values if not each[1]]
        return Built(
            [
                Candidate(
                    safe_name(value, max_bytes=max_bytes),
                    value,
                    DirectoryNode(Key(space, value, ""), "", newest, generation),
                )
                for value, _, newest in values
            ]
        )

    def survivors(self, keys: Collection[Key]) -> Collection[Key]:
        return keys if self.view.keeps_left else ()

    def fetch(self, key: Key) -> Node | None:
        return DirectoryNode(key, "", self.entries().newest, self.context.versions.generation)


class ReleasesDirectory(InView):
    """The releases of a view, or under one of its values."""

    __slots__ = ("_few",)

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        # As of which generation few releases were found, and which.
        self._few: tuple[int, Sequence[ShownRelease]] | None = None

    def is_short(self) -> bool:
        """Tells by asking for as many as are few. What is found is what is listed next."""
        if not self.key.value or self.view.is_slow:
            return False
        generation, wanted, place = self.context.versions.generation, wanted_by(self), self._place
        if wanted is None or place is None:
            return False
        few = list_few_releases(self.context.c, wanted, self.context.namer.naming, place, _FEW)
        self._few = None if few is None else (generation, few)
        return few is not None

    @property
    def _place(self) -> int | None:
        """Where among the stored names of a release the one is that is shown here, see ``Namer.place``."""
        namer = self.context.namer
        return namer.place(namer.template(self.view.key, "release"))

    def build(self, generation: int) -> Built:
        space, value = self.key.space, self.key.value
        candidates = [Candidate(ALL_TRACKS_NAME, "", self._everything())]
        seen: set[str] = set()
        for release_id, mtime, name, entity in self._releases(generation):
            seen.add(release_id)
            node = DirectoryNode(Key(space, value, entity), release_id, mtime, generation)
            candidates.append(Candidate(name, entity, node))
        return Built(candidates, tuple(seen))

    def _everything(self) -> Node:
        # Its time is that of this directory, which the listing above has: out of date from the start.
        return DirectoryNode(Key(self.key.space, self.key.value, ALL_TRACKS), "", 0, 0)

    def look_up(self, name: str, generation: int) -> Sequence[Node] | None:
        namer, (space, value, _) = self.context.namer, self.key
        place, wanted = self._place, wanted_by(self)
        if place is None or wanted is None:
            return None
        if name == ALL_TRACKS_NAME:
            return (self._everything(),)
        found = find_shown_releases(self.context.c, wanted, namer.naming, place, name)
        # Of several that want a name one gets it, and what ends with a number may be what another one got instead.
        if found is None or len(found) > 1 or (not found and unnumbered(name) != name):
            return None
        return [DirectoryNode(Key(space, value, each), each, mtime, generation) for each, mtime, _ in found]

    def _releases(self, generation: int) -> Iterator[tuple[str, int, str, str]]:
        """Yields the id, the time and the name of each release, and the entity under which it is listed."""
        namer = self.context.namer
        template = namer.template(self.view.key, "release")
        place = self._place
        few, self._few = self._few, None
        shown = few[1] if few is not None and few[0] == generation else None
        if shown is None and place is not None and (wanted := wanted_by(self)) is not None:
            shown = self._shown(wanted, place)
        if shown is not None:
            for release_id, mtime, name in self._named(shown, template):
                same = intern(release_id)  # as every directory has that lists it
                yield same, mtime, intern(name), same
            return
        releases = releases_of(self)
        stored: Mapping[str, str] = {}
        if place is not None:
            ids = ids_filter(release.id for release in releases)
            stored = {
                release_id: name for release_id, _, name in self._named(self._shown(ids, place), template)
            }
        width = len(str(len(releases)))
        seen: Counter[str] = Counter()
        for number, release in enumerate(releases, start=1):
            seen[release.id] += 1
            times = seen[release.id]
            position = f"{number:0{width}}" if self.view.ordered else None
            name = stored.get(release.id) or namer.name(
                template, release, position=position, context=self.names_context
            )
            yield release.id, release.mtime, name, release.id if times == 1 else f"{release.id}#{times}"

    def _shown(self, wanted: Filter, place: int) -> Sequence[ShownRelease]:
        return list_shown_releases(self.context.c, wanted, self.context.namer.naming, place)

    def _named(self, shown: Sequence[ShownRelease], template: NameTemplate) -> Sequence[ShownRelease]:
        """Returns releases with names, and makes those that the cache does not have."""
        c, namer = self.context.c, self.context.namer
        unnamed = [release_id for release_id, _, name in shown if not name]
        if not unnamed:
            return shown
        made = {release.id: namer.name(template, release) for release in rosecache.list_releases(c, unnamed)}
        return [
            (release_id, mtime, name or made[release_id])
            for release_id, mtime, name in shown
            if name or release_id in made  # or it is gone by now
        ]

    def lost(self, release_ids: Collection[str] | None) -> Collection[str]:
        if self.view.ordered:
            return super().lost(release_ids)  # which is short
        names = {name: key for name, key in self.leading(release_ids).items() if key.entity != ALL_TRACKS}
        if not names:
            return ()
        ids = {key.id for key in names.values()}
        found = {
            release.id for release in rosecache.list_releases(self.context.c, ids) if self._keeps(release)
        }
        return [name for name, key in names.items() if key.id not in found]

    def _keeps(self, release: Release) -> bool:
        """Tells whether the name of a release that was listed here works still."""
        return self.view.keeps_left or self.key.value in self.view.values_of(release)

    def survivors(self, keys: Collection[Key]) -> Collection[Key]:
        if not self.view.keeps_left:
            return ()
        found = {release.id for release in rosecache.list_releases(self.context.c, {key.id for key in keys})}
        return {key for key in keys if key.id in found}

    def fetch(self, key: Key) -> Node | None:
        return fetch_release_node(self.context.c, key, self.context.versions.generation)


def wanted_by(directory: InView) -> Filter | None:
    """Returns what to ask the cache with for the releases under the view and value of a directory.

    None if it cannot be said in SQL, or they have an order of their own.
    """
    wanted = directory.view.wanted
    return None if wanted is None else wanted(directory.context.c, directory.key.value)


def releases_of(directory: InView) -> list[Release]:
    """Returns the releases under the view and value of a directory. Raises NoEntryError if a smart list is gone."""
    c, smart, key = directory.context.c, directory.context.smart, directory.key
    if key.space == SEARCH:
        return searched(c, smart, key.value)
    if key.space in SMART_LISTS:
        return smart_releases(c, find_smart(smart, "collage", key.value))
    if directory.view.wanted is not None:
        return releases_that_pass(c, directory.view.wanted(c, key.value))
    assert directory.view.releases is not None
    return directory.view.releases(c, key.value)


class FlatDirectory(InView):
    """A directory of files of many releases."""

    __slots__ = ("_forgotten",)

    def __init__(self, key: Key, context: Context) -> None:
        super().__init__(key, context)
        self._forgotten: Listing | None = None
        """What was listed when all names were said to be lost."""

    def lost(self, release_ids: Collection[str] | None) -> Collection[str]:
        """Returns the names that lead nowhere any more.

        Where any change may change all, these are all, once: a file costs nothing to be asked for again, and only then
        is it found out what is listed.
        """
        if not self.view.of_any:
            return super().lost(release_ids)
        listing = self._listing
        if listing is None or listing is self._forgotten or self.is_current(listing):
            return ()
        self._forgotten = listing  # out of which no name is kept any more
        return self.leading(None)


class PlaylistDirectory(FlatDirectory):
    """A playlist: its tracks by position, its cover, and a generated list of them."""

    __slots__ = ()

    extensions = True

    def build(self, generation: int) -> Built:
        c, name = self.context.c, self.key.value
        mtime, tracks, cover = self.content()
        members = list(self._members(tracks, generation))
        candidates = [candidate for candidate, _ in members]
        if cover is not None:
            node = FileNode(
                Key(PLAYLIST_COVER, name, ""), "", cover.mtime, generation,
                size=cover.size, path=os.fsencode(cover.path),
            )  # fmt: skip
            candidates.append(Candidate(f"cover{cover.path.suffix.lower()}", "~1", node))
        m3u8 = self._m3u8_node(mtime, tracks, generation)
        m3u8_name = safe_name(name, max_bytes=c.max_filename_bytes, extension=".m3u8")
        candidates.append(Candidate(m3u8_name, "~2", m3u8))
        named = [(candidate.node.key, track) for candidate, track in members]

        def complete(names: Mapping[Key, str]) -> None:
            m3u8.content = make_m3u8([(names[key], track) for key, track in named])
            m3u8.size = len(m3u8.content)

        releases = tuple({track.release.id for _, track in members})
        return Built(candidates, releases, complete=complete)

    def content(self) -> tuple[int, Sequence[Track], File | None]:
        """Returns when the playlist itself changed, its tracks and its cover. Raises NoEntryError if it is gone."""
        c, name = self.context.c, self.key.value
        with snapshot(c):
            playlist = rosecache.get_playlist(c, name)
            if playlist is None:
                raise NoEntryError(f"playlist {name} is gone")
            return (
                playlist.source_mtime,
                rosecache.get_playlist_tracks(c, name),
                rosecache.get_playlist_cover(c, name),
            )

    def _members(self, tracks: Sequence[Track], generation: int) -> Iterator[tuple[Candidate, Track]]:
        namer = self.context.namer
        template = namer.template(self.view.key, "playlist")
        width = len(str(len(tracks)))
        seen: Counter[str] = Counter()
        for number, track in enumerate(tracks, start=1):
            seen[track.id] += 1
            times = seen[track.id]
            key = None if times == 1 else Key(MEMBER, self.key.value, f"{track.id}#{times}")
            position = f"{number:0{width}}"
            name = namer.name(template, track, position=position, context=self.names_context)
            yield Candidate(name, position, track_node(track, generation, key=key)), track

    def _m3u8_node(self, mtime: int, tracks: Sequence[Track], generation: int) -> FileNode:
        mtime = max(mtime, *(track.release.mtime for track in tracks), 0)
        entity = self.key.space if self.key.space in SMART_LISTS else ""
        key = Key(PLAYLIST_M3U8, self.key.value, entity)
        return FileNode(key, "", mtime, generation, size=0, content=b"")


def make_m3u8(tracks: Sequence[tuple[str, Track]]) -> bytes:
    """Returns an extended M3U playlist, in UTF-8, of names in the same directory."""
    lines = ["#EXTM3U"]
    for name, track in tracks:
        artists = format_artists(track.trackartists)
        title = " ".join(f"{artists} - {track.tracktitle or 'Unknown Title'}".split())
        lines.append(f"#EXTINF:{track.duration_seconds},{title}")
        # A line that starts with # is a comment.
        lines.append(f"./{name}" if name.startswith("#") else name)
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")
