"""Names in the cache: which ones it holds of each release and track, and how they are told apart.

A name is made by a template when a release is stored, so that no directory has to make it. A release has one
name by each template for releases that the views have, a track one by each for tracks, all before a directory
makes equal ones distinct. What a name depends on beyond the release itself is summed up in a number that is
stored with the names, so that names by other templates or settings are never taken for those that are wanted.

Not stored are names that depend on the place where they are shown, such as a position in a collage.
"""

from __future__ import annotations

import functools
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from rosecache.config import Config, PathTemplates, TemplateSet
from rosecache.errors import ConfigError
from rosecache.genres import load_genre_tree

VERSION = 1
"""Raised when the same template makes another name of the same release."""

UNNAMED = 0
"""The number of names that were not made. No :class:`Naming` has it."""

SEPARATOR = "/"
"""Stands between the names of one thing, since it is in none."""

_KINDS: Mapping[str, Sequence[str]] = {"release": ("release",), "track": ("track", "all_tracks")}

_NOT_STORED = ("context", "position", "mtime")
"""Variables that no release or track has by itself, or not before it is stored. A text that mentions one, in whatever
way, is no template for names in the cache."""


class Naming(msgspec.Struct, frozen=True):
    """What the stored names are made by.

    Attributes:
        number: Stands for the templates and for every setting that names depend on.
        places: By kind of thing, ``release`` or ``track``, and the text of a template, where among the names of such
            a thing is the one by this template.
    """

    number: int
    places: Mapping[str, Mapping[str, int]]

    def place(self, kind: str, text: str) -> int | None:
        """Returns where among its names a thing has that by a template; None if it is not stored."""
        return self.places[kind].get(text)


def naming_of(c: Config) -> Naming:
    """Returns what names are made by under a configuration, and by the genre tree that is in force in this process."""
    return _naming_of(c, _genres(c) if _shows_parents(c) else None)


@functools.lru_cache(maxsize=16)
def _naming_of(c: Config, genres: str | None) -> Naming:
    places = _places(c)
    depends_on: list[object] = [VERSION, places, c.max_filename_bytes, c.artist_aliases]
    if genres is not None:
        depends_on.append(genres)
    digest = hashlib.blake2b(repr(depends_on).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return Naming(max(int.from_bytes(digest, "little") >> 1, UNNAMED + 1), places)


def split_names(names: str) -> list[str]:
    """Returns the names of one thing, in the order of their places; an empty one could not be made."""
    return names.split(SEPARATOR)


def hash_name(name: str) -> int:
    """Returns a number of 32 bits by which names are found. Other names may have the same."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def extension_of(path: bytes | str) -> str:
    """Returns the extension of a file, as it ends the names of a track: in small letters, with its dot."""
    name = os.fsdecode(path).rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def _texts(templates: PathTemplates, keys: Sequence[str]) -> Iterator[str]:
    """Yields the templates of all views for some kinds of names that can be stored."""
    for view in msgspec.structs.fields(templates):
        if isinstance(getattr(templates, view.name), TemplateSet) and view.name not in ("default", "source"):
            for key in keys:
                text = templates.of_view(view.name, key)
                if not any(variable in text for variable in _NOT_STORED):
                    yield text


def _places(c: Config) -> Mapping[str, Mapping[str, int]]:
    return {
        kind: {text: place for place, text in enumerate(dict.fromkeys(_texts(c.path_templates, keys)))}
        for kind, keys in _KINDS.items()
    }


@functools.lru_cache(maxsize=16)
def _shows_parents(c: Config) -> bool:
    return any("parent_" in text for texts in _places(c).values() for text in texts)


def _genres(c: Config) -> str:
    """Returns a digest of the genre tree; of one that cannot be read nothing can be made anyway."""
    try:
        return load_genre_tree(c).digest
    except ConfigError:
        return ""
