"""What a library holds, as far as gestures change it: as a model of it, as a mount shows it, and as a cache has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rosecache.config import Config
from rosecache.query.lists import (
    get_collage_releases,
    get_playlist_cover,
    get_playlist_tracks,
    list_collages,
    list_playlists,
)
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.tags import is_audio, read_tags


@dataclass(frozen=True)
class ShownRelease:
    """A release, with the titles of its tracks by their ids."""

    new: bool
    titles: dict[str, str]
    cover: bytes | None


@dataclass(frozen=True)
class Shown:
    """Releases by their ids; collages and playlists with the ids of those members that are there, in order.

    ``pictures`` are the covers of playlists.
    """

    releases: dict[str, ShownRelease]
    collages: dict[str, list[str]]
    playlists: dict[str, list[str]]
    pictures: dict[str, bytes]


@dataclass
class Shelf:
    """The model: what a user thinks is there. Lists keep members that are gone, since these may come back."""

    titles: dict[str, str] = field(default_factory=dict)
    release_of: dict[str, str] = field(default_factory=dict)
    new: dict[str, bool] = field(default_factory=dict)
    covers: dict[str, bytes] = field(default_factory=dict)
    collages: dict[str, list[str]] = field(default_factory=dict)
    playlists: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def tracks_of(self, release: str) -> list[str]:
        return sorted(track for track, owner in self.release_of.items() if owner == release)

    def remove_track(self, track: str) -> None:
        release = self.release_of.pop(track)
        del self.titles[track]
        if not self.tracks_of(release):
            del self.new[release]
            self.covers.pop(release, None)

    def there(self, members: list[str]) -> list[int]:
        """Returns the places of those members that are there."""
        return [place for place, each in enumerate(members) if each in self.new or each in self.titles]

    def shown(self) -> Shown:
        return Shown(
            {
                release: ShownRelease(
                    new, {track: self.titles[track] for track in self.tracks_of(release)}, self.covers.get(release)
                )
                for release, new in self.new.items()
            },
            {name: [ids[place] for place in self.there(ids)] for name, ids in self.collages.items()},
            {name: [ids[place] for place in self.there(ids)] for name, ids in self.playlists.items()},
            dict(self.pictures),
        )  # fmt: skip


def id_of(path: Path) -> str | None:
    """Returns the id that a mount tells of a name; None for what has none."""
    try:
        return os.getxattr(path, "user.rosefs.id").decode()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        return None


def shown_by_mount(top: Path) -> Shown | None:
    """Returns what a mount shows; None if its views disagree. Raises FileNotFoundError if it changes meanwhile."""
    everything = {id_of(path) for path in (top / "Releases/!All Tracks").iterdir()}
    releases = dict(_releases(top / "Releases"))
    if everything != {track for release in releases.values() for track in release.titles}:
        return None
    return Shown(
        releases,
        {path.name: _members(path) for path in (top / "Collages").iterdir()},
        {path.name: _members(path) for path in (top / "Playlists").iterdir()},
        {path.parent.name: path.read_bytes() for path in (top / "Playlists").glob("*/cover.*")},
    )


def _releases(view: Path) -> Iterator[tuple[str, ShownRelease]]:
    for path in view.iterdir():
        if (release := id_of(path)) is None:
            continue
        titles, cover = {}, None
        for file in path.iterdir():
            if is_audio(file.name):
                track = id_of(file)
                assert track is not None, file
                titles[track] = read_tags(file).tracktitle or ""
            elif file.name.startswith("cover."):
                cover = file.read_bytes()
        yield release, ShownRelease(os.getxattr(path, "user.rosefs.new") == b"true", titles, cover)


def _members(directory: Path) -> list[str]:
    """Returns the ids of what has a position, in the order of these."""
    numbered = [path for path in directory.iterdir() if path.name[0].isdigit()]
    ids = [id_of(path) for path in sorted(numbered, key=lambda path: int(path.name.partition(".")[0]))]
    return [each for each in ids if each is not None]


def shown_by_cache(c: Config) -> Shown:
    """Returns what a cache has."""
    tracks = list_tracks(c)
    return Shown(
        {
            release.id: ShownRelease(
                release.new,
                {track.id: track.tracktitle for track in tracks if track.release.id == release.id},
                release.cover_image_path.read_bytes() if release.cover_image_path else None,
            )
            for release in list_releases(c)
        },
        {name: [each.id for each in get_collage_releases(c, name)] for name in list_collages(c)},
        {name: [each.id for each in get_playlist_tracks(c, name)] for name in list_playlists(c)},
        {
            name: cover.path.read_bytes()
            for name in list_playlists(c)
            if (cover := get_playlist_cover(c, name))
        },
    )
