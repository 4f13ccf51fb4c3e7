"""How values read in names: artists, lists, release types, sort order. The filters of name templates.

Pure functions of values to text, without any template engine, so that log lines and listings may use
them too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from rosecache.model import ROLES, Artist, ArtistMapping

UNKNOWN_ARTISTS = "Unknown Artists"

_RELEASE_TYPES = {"ep": "EP", "djmix": "DJ-Mix", "loosetrack": "Loose Track"}
"""The release types whose name is not simply capitalized."""

_STAND_INS = ("djmixer", "composer", "conductor", "remixer", "producer", "guest")
"""Who is named instead of the main artists where no tag has any."""

_WIDEST = 1000
"""Characters, to which a value is filled up at most: no name is as long."""

_MOST_NAMED = 3


def format_artists(mapping: ArtistMapping, omit: Collection[str] = ()) -> str:
    """Returns every credit as one phrase: ``Chopin performed by Argerich (feat. Maisky)``.

    The main artists carry the phrase; composers, DJ mixers, conductors, guests and producers are added to
    them. Remixers are not named, since track titles do, and neither are aliases. Where no artist is main,
    those of the first other role that has any take their place.

    Args:
        mapping: The artists by role.
        omit: Roles that are left out.
    """
    names = dict.fromkeys(ROLES, "")
    for role, artists in mapping.items():
        if artists and role not in omit:
            names[role] = format_artist_list(artists)
    lead = names["main"]
    if not lead:
        stand_in = next((role for role in _STAND_INS if names[role]), None)
        if stand_in is None:
            return UNKNOWN_ARTISTS
        lead = names[stand_in]
        names[stand_in] = ""
    if names["djmixer"]:
        lead = f"{names['djmixer']} pres. {lead}"
    if names["composer"]:
        lead = f"{names['composer']} performed by {lead}"
    if names["conductor"]:
        lead = f"{lead} under. {names['conductor']}"
    if names["guest"]:
        lead = f"{lead} (feat. {names['guest']})"
    if names["producer"]:
        lead = f"{lead} (prod. {names['producer']})"
    return lead


def format_artist_list(artists: Iterable[Artist | str] | None) -> str:
    """Returns ``A``, ``A & B``, ``A, B & C``, or ``A et al.`` for more; aliases are left out."""
    names = []
    for artist in artists or ():
        if not isinstance(artist, Artist):
            names.append(artist)
        elif not artist.alias:
            names.append(artist.name)
    return f"{names[0]} et al." if len(names) > _MOST_NAMED else format_list(names)


def format_list(values: Iterable[object] | None) -> str:
    """Returns ``A``, ``A & B``, or ``A, B & C``, however many there are."""
    texts = [text_of(value) for value in values or ()]
    if len(texts) > 1:
        return f"{', '.join(texts[:-1])} & {texts[-1]}"
    return texts[0] if texts else ""


def format_release_type(releasetype: str) -> str:
    """Returns a release type as people write it: ``EP`` for ``ep``, ``DJ-Mix`` for ``djmix``."""
    return _RELEASE_TYPES.get(releasetype, releasetype.capitalize())


def sort_order(name: object) -> str:
    """Returns ``Lip, Kim`` for ``Kim Lip``; a name of one word as it is."""
    first, _, last = text_of(name).rpartition(" ")
    return f"{last}, {first}" if first else last


def last_name(name: object) -> str:
    """Returns the last word of a name."""
    return text_of(name).rpartition(" ")[2]


def pad_left(value: object, width: int, fillchar: str = " ") -> str:
    """Returns the value as text of at least ``width`` characters, filled up on the left."""
    return text_of(value).rjust(min(width, _WIDEST), fillchar)


def pad_right(value: object, width: int, fillchar: str = " ") -> str:
    """Returns the value as text of at least ``width`` characters, filled up on the right."""
    return text_of(value).ljust(min(width, _WIDEST), fillchar)


def text_of(value: object) -> str:
    """Returns how a value reads in a name: nothing for None, artists and lists as their filters have them."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Artist):
        return value.name
    if isinstance(value, ArtistMapping):
        return format_artists(value)
    if isinstance(value, tuple | list):
        return format_list(value)
    return str(value)


FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {
        "artistsfmt": format_artists,
        "artistsarrayfmt": format_artist_list,
        "arrayfmt": format_list,
        "releasetypefmt": format_release_type,
        "sortorder": sort_order,
        "lastname": last_name,
        "rjust": pad_left,
        "ljust": pad_right,
    }
)
"""The filters of name templates, beside those that jinja2 has."""
