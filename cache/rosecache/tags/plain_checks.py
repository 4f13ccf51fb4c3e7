"""Whether a change puts ids into a tag and does nothing else, told by the tag's bytes before and after it.

Reading the whole file again by the reader that everything else uses says the same, and takes longer than all else that
is done to put ids into it. So the bytes are taken apart here, by none of the code that planned the change: the old ones
have to hold what that reader found in the file, and the new ones the same pieces, the ids, and nothing else. Where a
tag has anything that most tags do not have, the answer is no, and the file is read again.

Each check is given the bytes of a structure that keeps its place and size: a whole ID3 tag, neighbouring FLAC metadata
blocks, an Ogg page, neighbouring MP4 atoms. Nothing here opens a file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence

from rosecache.tags.id3 import TEXT_FRAMES
from rosecache.tags.ogg_writing import with_checksum
from rosecache.tags.patches import is_blank
from rosecache.tags.values import RawTags

Ids = Mapping[str, str]
"""The ids by the names that the kind of tag has for them, spelled as in the table of fields."""

Check = Callable[[bytes, bytes, Ids, RawTags], bool]
"""Takes the bytes before and after, the ids, and what the file was read as; says whether all is plainly right."""

_FRAME_NAME = re.compile(rb"[A-Z][A-Z0-9]{3}")
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_LAST = 0x80
_PADDING, _COMMENTS = 1, 4
_OGG_HEADER = 27


def _only_ids_differ(
    old: Sequence[bytes], new: Sequence[bytes], keys: Sequence[str | None], ids: Ids, wanted: Iterable[bytes]
) -> bool:
    """Tells whether new pieces are the old ones in their order, without old ids, and among them each wanted one.

    The keys are those of the old pieces, in capitals.
    """
    names = {name.upper() for name in ids}
    missing = set(wanted)
    kept = []
    for piece in new:
        if piece in missing:
            missing.remove(piece)
        else:
            kept.append(piece)
    return not missing and kept == [piece for piece, key in zip(old, keys, strict=True) if key not in names]


def never(_old: bytes, _new: bytes, _ids: Ids, _raw: RawTags) -> bool:
    """Says of nothing that it is plainly right: for what is too rare."""
    return False


def id3(old: bytes, new: bytes, ids: Ids, raw: RawTags) -> bool:
    """Checks a change of an ID3 tag, given from its header to the end of its padding."""
    before, after = _frames(old), _frames(new)
    if before is None or after is None or old[:10] != new[:10]:
        return False
    keys = [_frame_key(frame) for frame in before]
    known = {key for key in raw.values if key.startswith("TXXX:") or ":" not in key}
    wanted = []
    for name, text in ids.items():
        content = f"\0{name.partition(':')[2]}\0{text}".encode("ascii")
        wanted.append(b"TXXX\0\0\0" + bytes([len(content)]) + b"\0\0" + content)
    return {*keys} - {None} == known and _only_ids_differ(before, after, keys, ids, wanted)


def _frames(data: bytes) -> Sequence[bytes] | None:
    """Returns the frames of a tag; None if it has flags, or anything but padding behind them."""
    if data[:3] != b"ID3" or data[3] not in (3, 4) or data[5] or len(data) != 10 + _number(data[6:10], 7):
        return None
    bits = 7 if data[3] == 4 else 8
    frames = []
    at = 10
    while _FRAME_NAME.match(data, at) and at + 10 <= len(data):
        size = data[at + 4 : at + 8]
        end = at + 10 + _number(size, bits)
        if end > len(data) or (bits == 7 and max(size) > 127):
            return None
        frames.append(data[at:end])
        at = end
    return frames if is_blank(data[at:]) else None


def _number(data: bytes, bits: int) -> int:
    return data[0] << 3 * bits | data[1] << 2 * bits | data[2] << bits | data[3]


def _frame_key(frame: bytes) -> str | None:
    """Returns what a frame of text is read as; None for any other."""
    name = frame[:4].decode("ascii")
    if name != "TXXX":
        return name if name in TEXT_FRAMES else None
    if len(frame) < 12 or frame[10] >= len(_ENCODINGS):
        return name
    return f"TXXX:{frame[11:].decode(_ENCODINGS[frame[10]], 'replace').partition(chr(0))[0].upper()}"


def flac(old: bytes, new: bytes, ids: Ids, raw: RawTags) -> bool:
    """Checks a change of metadata blocks side by side, the comments among them."""
    before, after = _blocks(old), _blocks(new)
    if before is None or after is None:
        return False
    (was_last, others, comments), (is_last, new_others, new_comments) = before, after
    return (
        was_last == is_last
        and others == new_others
        and len(comments) == len(new_comments) == 1
        and _comments_are_right(comments[0], new_comments[0], ids, raw, b"")
    )


def _blocks(data: bytes) -> tuple[int, Sequence[bytes], Sequence[bytes]] | None:
    """Returns the mark of the last block, what is neither comments nor padding, and what is in blocks of comments.

    None if there is a mark before, or anything in the padding.
    """
    others, comments = [], []
    at, mark = 0, 0
    while at + 4 <= len(data) and not mark:
        mark, code = data[at] & _LAST, data[at] & ~_LAST
        start = at + 4
        at = start + int.from_bytes(data[at + 1 : start], "big")
        content = data[start:at]
        if code == _COMMENTS:
            comments.append(content)
        elif code != _PADDING:
            others.append(bytes([code]) + content)
        elif not is_blank(content):
            return None
    return (mark, others, comments) if at == len(data) else None


def ogg_vorbis(old: bytes, new: bytes, ids: Ids, raw: RawTags) -> bool:
    """Checks a change of the one page that holds all comments."""
    return _ogg(old, new, ids, raw, b"\x03vorbis", b"\1")


def ogg_opus(old: bytes, new: bytes, ids: Ids, raw: RawTags) -> bool:
    """Checks a change of the one page that holds all comments."""
    return _ogg(old, new, ids, raw, b"OpusTags", b"")


def _ogg(old: bytes, new: bytes, ids: Ids, raw: RawTags, magic: bytes, end: bytes) -> bool:
    start = _OGG_HEADER + old[26]
    lacing = old[_OGG_HEADER:start]
    segments = next((at for at, value in enumerate(lacing, start=1) if value < 255), 0)
    stop = start + sum(lacing[:segments])
    # The same header, but for the checksum; and whatever else is on the page.
    return (
        segments > 0
        and old[:22] == new[:22]
        and old[26:start] == new[26:start]
        and old[stop:] == new[stop:]
        and with_checksum(new) == new
        and old.startswith(magic, start)
        and new.startswith(magic, start)
        and _comments_are_right(old[start + len(magic) : stop], new[start + len(magic) : stop], ids, raw, end)
    )


def _comments_are_right(old: bytes, new: bytes, ids: Ids, raw: RawTags, end: bytes) -> bool:
    """Checks a change of Vorbis comments, behind which there are some bytes, and then nothing but zeros."""
    before, after = _comments(old, end), _comments(new, end)
    if before is None or after is None or before[0] != after[0]:
        return False
    values: dict[str, list[str]] = {}
    keys = []
    try:
        for comment in before[1:]:
            key, _, text = comment.decode().partition("=")
            keys.append(key.upper())
            values.setdefault(key.upper(), []).append(text)
    except UnicodeDecodeError:
        return False
    wanted = [f"{name}={text}".encode("ascii") for name, text in ids.items()]
    return values == raw.values and _only_ids_differ(before[1:], after[1:], keys, ids, wanted)


def _comments(data: bytes, end: bytes) -> Sequence[bytes] | None:
    """Returns the vendor's name and the comments; None if they are not all that there is."""
    try:
        vendor_end = 4 + struct.unpack_from("<I", data)[0]
        (count,) = struct.unpack_from("<I", data, vendor_end)
        found = [data[4:vendor_end]]
        at = vendor_end + 4
        for _ in range(count):
            start = at + 4
            at = start + struct.unpack_from("<I", data, at)[0]
            found.append(data[start:at])
    except struct.error:
        return None
    rest = data[at:]
    return found if at <= len(data) and rest.startswith(end) and is_blank(rest[len(end) :]) else None


def mp4(old: bytes, new: bytes, ids: Ids, raw: RawTags) -> bool:
    """Checks a change of the list of items and the free room beside it."""
    before, after = _items(old), _items(new)
    if before is None or after is None:
        return False
    keys = [_item_key(item) for item in before]
    known = {key for key in raw.values if key.startswith(("----:", "\xa9"))}
    wanted = []
    for name, text in ids.items():
        _, *parts = name.encode("ascii").split(b":")
        named = [_atom(kind, bytes(4) + part) for kind, part in zip((b"mean", b"name"), parts, strict=True)]
        wanted.append(
            _atom(b"----", b"".join(named) + _atom(b"data", struct.pack(">II", 1, 0) + text.encode()))
        )
    return known != set() and {*keys} - {None} == known and _only_ids_differ(before, after, keys, ids, wanted)


def _items(data: bytes) -> Sequence[bytes] | None:
    """Returns the items of the one list among some atoms; None if there is anything but free room beside it."""
    atoms = _atoms(data) or ()
    lists = [atom[8:] for atom in atoms if atom[4:8] == b"ilst"]
    room = [atom[8:] for atom in atoms if atom[4:8] == b"free"]
    if len(lists) != 1 or len(room) != len(atoms) - 1 or not all(map(is_blank, room)):
        return None
    return _atoms(lists[0])


def _atoms(data: bytes) -> Sequence[bytes] | None:
    """Returns the atoms that bytes consist of; None if they do not."""
    atoms = []
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return None
        atoms.append(data[at : at + size])
        at += size
    return atoms if at == len(data) else None


def _item_key(item: bytes) -> str | None:
    """Returns what an item of text is read as; None for any other."""
    if item[4:8] != b"----":
        return item[4:8].decode("latin-1").upper() if item[4] == 0xA9 else None
    parts = {part[4:8]: part[12:] for part in reversed(_atoms(item[8:]) or ())}
    mean, name = (parts.get(part, b"").decode("utf-8", "replace") for part in (b"mean", b"name"))
    return f"----:{mean}:{name}".upper()


def _atom(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content
