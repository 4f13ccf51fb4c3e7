"""Unusual ways in which files are built: ids go in without harm, or the file is left alone with a reason."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from mutagen.flac import FLAC
from mutagen.mp4 import MP4
from mutagen.ogg import OggPage

from rosecache.tags import read_tags
from tests.support.audio import PICTURE, make_track, set_tags
from tests.support.idwrites import put_ids, refused, write
from tests.support.rawtags import comments, ids_in, other_tags, pages
from tests.support.variants import VARIANTS, id3_frame, id3_tag

# Vorbis comments


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_comments_that_are_not_utf8_keep_their_bytes(suffix: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{suffix}", comment="WXYZ", odd="no equals sign:")
    data = bytearray(path.read_bytes().replace(b"WXYZ", b"\xff\xfe\x80\xc0").replace(b"odd=no", b"odd?no"))
    path.write_bytes(with_checksums(data))
    before = other_tags(path)
    write(path)
    assert other_tags(path) == before
    assert b"comment=\xff\xfe\x80\xc0" in b"\n".join(before)


def with_checksums(data: bytearray) -> bytes:
    """Returns an Ogg file with the checksum of its second page made right; others as they are."""
    if not data.startswith(b"OggS"):
        return bytes(data)
    start = data.index(b"OggS", 4)
    stop = data.find(b"OggS", start + 4)
    data[start + 22 : start + 26] = bytes(4)
    flipped = bytes(data[start:stop]).translate(bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256)))
    checksum = int(f"{~zlib.crc32(flipped, 0xFFFFFFFF) & 0xFFFFFFFF:032b}"[::-1], 2)
    data[start + 22 : start + 26] = struct.pack("<I", checksum)
    return bytes(data)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_ids_stay_where_they_are_among_the_comments(suffix: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{suffix}", title=None)
    set_tags(path, ROSEID="old", title="Title")
    order = [raw.partition(b"=")[0].lower() for raw in all_comments(path)]
    write(path)
    assert [raw.partition(b"=")[0].lower() for raw in all_comments(path)] == [*order, b"rosereleaseid"]
    assert ids_in(path) == 2


def all_comments(path: Path) -> list[bytes]:
    """Returns the comments without what other_tags finds besides them."""
    data = path.read_bytes()
    if path.suffix == ".flac":
        at = 4
        while data[at] & 127 != 4:
            at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        return comments(data[at + 4 :])[1:]
    packet = OggPage.to_packets(pages(path)[1:2])[0]
    return comments(packet[8 if path.suffix == ".opus" else 7 :])[1:]


# FLAC


def test_id3_tag_before_flac_stays(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    tag = id3_tag(3, id3_frame(3, b"TIT2", b"\0Other title"), padding=20)
    path.write_bytes(tag + path.read_bytes())
    write(path)
    assert path.read_bytes().startswith(tag + b"fLaC")
    assert read_tags(path).tracktitle == "Track"


@pytest.mark.parametrize("order", ["padding first", "comments last", "two paddings"])
def test_order_of_flac_blocks_stays(order: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac", picture=PICTURE)
    blocks, audio = flac_blocks(path)
    info, tags, picture = (next(data for code, data in blocks if code == wanted) for wanted in (0, 4, 6))
    layout = {
        "padding first": [(0, info), (1, bytes(400)), (6, picture), (4, tags)],
        "comments last": [(0, info), (6, picture), (4, tags)],
        "two paddings": [(0, info), (1, bytes(9)), (4, tags), (1, bytes(300)), (6, picture)],
    }[order]
    path.write_bytes(flac_file(layout, audio))
    write(path)
    after, same_audio = flac_blocks(path)
    assert [code for code, _ in after if code != 1] == [code for code, _ in layout if code != 1]
    assert dict(after)[6] == picture
    assert same_audio == audio
    assert subprocess.run(["flac", "-t", "-s", path], check=False).returncode == 0


@pytest.mark.parametrize("room", [0, 100, 102, 103, 104, 107, 108, 109, 2000])
def test_flac_padding_of_about_the_needed_size(room: int, tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    blocks, audio = flac_blocks(path)
    needed = 2 * (4 + 1 + 36) + len("roseid") + len("rosereleaseid")
    path.write_bytes(flac_file([(c, d) for c, d in blocks if c != 1] + [(1, bytes(room))], audio))
    before = path.stat()
    write(path)
    assert (path.stat().st_size == before.st_size) == (room >= needed)
    assert FLAC(path)["title"] == ["Track"]


def flac_blocks(path: Path) -> tuple[list[tuple[int, bytes]], bytes]:
    data = path.read_bytes()
    at, found, last = 4, [], False
    while not last:
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        found.append((data[at] & 127, data[at + 4 : at + 4 + size]))
        last, at = bool(data[at] & 128), at + 4 + size
    return found, data[at:]


def flac_file(blocks: list[tuple[int, bytes]], audio: bytes) -> bytes:
    packed = [
        bytes([code | (128 if number == len(blocks) else 0)]) + len(data).to_bytes(3, "big") + data
        for number, (code, data) in enumerate(blocks, 1)
    ]
    return b"fLaC" + b"".join(packed) + audio


def test_flac_whose_block_sizes_are_wrong_is_left_alone(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    blocks, audio = flac_blocks(path)
    data = bytearray(flac_file([(c, d) for c, d in blocks if c != 1] + [(1, bytes(5000))], audio))
    at = data.index(b"\x84") if b"\x84" in data[:42] else 42
    size = int.from_bytes(data[at + 1 : at + 4], "big")
    data[at + 1 : at + 4] = (size - 3).to_bytes(3, "big")
    path.write_bytes(data)
    assert refused(path)


# Ogg


def opus_with_packet(directory: Path, size: int) -> Path:
    """Makes an Opus file whose comment packet has a size, on one page, without padding."""
    path = make_track(directory / "01.opus", title="Title")
    first, held, *rest = pages(path)
    found = comments(OggPage.to_packets([held])[0][8:])
    used = 8 + 8 + len(found[0]) + sum(4 + len(raw) for raw in found[1:]) + 4
    found.append(b"comment=".ljust(size - used, b"x"))
    packed = b"".join(struct.pack("<I", len(raw)) + raw for raw in found[1:])
    held.packets = [
        b"OpusTags" + struct.pack("<I", len(found[0])) + found[0] + struct.pack("<I", len(found) - 1) + packed
    ]
    assert len(held.packets[0]) == size
    path.write_bytes(b"".join(page.write() for page in (first, held, *rest)))
    return path


FULL_PAGE = 255 * 255 - 1
"""The longest packet that one page can hold to its end."""


@pytest.mark.parametrize("missing", [0, 1, 105, 106, 107, 108, 109, 110, 111, 112, 255, 3000, 5000])
def test_later_pages_are_numbered_on_when_the_comments_need_another_one(missing: int, tmp_path: Path) -> None:
    path = opus_with_packet(tmp_path, FULL_PAGE - missing)
    before, count = other_tags(path), len(pages(path))
    write(path)
    assert [page.sequence for page in pages(path)] == list(range(len(pages(path))))
    needed = 2 * (4 + 1 + 36) + len("roseid") + len("rosereleaseid")
    assert len(pages(path)) == count + (needed > missing)
    assert other_tags(path) == before


def test_ids_fit_into_the_page_with_room_for_only_them(tmp_path: Path) -> None:
    path = opus_with_packet(tmp_path, FULL_PAGE - 200)
    size = path.stat().st_size
    write(path)
    # Padding would need another page, so there is none.
    assert path.stat().st_size < size + 200


def test_other_streams_keep_their_pages(tmp_path: Path) -> None:
    path = VARIANTS["ogg, two streams"](tmp_path)
    first = pages(path)[0].serial
    before = [page.write() for page in pages(path) if page.serial != first]
    assert before
    write(path)
    assert [page.write() for page in pages(path) if page.serial != first] == before


@pytest.mark.parametrize("size", [2000, FULL_PAGE])
def test_chained_streams_stay(size: int, tmp_path: Path) -> None:
    """What follows is of another stream, although ffmpeg cannot say so: it decodes no chains of Opus."""
    path = opus_with_packet(tmp_path, size)
    whole = path.read_bytes()
    path.write_bytes(whole + whole)
    put_ids(path)
    assert path.read_bytes().endswith(whole)


@pytest.mark.parametrize(("flag", "stays"), [(1, True), (0, False)])
def test_what_follows_the_comments_of_opus(flag: int, stays: bool, tmp_path: Path) -> None:
    """RFC 7845, 5.2: data is to be preserved if the first bit is set, else it is padding."""
    path = make_track(tmp_path / "01.opus")
    every = pages(path)
    packet = OggPage.to_packets(every[1:2])[0]
    end = 8 + 4 + sum(4 + len(raw) for raw in comments(packet[8:]))
    suffix = bytes([flag]) + b"binary suffix"
    every[1].packets = [packet[:end] + suffix]
    path.write_bytes(b"".join(page.write() for page in every))
    write(path)
    assert (suffix in path.read_bytes()) == stays


def test_bytes_behind_the_comments_of_vorbis_stay_unless_zero(tmp_path: Path) -> None:
    path = VARIANTS["ogg vorbis"](tmp_path)
    every = pages(path)
    every[1].packets[0] = every[1].packets[0].rstrip(b"\0") + b"something"
    path.write_bytes(b"".join(page.write() for page in every))
    write(path)
    assert b"\x01something" in path.read_bytes()


def test_ogg_with_damage_behind_is_not_renumbered(tmp_path: Path) -> None:
    path = opus_with_packet(tmp_path, FULL_PAGE)
    data = path.read_bytes()
    last = data.rindex(b"OggS")
    path.write_bytes(data[:last] + b"damage" + data[last:])
    assert "damaged pages" in refused(path)


# MP4


def atom(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize("kind", ["m4a, moov first", "m4a, moov first, no padding"])
def test_offset_tables_follow_the_audio(kind: str, tmp_path: Path) -> None:
    path = VARIANTS[kind](tmp_path)
    for length in (0, 10_000):
        set_tags(path, comment="x" * length)
        write(path)


def test_64_bit_offset_tables(tmp_path: Path) -> None:
    path = VARIANTS["m4a, moov first, no padding"](tmp_path)
    data = path.read_bytes()
    at = data.index(b"stco") - 4
    size, _, flags, count = struct.unpack_from(">I4sII", data, at)
    growth = 4 * count
    offsets = [offset + growth for offset in struct.unpack_from(f">{count}I", data, at + 16)]
    wide = bytearray(data)
    wide[at : at + size] = atom(b"co64", struct.pack(f">II{count}Q", flags, count, *offsets))
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        where = wide.index(name) - 4
        struct.pack_into(">I", wide, where, struct.unpack_from(">I", wide, where)[0] + growth)
    path.write_bytes(wide)
    write(path)
    assert b"co64" in path.read_bytes()


@pytest.mark.parametrize("room", [0, 1000])
def test_free_atom_behind_the_user_data_is_used(room: int, tmp_path: Path) -> None:
    path = VARIANTS["m4a, moov first, no padding"](tmp_path)
    MP4(path).save(padding=lambda info: room)
    data = bytearray(path.read_bytes())
    free = data.rindex(b"free", 0, data.index(b"mdat") - 8) - 4
    ilst_end = data.index(b"ilst") - 4 + struct.unpack_from(">I", data, data.index(b"ilst") - 4)[0]
    assert free == ilst_end
    # The same bytes, but the free atom is in the movie header, behind the user data.
    for name in (b"udta", b"meta"):
        where = data.index(name) - 4
        struct.pack_into(">I", data, where, struct.unpack_from(">I", data, where)[0] - 8 - room)
    path.write_bytes(data)
    before = path.stat()
    write(path)
    assert (path.stat().st_size == before.st_size) == bool(room)


@pytest.mark.parametrize("left", [0, 4, 8, 12])
def test_free_atom_of_about_the_needed_size(left: int, tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.m4a")
    item = 8 + 12 + len("net.sunsetglow.rose") + 12 + 16 + 36
    needed = 2 * item + len("ID") + len("RELEASEID")
    MP4(path).save(padding=lambda info: needed + left - 8)
    before = path.stat()
    write(path)
    assert (path.stat().st_size == before.st_size) == (left != 4)


def test_ids_in_any_case_are_replaced_in_mp4(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.m4a", roseid="old", rosereleaseid="old")
    path.write_bytes(path.read_bytes().replace(b"net.sunsetglow.rose", b"Net.SunsetGlow.Rose"))
    write(path)
    assert ids_in(path) == 2
    assert b"old" not in path.read_bytes()


def test_mp4_without_a_movie_header_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "01.m4a"
    path.write_bytes(atom(b"ftyp", b"M4A \0\0\0\0") + atom(b"mdat", bytes(100)))
    assert refused(path)


@pytest.mark.parametrize(
    "edit", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"x" * 99)]
)
@pytest.mark.parametrize("suffix", ["mp3", "m4a", "ogg", "opus", "flac"])
def test_what_is_no_audio_is_left_alone(suffix: str, edit: Callable[[Path], object], tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{suffix}")
    edit(path)
    assert refused(path)
