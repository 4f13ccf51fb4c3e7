"""Name templates: what a release or a track is called in a directory.

A template is text in the language of jinja2, with the fields of a release or a track as variables. It
yields raw text; ``rosecache.names`` makes a name of it. Templates run in a sandbox, and the values that
they get are plain data, so that a template can neither read nor change anything else. Importing this
module does not import jinja2, which happens when the first template is used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from rosecache.errors import TemplateError
from rosecache.formatting import format_artists
from rosecache.model import Artist, ArtistMapping, PartialDate, Release, Track

if TYPE_CHECKING:
    from rosecache.template_engine import CompiledTemplate

__all__ = [
    "CONTEXT_KEYS", "SAMPLE_RELEASE", "SAMPLE_TRACK", "UNKNOWN_RELEASE", "UNKNOWN_TITLE", "NameTemplate",
    "TemplateKind", "format_artists", "release_variables", "track_variables", "validate_template",
]  # fmt: skip

TemplateKind = Literal["release", "track", "playlist-track"]

CONTEXT_KEYS = ("artist", "genre", "descriptor", "label", "collage", "playlist")
"""What ``context`` can hold: the value of the view that the name is shown in."""

UNKNOWN_RELEASE = "Unknown Release"
UNKNOWN_TITLE = "Unknown Title"

_Getters = Mapping[str, Callable[[Any], object]]

# Paths are given as text: the methods of a Path reach the disk.
_RELEASE: _Getters = MappingProxyType(
    {field.name: attrgetter(field.name) for field in fields(Release)}
    | {
        "source_path": lambda release: str(release.source_path),
        "cover_image_path": lambda release: release.cover_image_path and str(release.cover_image_path),
        "releasetitle": lambda release: release.releasetitle or UNKNOWN_RELEASE,
    }
)
_TRACK: _Getters = MappingProxyType(
    {name: (lambda track, get=get: get(track.release)) for name, get in _RELEASE.items()}
    | {field.name: attrgetter(field.name) for field in fields(Track) if field.name != "release"}
    | {
        "source_path": lambda track: str(track.source_path),
        "tracktitle": lambda track: track.tracktitle or UNKNOWN_TITLE,
        "release_id": attrgetter("release.id"),
    }
)
_GETTERS: Mapping[TemplateKind, _Getters] = {"release": _RELEASE, "track": _TRACK, "playlist-track": _TRACK}


@dataclass(frozen=True)
class NameTemplate:
    """A template for the names of releases or tracks; compiled when first used, and once.

    Variables are the fields of a release by their names in the model; for tracks also those of the track,
    which win where both have one (``id``, ``source_path``, ``metahash``), and ``release_id``. Then there are
    ``position``, the place in an ordered listing as text, and ``context``, what the view shows (see
    CONTEXT_KEYS). Filters are those of ``rosecache.formatting`` and of jinja2.

    Attributes:
        text: The template.
        kind: What it names. Tracks and tracks in playlists have the same variables.
    """

    text: str
    kind: TemplateKind

    @functools.cached_property
    def uses_context(self) -> bool:
        """Whether the name depends on where it is shown, and not on the release or track alone.

        Raises:
            TemplateError: The template mentions one of the two, and is invalid.
        """
        # What a text does not name at all it cannot use, and most are not compiled to find that out.
        if not any(variable in self.text for variable in ("context", "position")):
            return False
        return not self._compiled.variables.isdisjoint(("context", "position"))

    def render(
        self,
        entity: Release | Track,
        *,
        position: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> str:
        """Returns the text for a release or track, not yet made safe.

        Raises:
            TemplateError: The template is invalid, or cannot cope with a value of this entity.
        """
        return self._compiled.render(self._values(entity, position, context))

    @property
    def variables(self) -> frozenset[str]:
        """The names that the template mentions. Raises TemplateError if it is invalid."""
        return self._compiled.variables

    def render_values(self, values: Mapping[str, object]) -> str:
        """Returns the text for values by variable, of each that it mentions.

        Raises:
            TemplateError: As :meth:`render`.
        """
        return self._compiled.render(values)

    def render_segments(
        self,
        entity: Release | Track,
        *,
        position: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Returns the text as path segments, at least one, none of them made safe yet.

        Only slashes in the template's text separate segments; one in a value becomes ``_``, so that AC/DC
        is no directory. Raises TemplateError as :meth:`render` does.
        """
        return self._compiled.render_segments(self._values(entity, position, context))

    @functools.cached_property
    def _compiled(self) -> CompiledTemplate:
        return _compile(self.text, self.kind)

    @functools.cached_property
    def _used(self) -> tuple[tuple[str, Callable[[Any], object]], ...]:
        getters = _GETTERS[self.kind]
        return tuple((name, getters[name]) for name in self._compiled.variables if name in getters)

    def _values(
        self, entity: Release | Track, position: str | None, context: Mapping[str, str] | None
    ) -> dict[str, object]:
        values = {name: get(entity) for name, get in self._used}
        values["position"] = position
        values["context"] = context or {}
        return values


def validate_template(text: str, kind: TemplateKind) -> None:
    """Makes sure that a template can be used, by checking it and rendering it for sample values.

    Raises:
        TemplateError: It has a syntax error; mentions a variable, filter, key or attribute that does not
            exist; gives an empty name; or cannot cope with a release or track whose tags are missing.
    """
    values: dict[str, object] = {name: get(_SAMPLES[kind]) for name, get in _GETTERS[kind].items()}
    values |= {"position": "1", "context": dict.fromkeys(CONTEXT_KEYS, "LOONA")}
    if not _compile(text, kind, strict=True).render(values).strip():
        raise TemplateError(f"template {text!r}: gives an empty name")
    try:
        NameTemplate(text, kind).render(_UNTAGGED[kind])
    except TemplateError as error:
        raise TemplateError(f"{error}, if tags are missing") from error


def release_variables(release: Release) -> dict[str, object]:
    """Returns what templates know about a release, by variable; without ``position`` and ``context``."""
    return {name: get(release) for name, get in _RELEASE.items()}


def track_variables(track: Track) -> dict[str, object]:
    """Returns what templates know about a track, by variable; without ``position`` and ``context``."""
    return {name: get(track) for name, get in _TRACK.items()}


@functools.lru_cache(maxsize=256)
def _compile(text: str, kind: TemplateKind, *, strict: bool = False) -> CompiledTemplate:
    from rosecache.template_engine import CompiledTemplate

    known = dict.fromkeys(_GETTERS[kind]) | {"position": None, "context": CONTEXT_KEYS}
    return CompiledTemplate(text, known, strict=strict)


SAMPLE_RELEASE = Release(
    id="018b268e-ef68-7180-a01e-19bc3fdf970e",
    source_path=Path("/music/LOONA - 2017. Kim Lip"),
    cover_image_path=Path("/music/LOONA - 2017. Kim Lip/cover.jpg"),
    added_at="2023-10-25T12:00:00-04:00",
    datafile_mtime=1_698_249_600_000_000_000,
    releasetitle="Kim Lip",
    releasetype="single",
    releasedate=PartialDate(2017, 5, 23),
    originaldate=PartialDate(2017, 5, 23),
    compositiondate=PartialDate(2017),
    edition="Limited Edition",
    catalognumber="CMCC11039",
    new=True,
    disctotal=2,
    genres=("K-Pop", "Contemporary R&B"),
    parent_genres=("Asian Music", "Pop", "R&B"),
    secondary_genres=("Synth-Pop",),
    parent_secondary_genres=("Electronic", "Pop"),
    descriptors=("Lush", "Nocturnal"),
    labels=("BlockBerry Creative",),
    releaseartists=ArtistMapping(main=(Artist("Kim Lip"), Artist("LOONA", alias=True))),
    metahash="0" * 16,
    mtime=1_698_249_600_000_000_000,
)
"""A release with every field set, for validation and previews."""

SAMPLE_TRACK = Track(
    id="018b6514-6fb7-7cc6-9d23-8eaf0b1beee8",
    source_path=Path("/music/LOONA - 2017. Kim Lip/01. Eclipse.opus"),
    source_mtime=1_698_249_600_000_000_000,
    source_size=5_242_880,
    tracktitle="Eclipse",
    tracknumber="1",
    tracktotal=2,
    discnumber="1",
    duration_seconds=225,
    trackartists=ArtistMapping(
        main=(Artist("Kim Lip"), Artist("LOONA", alias=True)),
        guest=(Artist("JinSoul"),),
        remixer=(Artist("Choerry"),),
        producer=(Artist("Daniel Obi Klein"),),
        composer=(Artist("Jung Ho-hyun"),),
        conductor=(Artist("Jaden Jeong"),),
        djmixer=(Artist("HeeJin"),),
    ),
    metahash="1" * 16,
    release=SAMPLE_RELEASE,
)
"""A track with every field set, for validation and previews."""

_UNTAGGED_RELEASE = replace(
    SAMPLE_RELEASE,
    cover_image_path=None, releasetitle="", releasetype="unknown", releasedate=None, originaldate=None,
    compositiondate=None, edition=None, catalognumber=None, new=False, disctotal=1, genres=(),
    parent_genres=(), secondary_genres=(), parent_secondary_genres=(), descriptors=(), labels=(),
    releaseartists=ArtistMapping(),
)  # fmt: skip
_UNTAGGED_TRACK = replace(
    SAMPLE_TRACK, tracktitle="", duration_seconds=0, trackartists=ArtistMapping(), release=_UNTAGGED_RELEASE
)
_SAMPLES: Mapping[TemplateKind, Release | Track] = {
    "release": SAMPLE_RELEASE, "track": SAMPLE_TRACK, "playlist-track": SAMPLE_TRACK,
}  # fmt: skip
_UNTAGGED: Mapping[TemplateKind, Release | Track] = {
    "release": _UNTAGGED_RELEASE, "track": _UNTAGGED_TRACK, "playlist-track": _UNTAGGED_TRACK,
}  # fmt: skip
