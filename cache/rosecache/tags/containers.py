"""Which container an audio file has, and what to do with each: one row per container.

The suffix says what is expected and the first bytes what is there; a file whose bytes belong to another
suffix is refused, since players would refuse it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import BinaryIO

import msgspec

from rosecache.tags import flac_writing, id3, id3_writing, mp4, mp4_writing, ogg_writing, plain_checks, vorbis
from rosecache.tags.fields import Texts
from rosecache.tags.patches import Patch
from rosecache.tags.plain_checks import Check
from rosecache.tags.sparing import sparing
from rosecache.tags.values import RawTags


class Kind(msgspec.Struct, frozen=True):
    """One container with its codec."""

    name: str
    """For messages."""
    read: Callable[[BinaryIO], RawTags]
    others: Callable[[BinaryIO, Set[str]], Mapping[str, str]]
    """Takes the file and names in capitals; returns what the tags hold under all other names, to be compared."""
    plan: Callable[[BinaryIO, Texts], list[Patch]]
    """Takes the file and what to write; returns the patches, none if nothing changes. Raises PlanError."""
    is_plainly_right: Check
    """Says of one patch that puts ids in whether it does so and nothing else, if that can be told by its bytes."""


MP3 = Kind("MP3", sparing(id3.read), id3.others, id3_writing.plan, plain_checks.id3)
MP4 = Kind("MP4", sparing(mp4.read), mp4.others, mp4_writing.plan, plain_checks.mp4)
FLAC = Kind("FLAC", sparing(vorbis.read_flac), vorbis.others, flac_writing.plan, plain_checks.flac)
OGG_VORBIS = Kind(
    "Ogg Vorbis",
    sparing(vorbis.read_ogg_vorbis),
    vorbis.others,
    ogg_writing.plan_vorbis,
    plain_checks.ogg_vorbis,
)
OGG_OPUS = Kind(
    "Ogg Opus", sparing(vorbis.read_ogg_opus), vorbis.others, ogg_writing.plan_opus, plain_checks.ogg_opus
)
OGG_FLAC = Kind(
    "Ogg FLAC", sparing(vorbis.read_ogg_flac), vorbis.others, ogg_writing.plan_flac, plain_checks.never
)

BY_SUFFIX: Mapping[str, tuple[Kind, ...]] = {
    ".mp3": (MP3,),
    ".m4a": (MP4,),
    ".ogg": (OGG_VORBIS, OGG_OPUS, OGG_FLAC),
    ".opus": (OGG_OPUS,),
    ".flac": (FLAC,),
}
"""What a file of each suffix of ``suffixes``, in lower case, may hold."""

_HEAD_SIZE = 4096
_OGG_MAGIC = ((b"\x01vorbis", OGG_VORBIS), (b"OpusHead", OGG_OPUS), (b"\x7fFLAC", OGG_FLAC))


def kind_of(suffix: str, file: BinaryIO) -> Kind:
    """Returns the container of an open file, which is left at its start.

    Raises:
        ValueError: It is not one that the suffix allows; the text says what it is, if that is known.
    """
    allowed = BY_SUFFIX.get(suffix.lower(), ())
    if not allowed:
        raise ValueError(f"{suffix or 'no suffix'} is not a suffix of audio files")
    file.seek(0)
    head = file.read(_HEAD_SIZE)
    file.seek(0)
    if head.startswith(b"ID3"):
        # The tag may be longer than the head; FLAC files with one before them are real.
        found = allowed[0] if allowed[0] in (MP3, FLAC) else None
    elif head.startswith(b"fLaC"):
        found = FLAC
    elif head.startswith(b"OggS"):
        found = _ogg_kind(head)
    elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
        found = MP4
    else:
        # MPEG audio has no magic number: whatever is nothing else may be it.
        found = MP3
    if found not in allowed:
        expected = " or ".join(kind.name for kind in allowed)
        actual = found.name if found not in (None, MP3) else "something else"
        raise ValueError(f"expected {expected}, the file holds {actual}")
    return found


def _ogg_kind(head: bytes) -> Kind | None:
    """Looks for a known stream among the first pages, one of which starts each stream of the file."""
    at = 0
    while head.startswith(b"OggS", at) and len(head) > at + 27:
        lacing = head[at + 27 : at + 27 + head[at + 26]]
        packet = at + 27 + len(lacing)
        for magic, kind in _OGG_MAGIC:
            if head.startswith(magic, packet):
                return kind
        at = packet + sum(lacing)
    return None
