"""Artist aliases: whom a credit also counts for, as the configuration says.

An entry names an artist and its aliases. Whoever is credited under an alias counts as the artist too, and
through the artist's own entries as everybody further up. Aliases exist in what is read from the cache only:
no file and no table holds them. Who names aliases in a circle gets a group of equals, not an error.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from rosecache.config import Config
from rosecache.model import Artist, ArtistMapping


class Aliases(msgspec.Struct, frozen=True):
    """The configured aliases, followed to their ends.

    Attributes:
        owners: By name, every other artist that the name also counts as, the nearest first.
        members: By artist, every other name that counts as the artist, the nearest first.
    """

    owners: Mapping[str, tuple[str, ...]]
    members: Mapping[str, tuple[str, ...]]

    def members_of(self, artist: str) -> tuple[str, ...]:
        """Returns the other names whose credits count for an artist."""
        return self.members.get(artist, ())

    def applied_to(self, mapping: ArtistMapping) -> ArtistMapping:
        """Returns the mapping with each role's credited artists followed by those they also count as."""
        if not self.owners:
            return mapping
        extended = {}
        for role, artists in mapping.items():
            credited = {artist.name for artist in artists}
            added = dict.fromkeys(
                owner
                for artist in artists
                for owner in self.owners.get(artist.name, ())
                if owner not in credited
            )
            if added:
                extended[role] = artists + tuple(Artist(name, alias=True) for name in added)
        return replace(mapping, **extended) if extended else mapping


@functools.lru_cache(maxsize=16)
def load_aliases(c: Config) -> Aliases:
    """Returns the aliases of a configuration."""
    owners: dict[str, list[str]] = {}
    members: dict[str, list[str]] = {}
    for entry in c.artist_aliases:
        artist = unicodedata.normalize("NFC", entry.artist)
        for alias in (unicodedata.normalize("NFC", alias) for alias in entry.aliases):
            owners.setdefault(alias, []).append(artist)
            members.setdefault(artist, []).append(alias)
    return Aliases(_followed(owners), _followed(members))


def _followed(edges: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Returns for each name everybody that can be reached from it, in the order of distance, not itself."""
    reached = {}
    for start in edges:
        found = {start: None}
        ahead = [start]
        for name in ahead:
            for following in edges.get(name, ()):
                if following not in found:
                    found[following] = None
                    ahead.append(following)
        reached[start] = tuple(found)[1:]
    return reached
