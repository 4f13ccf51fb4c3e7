"""The values that the cache engine gives out: immutable, and without any connection to the database.

The names of the fields are an interface of their own: templates, JSON output and rules use them.
All times of files are integer nanoseconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("main", "guest", "remixer", "producer", "composer", "conductor", "djmixer")
"""Every role an artist can have, in the order in which fields and listings show them."""

RELEASE_TYPES = (
    "album", "single", "ep", "compilation", "anthology", "soundtrack", "live", "remix", "djmix", "mixtape",
    "other", "bootleg", "loosetrack", "demo", "unknown",
)  # fmt: skip
"""Every release type; whatever else a tag says reads as the last one."""


@dataclass(frozen=True, slots=True)
class Artist:
    """One credited artist. ``alias`` is true when the configuration added it, and no tag names it."""

    name: str
    alias: bool = False


@dataclass(frozen=True, slots=True)
class ArtistMapping:
    """Artists by role, each role in the order of the tag."""

    main: tuple[Artist, ...] = ()
    guest: tuple[Artist, ...] = ()
    remixer: tuple[Artist, ...] = ()
    producer: tuple[Artist, ...] = ()
    composer: tuple[Artist, ...] = ()
    conductor: tuple[Artist, ...] = ()
    djmixer: tuple[Artist, ...] = ()

    def items(self) -> Iterator[tuple[str, tuple[Artist, ...]]]:
        """Yields every role with its artists, also the empty ones."""
        for role in ROLES:
            yield role, getattr(self, role)

    @property
    def all(self) -> tuple[Artist, ...]:
        """Every artist once, in order of role; who is both credited and an alias counts as credited."""
        found: dict[str, Artist] = {}
        for _, artists in self.items():
            for artist in artists:
                known = found.get(artist.name)
                if known is None or (known.alias and not artist.alias):
                    found[artist.name] = artist
        return tuple(found.values())


_DATE = re.compile(r"(\d{4})(?:-(\d{2})-(\d{2}).*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A year, with month and day if the tag has both. Orders by time; a bare year comes before its days."""

    year: int
    month: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        if self.month is None:
            return f"{self.year:04}"
        return f"{self.year:04}-{self.month:02}-{self.day:02}"

    @classmethod
    def parse(cls, text: str | None) -> PartialDate | None:
        """Reads ``YYYY``, or ``YYYY-MM-DD`` with anything after it; None for everything else."""
        matched = _DATE.fullmatch(text.strip()) if text else None
        if matched is None:
            return None
        year, month, day = matched.groups()
        if month is None:
            return cls(int(year))
        if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
            return None
        return cls(int(year), int(month), int(day))

    @property
    def _key(self) -> tuple[int, int, int]:
        return (self.year, self.month or 0, self.day or 0)

    def __lt__(self, other: PartialDate) -> bool:
        return self._key < other._key

    def __le__(self, other: PartialDate) -> bool:
        return self._key <= other._key

    def __gt__(self, other: PartialDate) -> bool:
        return self._key > other._key

    def __ge__(self, other: PartialDate) -> bool:
        return self._key >= other._key


@dataclass(frozen=True, slots=True)
class File:
    """A file of a release or playlist that is no track: a cover, a datafile, an extra file."""

    path: Path
    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class Release:
    """A release: one directory directly below the music source directory."""

    id: str
    source_path: Path
    cover_image_path: Path | None
    added_at: str
    """ISO 8601 with offset, as the datafile has it."""
    datafile_mtime: int
    releasetitle: str
    """Empty if the tags have none."""
    releasetype: str
    releasedate: PartialDate | None
    originaldate: PartialDate | None
    compositiondate: PartialDate | None
    edition: str | None
    catalognumber: str | None
    new: bool
    disctotal: int
    genres: tuple[str, ...]
    parent_genres: tuple[str, ...]
    secondary_genres: tuple[str, ...]
    parent_secondary_genres: tuple[str, ...]
    descriptors: tuple[str, ...]
    labels: tuple[str, ...]
    releaseartists: ArtistMapping
    metahash: str
    mtime: int = field(default=0, compare=False)
    """When anything of this release last changed, nanoseconds; never goes back. What its directories show."""


@dataclass(frozen=True, slots=True)
class Track:
    """One audio file of a release."""

    id: str
    source_path: Path
    source_mtime: int
    source_size: int
    tracktitle: str
    """Empty if the tags have none."""
    tracknumber: str
    tracktotal: int
    """How many tracks the track's disc has."""
    discnumber: str
    duration_seconds: int
    trackartists: ArtistMapping
    metahash: str
    release: Release


@dataclass(frozen=True, slots=True)
class Collage:
    """An ordered list of releases."""

    name: str
    source_mtime: int


@dataclass(frozen=True, slots=True)
class Playlist:
    """An ordered list of tracks."""

    name: str
    source_mtime: int
    cover_path: Path | None


@dataclass(frozen=True, slots=True)
class GenreEntry:
    """A genre that some release has, or a parent of one. ``only_new_releases``: all its releases are new."""

    genre: str
    only_new_releases: bool


@dataclass(frozen=True, slots=True)
class DescriptorEntry:
    """A descriptor that some release has. ``only_new_releases``: all its releases are new."""

    descriptor: str
    only_new_releases: bool


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """A label that some release has. ``only_new_releases``: all its releases are new."""

    label: str
    only_new_releases: bool
