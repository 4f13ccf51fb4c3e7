"""The table of tag fields: what each field is called in each kind of tag, and how its text is cleaned.

One row per field, read by every container module's result; adding a name is editing a row. This module
opens no file and decides nothing about values beyond making their text safe to store.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from rosecache.composing import compose

Container = Literal["id3", "mp4", "vorbis"]

Values = Mapping[str, Sequence[str]]
"""What a container module reads: a name of the table, in capitals, to the texts found under it, in order."""

Texts = Mapping[str, str | None]
"""What a container module is to write: a name, spelled as in the table, to its text; None for no such field.

Everything that has the name, in capitals or not, goes. The text takes the place of the first of them.
"""

_ROSE = "----:net.sunsetglow.rose:"
_ITUNES = "----:com.apple.iTunes:"


class Names(msgspec.Struct, frozen=True):
    """What one field is called. The first name is the one that is written, all are read, in this order."""

    id3: tuple[str, ...]
    mp4: tuple[str, ...]
    vorbis: tuple[str, ...]

    def of(self, container: Container) -> tuple[str, ...]:
        """Returns the names in one kind of tag."""
        names: tuple[str, ...] = getattr(self, container)
        return names


FIELDS: Mapping[str, Names] = {
    "id": Names(("TXXX:ROSEID",), (f"{_ROSE}ID",), ("roseid",)),
    "release_id": Names(("TXXX:ROSERELEASEID",), (f"{_ROSE}RELEASEID",), ("rosereleaseid",)),
    "tracktitle": Names(("TIT2",), ("\xa9nam",), ("title",)),
    "tracknumber": Names(("TRCK",), ("trkn",), ("tracknumber",)),
    "discnumber": Names(("TPOS",), ("disk",), ("discnumber",)),
    "releasetitle": Names(("TALB",), ("\xa9alb",), ("album",)),
    "releasetype": Names(
        ("TXXX:RELEASETYPE", "TXXX:MusicBrainz Album Type"),
        (f"{_ITUNES}RELEASETYPE", f"{_ITUNES}MusicBrainz Album Type"),
        ("releasetype",),
    ),
    # TDAT holds the day of TYER's year; the ID3 module puts the two together under TYER.
    "releasedate": Names(("TDRC", "TYER"), ("\xa9day",), ("date", "year")),
    "originaldate": Names(
        ("TDOR", "TORY"),
        (f"{_ROSE}ORIGINALDATE", f"{_ITUNES}ORIGINALDATE", f"{_ITUNES}ORIGINALYEAR"),
        ("originaldate", "originalyear"),
    ),
    "compositiondate": Names(("TXXX:COMPOSITIONDATE",), (f"{_ROSE}COMPOSITIONDATE",), ("compositiondate",)),
    "genres": Names(("TCON",), ("\xa9gen",), ("genre",)),
    "secondary_genres": Names(("TXXX:SECONDARYGENRE",), (f"{_ROSE}SECONDARYGENRE",), ("secondarygenre",)),
    "descriptors": Names(("TXXX:DESCRIPTOR",), (f"{_ROSE}DESCRIPTOR",), ("descriptor",)),
    "labels": Names(("TPUB",), (f"{_ITUNES}LABEL",), ("label", "organization", "recordlabel")),
    "catalognumber": Names(("TXXX:CATALOGNUMBER",), (f"{_ITUNES}CATALOGNUMBER",), ("catalognumber",)),
    "edition": Names(("TXXX:EDITION",), (f"{_ROSE}EDITION",), ("edition",)),
    "releaseartists": Names(("TPE2",), ("aART",), ("albumartist",)),
    "trackartists": Names(("TPE1",), ("\xa9ART",), ("artist",)),
    "remixer": Names(("TPE4",), (f"{_ITUNES}REMIXER",), ("remixer",)),
    "composer": Names(("TCOM",), ("\xa9wrt",), ("composer",)),
    "conductor": Names(("TPE3",), (f"{_ITUNES}CONDUCTOR",), ("conductor",)),
    # The ID3 module spreads the pairs of TIPL and IPLS over such names.
    "producer": Names(("TIPL:producer", "IPLS:producer"), (f"{_ITUNES}PRODUCER",), ("producer",)),
    "djmixer": Names(("TIPL:DJ-mix", "IPLS:DJ-mix"), (f"{_ITUNES}DJMIXER",), ("djmixer",)),
}
"""Every field of a track, by the name that :class:`AudioTags` has for it, or by the artists' role."""

BESIDE: Mapping[Container, Mapping[str, tuple[str, ...]]] = {
    "id3": {"releasedate": ("TDAT",)},
    "mp4": {"genres": ("gnre",)},  # a genre as a number, which mutagen shows as text
    "vorbis": {},
}
"""Names that hold a part of a field, or the field in another form: they go when the field is written."""

TOTALS: Mapping[Container, Mapping[str, tuple[str, ...]]] = {
    "id3": {},
    "mp4": {},
    "vorbis": {"tracknumber": ("tracktotal", "totaltracks"), "discnumber": ("disctotal", "totaldiscs")},
}
"""Names under which other programs keep the total of a number, which are no fields of ours."""

READ_ONLY_ROLES = ("remixer", "composer", "conductor", "producer", "djmixer")
"""Fields of one role each. They are read; when artists are written they go into the artist field."""

KEYS: Mapping[Container, Mapping[str, tuple[str, ...]]] = {
    container: {field: tuple(map(str.upper, names.of(container))) for field, names in FIELDS.items()}
    for container in ("id3", "mp4", "vorbis")
}  # fmt: skip
"""The names in capitals, by container and field: names are compared without regard to case."""

_FIELD_OF: Mapping[Container, Mapping[str, str]] = {
    container: {name: field for field, names in fields.items() for name in names}
    for container, fields in KEYS.items()
}

_SEPARATOR = re.compile(r" \\\\ | / |; ?| vs\. ")
_SHORT = 256
_PARENTS = "\\\\PARENTS:\\\\"


def names_of(container: Container, field: str) -> tuple[str, ...]:
    """Returns every name of a field in one kind of tag: first the one to write, then those to remove."""
    return FIELDS[field].of(container) + BESIDE[container].get(field, ())


def clean(text: str) -> str:
    """Returns text fit for a database and a file name: no NUL, no lone surrogate, no blanks at the ends, in NFC.

    So "Björk" is one artist, whichever way a tagger has written the "ö".
    """
    if "\0" in text:
        text = text.replace("\0", "")
    elif text.isascii():
        return text.strip()
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves of a pair that were decoded apart become one character, a lone half becomes U+FFFD.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return compose(text).strip()


def texts(values: Values, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the cleaned texts of the first name that has any; an empty text counts as none."""
    for name in names:
        found = values.get(name)
        if found and (kept := _cleaned(found)):
            return kept
    return ()


def _cleaned(found: Sequence[str]) -> tuple[str, ...]:
    if len(found) == 1 and len(found[0]) <= _SHORT:
        return _clean_again(found[0])
    return tuple(filter(None, map(clean, found)))


@functools.lru_cache(maxsize=512)
def _clean_again(text: str) -> tuple[str, ...]:
    """For texts of ordinary length: the tracks of a release have mostly the same."""
    cleaned = clean(text)
    return (cleaned,) if cleaned else ()


def fields_in(container: Container, values: Values) -> dict[str, tuple[str, ...]]:
    """Returns what :func:`texts` finds for each of the fields that a file has at all."""
    fields, keys = _FIELD_OF[container], KEYS[container]
    found: dict[str, tuple[str, ...]] = {}
    for name, these in values.items():
        if (field := fields.get(name)) is not None:
            # A field that a file has under several names is looked up by their order.
            found[field] = texts(values, keys[field]) if field in found else _cleaned(these)
    return found


def size_of_fields(container: Container, values: Values) -> int:
    """Returns how many characters the texts of all fields have."""
    fields = _FIELD_OF[container]
    return sum(len(text) for name, found in values.items() if name in fields for text in found)


def every_text(values: Values, names: Sequence[str]) -> Iterator[str]:
    """Yields the texts of all of the names, in order, as they are."""
    for name in names:
        yield from values.get(name, ())


def split(fields: Sequence[str]) -> tuple[str, ...]:
    """Returns the values in some texts, each split at the separators: no duplicates, order kept."""
    found: dict[str, None] = {}
    for text in fields:
        for part in _SEPARATOR.split(text):
            if stripped := part.strip():
                found[stripped] = None
    return tuple(found)


def split_genres(fields: Sequence[str]) -> tuple[str, ...]:
    """Splits as :func:`split` does, without the derived parents that may follow in each text."""
    return split([text.partition(_PARENTS)[0].rstrip() for text in fields])
