"""What can be listed and shown: one declaration per kind of thing, from releases to playlists.

A declaration says which query gives the things, by what names they go, which columns they have, and what belongs
to one of them. How they are written and found is the business of other modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rosecache.config import Config
from rosecache.formatting import format_artists, format_release_type
from rosecache.model import Release, Track
from rosecache.query.facets import list_artists, list_descriptors, list_genres, list_labels
from rosecache.query.lists import (
    get_collage,
    get_collage_releases,
    get_playlist,
    get_playlist_tracks,
    list_collages,
    list_playlists,
)
from rosecache.query.releases import filter_releases, release_logtext
from rosecache.query.tracks import filter_tracks, get_tracks_of_release, track_logtext
from rosefs.cli.output import Column
from rosefs.library.resolve import find_release, find_track, resolve_release, resolve_track
from rosefs.rules.matching import find_releases, find_tracks
from rosefs.rules.model import Matcher
from rosefs.settings import SmartKind

Filters = Mapping[str, Any]
"""Arguments of ``filter_releases`` or ``filter_tracks``, without those that were not given."""


class Members(msgspec.Struct, frozen=True):
    """What belongs to a thing and is shown with it."""

    field: str
    """Its name in JSON."""
    columns: tuple[Column[Any], ...]
    of: Callable[[Config, Any], Sequence[Any]]
    omit: frozenset[str] = frozenset()
    """Fields left out of the JSON of each, since the thing itself has them."""


class Kind(msgspec.Struct, frozen=True):
    """One kind of things, and with it one group of commands."""

    plural: str
    singular: str
    columns: tuple[Column[Any], ...]
    """What a listing shows."""
    entries: Callable[[Config, Filters], Sequence[Any]]
    names: Callable[[Any], tuple[str, ...]]
    """The names by which one of them can be asked for."""
    details: tuple[Column[Any], ...] = ()
    """What is shown of a single one; the columns of a listing unless given."""
    filters: tuple[str, ...] = ()
    """Options of its listing, by their names in ``browse.FILTER_OPTIONS``."""
    matching: Callable[[Config, Matcher], Sequence[Any]] | None = None
    """Finds those that a matcher of the rule language means, if it can mean some."""
    find: Callable[[Config, str], Any | None] = lambda c, text: None
    """Finds one by its id or path."""
    resolve: Callable[[Config, str], Any] | None = None
    """The same, but with an error that is about paths if there is none."""
    named_by: str = "NAME"
    smart: SmartKind | None = None
    """Which smart lists of the configuration are among them."""
    members: Members | None = None


class ArtistEntry(msgspec.Struct, frozen=True):
    """An artist of a listing; the other facets have such an entry in ``rosecache.model``."""

    artist: str


class ListEntry(msgspec.Struct, frozen=True):
    """A collage of a listing. One that is ``smart`` is made by a matcher, and has no file and no time."""

    name: str
    source_mtime: int | None
    smart: bool


class PlaylistEntry(ListEntry, frozen=True):
    """A playlist of a listing."""

    cover_path: Path | None = None


def _joined(values: Iterable[str]) -> str:
    return "; ".join(values)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}:{seconds:02}"


def _flag(text: str, *, when: bool) -> str:
    return text if when else ""


_RELEASE_COLUMNS: tuple[Column[Release], ...] = (
    Column("Id", lambda release: release.id, in_tables=False),
    Column("Released", lambda release: _text(release.releasedate)),
    Column("Artists", lambda release: format_artists(release.releaseartists)),
    Column("Title", lambda release: release.releasetitle),
    Column("Type", lambda release: format_release_type(release.releasetype)),
    Column("New", lambda release: _flag("new", when=release.new)),
    Column("Source", lambda release: str(release.source_path), in_tables=False),
)
_RELEASE_DETAILS: tuple[Column[Release], ...] = (
    Column("Title", lambda release: release.releasetitle),
    Column("Artists", lambda release: format_artists(release.releaseartists)),
    Column("Type", lambda release: format_release_type(release.releasetype)),
    Column("Released", lambda release: _text(release.releasedate)),
    Column("Originally", lambda release: _text(release.originaldate)),
    Column("Composed", lambda release: _text(release.compositiondate)),
    Column("Edition", lambda release: _text(release.edition)),
    Column("Catalog number", lambda release: _text(release.catalognumber)),
    Column("Labels", lambda release: _joined(release.labels)),
    Column("Genres", lambda release: _joined(release.genres)),
    Column("Secondary genres", lambda release: _joined(release.secondary_genres)),
    Column("Descriptors", lambda release: _joined(release.descriptors)),
    Column("Discs", lambda release: str(release.disctotal)),
    Column("New", lambda release: "yes" if release.new else "no"),
    Column("Added", lambda release: release.added_at),
    Column("Id", lambda release: release.id),
    Column("Source", lambda release: str(release.source_path)),
    Column("Cover", lambda release: _text(release.cover_image_path)),
)
_TRACK_COLUMNS: tuple[Column[Track], ...] = (
    Column("Id", lambda track: track.id, in_tables=False),
    Column("Disc", lambda track: track.discnumber, right=True),
    Column("Track", lambda track: track.tracknumber, right=True),
    Column("Artists", lambda track: format_artists(track.trackartists)),
    Column("Title", lambda track: track.tracktitle),
    Column("Length", lambda track: _duration(track.duration_seconds), right=True),
    Column("Release", lambda track: track.release.releasetitle),
    Column("Source", lambda track: str(track.source_path), in_tables=False),
)
_TRACKS_OF_RELEASE = tuple(column for column in _TRACK_COLUMNS if column.title != "Release")
_TRACK_DETAILS: tuple[Column[Track], ...] = (
    Column("Title", lambda track: track.tracktitle),
    Column("Artists", lambda track: format_artists(track.trackartists)),
    Column("Release", lambda track: release_logtext(track.release)),
    Column("Disc", lambda track: f"{track.discnumber} of {track.release.disctotal}"),
    Column("Track", lambda track: f"{track.tracknumber} of {track.tracktotal}"),
    Column("Length", lambda track: _duration(track.duration_seconds)),
    Column("Id", lambda track: track.id),
    Column("Release id", lambda track: track.release.id),
    Column("Source", lambda track: str(track.source_path)),
)

_RELEASES = Kind(
    "releases",
    "release",
    _RELEASE_COLUMNS,
    entries=lambda c, filters: filter_releases(c, **filters),
    names=lambda release: (release.source_path.name, release_logtext(release), release.releasetitle),
    details=_RELEASE_DETAILS,
    filters=("artist", "genre", "descriptor", "label", "type", "new"),
    matching=find_releases,
    find=find_release,
    resolve=resolve_release,
    named_by="NAME-OR-ID-OR-PATH",
    members=Members("tracks", _TRACKS_OF_RELEASE, get_tracks_of_release, frozenset({"release"})),
)
_TRACKS = Kind(
    "tracks",
    "track",
    _TRACK_COLUMNS,
    entries=lambda c, filters: filter_tracks(c, **filters),
    names=lambda track: (track_logtext(track), track.tracktitle),
    details=_TRACK_DETAILS,
    filters=("artist", "genre", "descriptor", "label", "new"),
    matching=find_tracks,
    find=find_track,
    resolve=resolve_track,
    named_by="NAME-OR-ID-OR-PATH",
)


def _facet(
    field: str,
    entries: Callable[[Config], Sequence[Any]],
    members: Callable[[Config, str], Sequence[Release]],
) -> Kind:
    """Declares what releases are browsed by; ``field`` is the entries' field and the singular."""

    def value(entry: Any) -> str:
        return str(getattr(entry, field))

    columns = [Column(field.capitalize(), value)]
    if field != "artist":
        columns.append(Column("New", lambda entry: _flag("only new releases", when=entry.only_new_releases)))
    return Kind(
        f"{field}s",
        field,
        tuple(columns),
        entries=lambda c, _: entries(c),
        names=lambda entry: (value(entry),),
        members=Members(
            "releases",
            _RELEASE_COLUMNS,
            lambda c, entry: members(c, value(entry)),
        ),
    )


def _artists(c: Config) -> list[ArtistEntry]:
    return [ArtistEntry(name) for name in list_artists(c)]


def _collages(c: Config) -> list[ListEntry]:
    found = (get_collage(c, name) for name in list_collages(c))
    return [ListEntry(each.name, each.source_mtime, smart=False) for each in found if each is not None]


def _playlists(c: Config) -> list[PlaylistEntry]:
    found = (get_playlist(c, name) for name in list_playlists(c))
    return [
        PlaylistEntry(each.name, each.source_mtime, smart=False, cover_path=each.cover_path)
        for each in found
        if each is not None
    ]


_SMART: Column[ListEntry] = Column("Smart", lambda entry: _flag("smart", when=entry.smart))


KINDS: Mapping[str, Kind] = {
    kind.plural: kind
    for kind in (
        _RELEASES,
        _TRACKS,
        _facet(
            "artist",
            _artists,
            lambda c, name: filter_releases(c, release_artist_filter=name),
        ),
        _facet("genre", list_genres, lambda c, name: filter_releases(c, genre_filter=name)),
        _facet("descriptor", list_descriptors, lambda c, name: filter_releases(c, descriptor_filter=name)),
        _facet("label", list_labels, lambda c, name: filter_releases(c, label_filter=name)),
        Kind(
            "collages",
            "collage",
            (Column("Name", lambda collage: collage.name), _SMART),
            entries=lambda c, _: _collages(c),
            names=lambda collage: (collage.name,),
            members=Members(
                "releases", _RELEASE_COLUMNS, lambda c, collage: get_collage_releases(c, collage.name)
            ),
            smart="collage",
        ),
        Kind(
            "playlists",
            "playlist",
            (
                Column("Name", lambda playlist: playlist.name),
                Column("Cover", lambda playlist: _text(playlist.cover_path), in_tables=False),
                _SMART,
            ),
            entries=lambda c, _: _playlists(c),
            names=lambda playlist: (playlist.name,),
            members=Members(
                "tracks", _TRACK_COLUMNS, lambda c, playlist: get_playlist_tracks(c, playlist.name)
            ),
            smart="playlist",
        ),
    )
}
"""Every kind by the name of its group of commands."""
