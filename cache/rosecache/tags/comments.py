"""Vorbis comments as bytes: putting texts in while every other comment stays as it is.

Comments are kept as byte strings and never decoded, so text that is not UTF-8 stays what it is.
Specification: https://xiph.org/vorbis/doc/v-comment.html
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from rosecache.tags.fields import Texts
from rosecache.tags.patches import PlanError


def empty_comments() -> bytes:
    """Returns a comment structure without comments."""
    vendor = b"rosefs"
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)


def with_texts(data: bytes, texts: Texts) -> tuple[bytes, bytes]:
    """Puts texts into a comment structure.

    One that is there is replaced where it stands, further ones of its name go, a missing one is added at the
    end.

    Args:
        data: The structure, and whatever follows it.
        texts: What to put in or take out.

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
    changed = _changed(comments, texts)
    packed = [struct.pack("<I", len(comment)) + comment for comment in changed]
    return data[: 4 + vendor_size] + struct.pack("<I", len(changed)) + b"".join(packed), data[at:]


def _changed(comments: Sequence[bytes], texts: Texts) -> list[bytes]:
    names = {name.lower().encode("ascii") for name in texts}
    missing = {
        name.lower().encode("ascii"): text.encode() for name, text in texts.items() if text is not None
    }
    changed = []
    for comment in comments:
        key, equals, old = comment.partition(b"=")
        name = key.lower()
        if not equals or name not in names:
            changed.append(comment)
        elif name in missing:
            new = missing.pop(name)
            # One that says the same already, in whatever case its name is, stays as it is.
            changed.append(comment if old == new else key + b"=" + new)
    return changed + [name + b"=" + new for name, new in missing.items()]


def _unpack(data: bytes, offset: int) -> tuple[int]:
    if offset + 4 > len(data):
        raise PlanError("the comments are longer than the structure that holds them")
    (number,) = struct.unpack_from("<I", data, offset)
    return (number,)
