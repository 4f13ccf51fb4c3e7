"""Vorbis comments as bytes: putting the ids in while every other comment stays as it is.

Comments are kept as byte strings and never decoded, so text that is not UTF-8 stays what it is.
Specification: https://xiph.org/vorbis/doc/v-comment.html
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from rosecache.tags.fields import FIELDS
from rosecache.tags.patches import PlanError


def empty_comments() -> bytes:
    """Returns a comment structure without comments."""
    vendor = b"rosefs"
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)


def with_ids(data: bytes, track_id: str, release_id: str) -> tuple[bytes, bytes]:
    """Puts the ids into a comment structure.

    An id that is there is replaced where it stands, further ones of its name go, a missing one is added at
    the end.

    Args:
        data: The structure, and whatever follows it.

    Returns:
        The new structure, and the bytes that followed the old one.

    Raises:
        PlanError: The structure is longer than the data.
    """
    (vendor_size,) = _unpack(data, 0)
    (count,) = _unpack(data, 4 + vendor_size)
    at = 8 + vendor_size
    comments = []
    for _ in range(count):
        (size,) = _unpack(data, at)
        comments.append(data[at + 4 : at + 4 + size])
        at += 4 + size
        if at > len(data):
            raise PlanError("the comments are longer than the structure that holds them")
    ids = {FIELDS["id"].vorbis[0]: track_id, FIELDS["release_id"].vorbis[0]: release_id}
    for name, value in ids.items():
        comments = _with(comments, name.encode("ascii"), value.encode("ascii"))
    packed = [struct.pack("<I", len(comment)) + comment for comment in comments]
    return data[: 4 + vendor_size] + struct.pack("<I", len(comments)) + b"".join(packed), data[at:]


def _with(comments: Sequence[bytes], name: bytes, value: bytes) -> list[bytes]:
    changed = []
    placed = False
    for comment in comments:
        key, equals, old = comment.partition(b"=")
        if not equals or key.lower() != name:
            changed.append(comment)
        elif not placed:
            # One that says the same already, in whatever case its name is, stays as it is.
            changed.append(comment if old == value else key + b"=" + value)
            placed = True
    return changed if placed else [*changed, name + b"=" + value]


def _unpack(data: bytes, offset: int) -> tuple[int]:
    if offset + 4 > len(data):
        raise PlanError("the comments are longer than the structure that holds them")
    (number,) = struct.unpack_from("<I", data, offset)
    return (number,)
