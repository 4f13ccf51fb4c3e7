"""Substring search over everything that the tags say of releases and tracks.

The full-text tables answer which texts hold all trigrams of a pattern; those candidates are then checked
exactly, field by field, so what is found is what a plain scan of all fields would find, only sooner. Patterns
too short for a trigram do scan, the texts first. Nothing here writes; updates keep the tables current.

Case is ignored character by character, by the one-to-one lower-case mappings of Unicode: ``É`` is ``é``, but
``ß`` is not ``ss``. Aliases and parent genres, which no tag names, are not searched.
"""

from __future__ import annotations

import functools
import itertools
import json
import sqlite3
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from operator import attrgetter

from rosecache.config import Config
from rosecache.model import ArtistMapping, Release, Track
from rosecache.query.releases import releases_where
from rosecache.query.rows import fetch, snapshot
from rosecache.query.tracks import tracks_where

RELEASE_FIELDS: Mapping[str, str] = {
    "releasetitle": "releasetitle",
    "releaseartist": "releaseartists",
    "releasetype": "releasetype",
    "releasedate": "releasedate",
    "originaldate": "originaldate",
    "compositiondate": "compositiondate",
    "genre": "genres",
    "secondarygenre": "secondary_genres",
    "descriptor": "descriptors",
    "label": "labels",
    "catalognumber": "catalognumber",
    "edition": "edition",
}
"""The fields of a release that are searched, by the name of the tag, with the attribute that holds them."""

TRACK_FIELDS: Mapping[str, str] = {
    "tracktitle": "tracktitle",
    "tracknumber": "tracknumber",
    "discnumber": "discnumber",
    "trackartist": "trackartists",
    **{name: f"release.{attribute}" for name, attribute in RELEASE_FIELDS.items()},
}
"""The fields of a track that are searched, those of its release included."""

_TRIGRAM = 3
_MOST_TRIGRAMS = 16
"""More would hardly leave fewer candidates."""


def search_releases(
    c: Config, pattern: str, *, fields: Collection[str] | None = None, ignore_case: bool = True
) -> list[Release]:
    """Returns the releases that have a text somewhere in a field, by source path.

    Args:
        c: The configuration.
        pattern: The text; every character stands for itself.
        fields: Names of RELEASE_FIELDS to look at; None for all.
        ignore_case: Whether case makes no difference.

    Raises:
        ValueError: A field has no such name.
    """
    pattern = unicodedata.normalize("NFC", pattern)
    matches = _matcher(RELEASE_FIELDS, pattern, fields, ignore_case)
    with snapshot(c) as connection:
        keys = keys_of_texts(connection, "releases", pattern, ignore_case)
        found = releases_where(c, "r.key IN (SELECT value FROM json_each(:keys))", {"keys": json.dumps(keys)})
    return [release for release in found if matches(release)]


def search_tracks(
    c: Config, pattern: str, *, fields: Collection[str] | None = None, ignore_case: bool = True
) -> list[Track]:
    """Returns the tracks that have a text somewhere in a field of theirs or of their release.

    Args:
        c: The configuration.
        pattern: The text; every character stands for itself.
        fields: Names of TRACK_FIELDS to look at; None for all.
        ignore_case: Whether case makes no difference.

    Raises:
        ValueError: A field has no such name.
    """
    pattern = unicodedata.normalize("NFC", pattern)
    matches = _matcher(TRACK_FIELDS, pattern, fields, ignore_case)
    with snapshot(c) as connection:
        keys = {
            table: json.dumps(keys_of_texts(connection, table, pattern, ignore_case))
            for table in ("releases", "tracks")
        }
        found = tracks_where(
            c,
            "(t.key IN (SELECT value FROM json_each(:tracks))"
            " OR t.release_key IN (SELECT value FROM json_each(:releases)))",
            keys,
        )
    return [track for track in found if matches(track)]


def _matcher(
    known: Mapping[str, str], pattern: str, fields: Collection[str] | None, ignore_case: bool
) -> Callable[[Release | Track], bool]:
    """Returns the exact check, on one thing's fields."""
    names = known.keys() if fields is None else fields
    if unknown := sorted(set(names) - known.keys()):
        raise ValueError(f"no such fields: {', '.join(unknown)}; expected some of {', '.join(known)}")
    getters = [attrgetter(known[name]) for name in names]
    wanted, folded = _folding(pattern, ignore_case)
    return lambda thing: any(wanted in folded(text) for get in getters for text in _texts(get(thing)))


def _texts(value: object) -> Iterator[str]:
    """Yields what tags say in a field: nothing for None, the names of credited artists, every list value."""
    if isinstance(value, ArtistMapping):
        yield from (artist.name for _, artists in value.items() for artist in artists if not artist.alias)
    elif isinstance(value, tuple):
        yield from value
    elif value is not None:
        yield str(value)


def keys_of_texts(connection: sqlite3.Connection, table: str, pattern: str, ignore_case: bool) -> list[int]:
    """Returns the keys of the releases or tracks whose own text, all fields together, holds the pattern.

    ``table`` is ``releases`` or ``tracks``. Their fields are those that their tags name, with nothing computed.
    """
    statement = f"SELECT rowid, text FROM {table}_text"
    expression = _trigrams_of(pattern)
    if expression is None:
        rows = fetch(connection, statement)
    else:
        rows = fetch(
            connection, f"{statement} WHERE {table}_text MATCH :expression", {"expression": expression}
        )
    wanted, folded = _folding(pattern, ignore_case)
    return [key for key, text in rows if wanted in folded(text)]


def can_look_up(pattern: str) -> bool:
    """Returns whether the full-text tables can say which texts hold a pattern; else all have to be read."""
    return (
        len(pattern) >= _TRIGRAM and "\0" not in pattern
    )  # the tokenizer leaves NUL out, an expression ends at one


def _trigrams_of(pattern: str) -> str | None:
    """Returns the FTS5 expression for texts that hold the pattern's trigrams; None if the index cannot say.

    Which characters SQLite takes for one another depends on its version, so the expression has every trigram
    in all the ways in which its letters can be written; whichever SQLite takes for the same do no harm.
    See https://www.sqlite.org/fts5.html, "The Trigram Tokenizer" and "FTS5 Strings".
    """
    if not can_look_up(pattern):
        return None
    starts = range(len(pattern) - _TRIGRAM + 1)
    trigrams = dict.fromkeys(pattern[start : start + _TRIGRAM] for start in starts)
    return " AND ".join(f"({_spellings(trigram)})" for trigram in itertools.islice(trigrams, _MOST_TRIGRAMS))


def _spellings(trigram: str) -> str:
    fold, variants = _case_tables()
    ways = itertools.product(
        *(variants.get(fold.get(ord(character), character), character) for character in trigram)
    )
    quoted = dict.fromkeys('"' + "".join(way).replace('"', '""') + '"' for way in ways)
    return " OR ".join(quoted)


def _folding(pattern: str, ignore_case: bool) -> tuple[str, Callable[[str], str]]:
    """Returns the pattern as it is compared, and what makes any text comparable to it."""
    if not ignore_case:
        return pattern, str
    return without_case(pattern), without_case


def without_case(text: str) -> str:
    """Returns a text in lower case, as the search compares it: each character by itself, ``ß`` as it is."""
    return text.lower() if text.isascii() else text.translate(_case_tables()[0])


@functools.cache
def _case_tables() -> tuple[Mapping[int, str], Mapping[str, str]]:
    """Returns by code point each character's lower case, and by lower case all characters that have it.

    Of the second, only those that ASCII cannot tell apart: SQLite folds ASCII letters itself. No character
    beyond the second plane has case.
    """
    fold: dict[int, str] = {}
    variants: dict[str, str] = {}
    for character in map(chr, range(0x20000)):
        lower = character.lower()
        if lower != character and len(lower) == 1:
            fold[ord(character)] = lower
            if not character.isascii():
                variants[lower] = variants.get(lower, lower) + character
    return fold, variants
