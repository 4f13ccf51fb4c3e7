"""The tags of an audio file as bytes, found by a reader of its own, to show that a write left them alone."""

from __future__ import annotations

import struct
from pathlib import Path

from mutagen.mp4._atom import Atoms
from mutagen.ogg import OggPage


def other_tags(path: Path) -> list[bytes]:
    """Returns every frame, comment, item or metadata block of a file, in order, but for the two ids and padding."""
    data = path.read_bytes()
    if data.startswith(b"OggS"):
        found = ogg_comments(path)
    elif b"fLaC" in data[:4] or (data.startswith(b"ID3") and path.suffix == ".flac"):
        found = _flac_blocks(data)
    elif path.suffix == ".m4a":
        found = _mp4_items(path, data)
    else:
        found = id3_frames(data)
    return [raw for raw in found if not _is_id(raw)]


def ids_in(path: Path) -> int:
    """Returns how often the names of the two ids occur in a file, in capitals or not."""
    data = path.read_bytes().upper()
    if path.suffix == ".m4a":
        return data.count(b"NET.SUNSETGLOW.ROSE\0\0\0\x0eNAME\0\0\0\0ID") + data.count(
            b"NAME\0\0\0\0RELEASEID"
        )
    if path.suffix == ".mp3":
        return data.count(b"ROSEID") + data.count(b"ROSERELEASEID")
    return data.count(b"ROSEID=") + data.count(b"ROSERELEASEID=")


def id3_frames(data: bytes) -> list[bytes]:
    """Returns the frames of a tag whose sizes are all below 128 or plain numbers, and what follows the audio."""
    if not data.startswith(b"ID3"):
        return [data]
    version = data[3]
    id_size, header_size = (3, 6) if version == 2 else (4, 10)
    end = 10 + sum((byte & 127) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    at, found = 10, []
    while at < end and data[at]:
        size = int.from_bytes(data[at + id_size : at + 2 * id_size], "big")
        if version == 4:
            size = sum(
                (byte & 127) << shift
                for byte, shift in zip(data[at + 4 : at + 8], (21, 14, 7, 0), strict=True)
            )
        found.append(data[at : at + header_size + size])
        at += header_size + size
    return [*found, data[end:]]


def comments(data: bytes) -> list[bytes]:
    """Returns the vendor and the comments of a comment structure."""
    (size,) = struct.unpack_from("<I", data)
    found, at = [data[4 : 4 + size]], 8 + size
    for _ in range(struct.unpack_from("<I", data, 4 + size)[0]):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def pages(path: Path) -> list[OggPage]:
    """Returns all pages of an Ogg file."""
    found = []
    with path.open("rb") as file:
        while True:
            try:
                found.append(OggPage(file))
            except EOFError:
                return found


def ogg_comments(path: Path) -> list[bytes]:
    """Returns the comments of the first stream of an Ogg file, then all later packets of it."""
    every = pages(path)
    packets: list[bytes] = OggPage.to_packets([page for page in every if page.serial == every[0].serial])
    for prefix in (b"\x03vorbis", b"OpusTags"):
        if packets[1].startswith(prefix):
            return comments(packets[1][len(prefix) :]) + packets[2:]
    return comments(packets[1][4:]) + packets[2:]


def _flac_blocks(data: bytes) -> list[bytes]:
    at, found = data.index(b"fLaC") + 4, [data[: data.index(b"fLaC")]]
    while True:
        header = int.from_bytes(data[at : at + 4], "big")
        kind, size = header >> 24, header & 0xFFFFFF
        content = data[at + 4 : at + 4 + size]
        found += {1: [], 4: comments(content) if kind & 127 == 4 else []}.get(kind & 127, [content])
        at += 4 + size
        if kind & 128:
            return [*found, data[at:]]


def _mp4_items(path: Path, data: bytes) -> list[bytes]:
    with path.open("rb") as file:
        atoms = Atoms(file)
    if b"moov.udta.meta.ilst" not in atoms:
        return []
    return [data[atom.offset : atom.offset + atom.length] for atom in atoms[b"moov.udta.meta.ilst"].children]


def _is_id(raw: bytes) -> bool:
    upper = raw[:128].upper()
    return (upper.startswith((b"ROSEID=", b"ROSERELEASEID=", b"TXX")) and b"ROSE" in upper) or (
        b"----" in upper[:8] and b"SUNSETGLOW" in upper and (b"\0ID\0" in upper or b"\0RELEASEID\0" in upper)
    )
