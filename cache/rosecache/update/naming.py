"""What a release and its tracks are called: the names that are stored with them, made of the rows to be stored.

A template gets the same values as it does from what queries return, but only those that it mentions are made.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import msgspec

from rosecache.aliases import load_aliases
from rosecache.config import Config
from rosecache.errors import TemplateError
from rosecache.genres import load_genre_tree
from rosecache.model import ArtistMapping, PartialDate
from rosecache.names import safe_name
from rosecache.naming import SEPARATOR, Naming, extension_of, naming_of
from rosecache.templates import UNKNOWN_RELEASE, UNKNOWN_TITLE, NameTemplate
from rosecache.update.rows import Credits, ReleaseRow, TrackRow, mapping_of

log = logging.getLogger(__name__)


class Names(msgspec.Struct, frozen=True):
    """The names of a release and its tracks, packed as the tables hold them.

    Attributes:
        number: What they are made by, see :class:`rosecache.naming.Naming`.
        release: The names of the release.
        tracks: Those of each track, by id.
    """

    number: int
    release: str
    tracks: Mapping[str, str]


def names_of(c: Config, row: ReleaseRow) -> Names:
    """Returns what a release and its tracks are called under a configuration.

    A name that a template cannot make is empty; who shows it makes another one.
    """
    while True:
        naming = naming_of(c)
        names = _names_by(c, naming, row)
        if naming_of(c) == naming:  # the genre tree has not become another one meanwhile
            return names


def _names_by(c: Config, naming: Naming, row: ReleaseRow) -> Names:
    templates, of_track = _templates(c), _mentioned(c, "track")
    of_release = _mentioned(c, "release") | of_track - TRACK_VARIABLES.keys()
    values = {variable: RELEASE_VARIABLES[variable](c, row) for variable in of_release}
    makers = [(variable, make) for variable, make in TRACK_VARIABLES.items() if variable in of_track]

    def of(track: TrackRow) -> str:
        of_it = values | {variable: make(c, row, track) for variable, make in makers}
        return _packed(c, templates["track"], of_it, extension_of(track.path))

    release = _packed(c, templates["release"], values, "")
    return Names(naming.number, release, {track.id: of(track) for track in row.tracks})


@functools.lru_cache(maxsize=16)
def _templates(c: Config) -> Mapping[str, tuple[NameTemplate, ...]]:
    places = naming_of(c).places
    return {
        "release": tuple(NameTemplate(text, "release") for text in places["release"]),
        "track": tuple(NameTemplate(text, "track") for text in places["track"]),
    }


@functools.lru_cache(maxsize=16)
def _mentioned(c: Config, kind: str) -> frozenset[str]:
    """Returns the variables that the templates for one kind of thing mention: no other value is made."""
    variables: set[str] = set()
    for template in _templates(c)[kind]:
        with suppress(TemplateError):  # told where a name is made by it
            variables |= template.variables
    return frozenset(variables)


def _packed(
    c: Config, templates: Iterable[NameTemplate], values: Mapping[str, object], extension: str
) -> str:
    names = []
    for template in templates:
        try:
            text = template.render_values(values)
        except TemplateError as error:
            log.debug("no name is stored: %s", error)
            names.append("")
        else:
            names.append(safe_name(text, max_bytes=c.max_filename_bytes, extension=extension))
    return SEPARATOR.join(names)


def _directory(c: Config, row: ReleaseRow) -> str:
    return os.path.join(c.music_source_dir, os.fsdecode(row.directory))


def _cover(c: Config, row: ReleaseRow) -> str | None:
    cover = min((file.path for file in row.files if file.kind == "cover"), default=None)
    return None if cover is None else str(Path(_directory(c, row), os.fsdecode(cover)))


@functools.lru_cache(maxsize=4096)
def _artists(c: Config, credits: Credits) -> ArtistMapping:
    return load_aliases(c).applied_to(mapping_of(credits))


_date = functools.lru_cache(maxsize=4096)(PartialDate.parse)

RELEASE_VARIABLES: Mapping[str, Callable[[Config, ReleaseRow], object]] = MappingProxyType(
    {
        "id": lambda _, row: row.id,
        "source_path": lambda c, row: str(Path(_directory(c, row))),
        "cover_image_path": _cover,
        "added_at": lambda _, row: row.added_at,
        "datafile_mtime": lambda _, row: row.datafile_mtime,
        "releasetitle": lambda _, row: row.tags.title or UNKNOWN_RELEASE,
        "releasetype": lambda _, row: row.tags.type,
        "releasedate": lambda _, row: _date(row.tags.releasedate),
        "originaldate": lambda _, row: _date(row.tags.originaldate),
        "compositiondate": lambda _, row: _date(row.tags.compositiondate),
        "edition": lambda _, row: row.tags.edition,
        "catalognumber": lambda _, row: row.tags.catalognumber,
        "new": lambda _, row: row.new,
        "disctotal": lambda _, row: len({track.discnumber for track in row.tracks}),
        "genres": lambda _, row: row.tags.facets["genre"],
        "parent_genres": lambda c, row: tuple(load_genre_tree(c).parents_of_all(row.tags.facets["genre"])),
        "secondary_genres": lambda _, row: row.tags.facets["secondary_genre"],
        "parent_secondary_genres": (
            lambda c, row: tuple(load_genre_tree(c).parents_of_all(row.tags.facets["secondary_genre"]))
        ),
        "descriptors": lambda _, row: row.tags.facets["descriptor"],
        "labels": lambda _, row: row.tags.facets["label"],
        "releaseartists": lambda c, row: _artists(c, row.tags.artists),
        "metahash": lambda _, row: row.metahash,
    }
)
"""How what templates know about a release is made of its row. Not its time, which is settled when it is stored."""

TRACK_VARIABLES: Mapping[str, Callable[[Config, ReleaseRow, TrackRow], object]] = MappingProxyType(
    {
        "id": lambda _, row, track: track.id,
        "release_id": lambda _, row, track: row.id,
        "source_path": lambda c, row, track: str(Path(_directory(c, row), os.fsdecode(track.path))),
        "source_mtime": lambda _, row, track: track.mtime,
        "source_size": lambda _, row, track: track.size,
        "tracktitle": lambda _, row, track: track.title or UNKNOWN_TITLE,
        "tracknumber": lambda _, row, track: track.tracknumber,
        "tracktotal": (
            lambda _, row, track: sum(other.discnumber == track.discnumber for other in row.tracks)
        ),
        "discnumber": lambda _, row, track: track.discnumber,
        "duration_seconds": lambda _, row, track: track.duration_seconds,
        "trackartists": lambda c, row, track: _artists(c, track.artists),
        "metahash": lambda _, row, track: track.metahash,
    }
)
"""The same of a track; what is not here is its release's."""
