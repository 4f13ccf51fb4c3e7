r"""The grammar of the artist field: one text that holds every role.

    <field>     ::= [<composers> " performed by "] [<djmixers> " pres. "] <main>
                    [" under. " <conductors>] [" feat. " <guests>]
                    [" remixed by " <remixers>] [" produced by " <producers>]
    <any list>  ::= name (";" name)*

Reading forgives: the parts after the main artists may come in any order, main artists may be missing,
and lists split at every separator of tag values. Writing gives the one form above. Aliases are for the
cache; they never enter a text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import replace

from rosecache.model import ROLES, Artist, ArtistMapping
from rosecache.tags.fields import clean, split

_NOBODY = ArtistMapping()
_SHORT = 256

_BEFORE_MAIN = (("composer", "performed by"), ("djmixer", "pres."))
_AFTER_MAIN = (
    ("conductor", "under."), ("guest", "feat."), ("remixer", "remixed by"), ("producer", "produced by"),
)  # fmt: skip

_ROLE_OF_MARKER = {marker: role for role, marker in _AFTER_MAIN}
_AFTER = re.compile(rf"(?:^|\s)({'|'.join(re.escape(marker) for _, marker in _AFTER_MAIN)})(?:\s|$)")
_BEFORE = tuple((role, re.compile(rf"(?:^|\s){re.escape(marker)}(?:\s|$)")) for role, marker in _BEFORE_MAIN)


def parse_artist_field(text: str | None) -> ArtistMapping:
    """Reads an artist field. None and an empty text have no artists."""
    if not text or not (text := clean(text)):
        return _NOBODY
    return _parse_again(text) if len(text) <= _SHORT else _parse(text)


def _parse(text: str) -> ArtistMapping:
    found: dict[str, list[str]] = {}
    main, *rest = _AFTER.split(text)
    for marker, names in zip(rest[::2], rest[1::2], strict=True):
        found.setdefault(_ROLE_OF_MARKER[marker], []).append(names)
    for role, pattern in _BEFORE:
        parts = pattern.split(main, maxsplit=1)
        if len(parts) == 2:
            found[role], main = [parts[0]], parts[1]
    found["main"] = [main]
    return ArtistMapping(**{role: tuple(map(Artist, split(names))) for role, names in found.items()})


_parse_again = functools.lru_cache(maxsize=256)(_parse)
"""For texts of ordinary length: the tracks of a release have mostly the same."""


def format_artist_field(mapping: ArtistMapping) -> str:
    """Returns the artist field of a mapping, without its aliases; an empty text if nobody is left."""
    names = {role: ";".join(a.name for a in artists if not a.alias) for role, artists in mapping.items()}
    before = [f"{names[role]} {marker} " for role, marker in _BEFORE_MAIN if names[role]]
    after = [f" {marker} {names[role]}" for role, marker in _AFTER_MAIN if names[role]]
    return "".join([*before, names["main"], *after]).strip()


def merge_artists(mappings: Iterable[ArtistMapping]) -> ArtistMapping:
    """Returns one mapping of all the given ones: in each role every name once, in the order of coming."""
    found: dict[str, dict[str, Artist]] = {role: {} for role in ROLES}
    for mapping in mappings:
        for role, artists in mapping.items():
            for artist in artists:
                found[role].setdefault(artist.name, artist)
    return ArtistMapping(**{role: tuple(artists.values()) for role, artists in found.items()})


def with_role(mapping: ArtistMapping, role: str, names: Iterable[str]) -> ArtistMapping:
    """Returns the mapping with some names added to a role, those that it has not yet."""
    old: tuple[Artist, ...] = getattr(mapping, role)
    known = {artist.name for artist in old}
    new = tuple(Artist(name) for name in names if name not in known)
    return replace(mapping, **{role: old + new}) if new else mapping
