"""Unusual ways in which files are built: ids go in without harm, or the file is left alone with a reason."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from mutagen.flac import FLAC
from mutagen.id3 import ID3
from mutagen.mp4 import MP4
from mutagen.ogg import OggPage

from rosecache.tags import IdWrite, read_ids, read_tags, write_ids
from tests.support.audio import FIXTURES, PICTURE, decoded_md5, make_track, set_tags
from tests.support.rawtags import audio_packets, comments, id3_frames, ids_in, other_tags, pages
from tests.support.variants import VARIANTS, id3_frame, id3_tag, with_id3

TRACK, RELEASE = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e"
TITLE = {2: b"TT2", 3: b"TIT2", 4: b"TIT2"}
USER = {2: b"TXX", 3: b"TXXX", 4: b"TXXX"}
AUDIO = (FIXTURES / "silence.mp3").read_bytes()


def write(path: Path, track: str = TRACK, release: str = RELEASE) -> None:
    """Writes ids, and makes sure that they are there and the audio is what it was."""
    audio = decoded_md5(path), audio_packets(path)
    put_ids(path, track, release)
    assert (decoded_md5(path), audio_packets(path)) == audio


def put_ids(path: Path, track: str = TRACK, release: str = RELEASE) -> None:
    assert write_ids(path.parent, [IdWrite(path, track, release)]) == []
    assert read_ids(path) == (track, release)


def refused(path: Path) -> str:
    """Tries to write ids, makes sure that the file is as it was, and returns the reason."""
    before = path.read_bytes()
    (problem,) = write_ids(path.parent, [IdWrite(path, TRACK, RELEASE)])
    assert path.read_bytes() == before
    assert problem.path == path
    return problem.reason


# ID3


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("padding", [0, 50, 1000])
def test_id_frames_go_behind_the_others_and_unknown_ones_stay(
    version: int, padding: int, tmp_path: Path
) -> None:
    odd = {2: b"ZZZ", 3: b"ZZZZ", 4: b"ZZZZ"}[version]
    frames = [id3_frame(version, odd, b"\xff\xfe?"), id3_frame(version, TITLE[version], b"\0Title")]
    path = with_id3(tmp_path, id3_tag(version, b"".join(frames), padding=padding))
    write(path)
    found = id3_frames(path.read_bytes())
    assert found[:2] == frames
    assert [raw[:4].rstrip(b"\0") for raw in found[2:4]] == [USER[version]] * 2
    assert found[4] == AUDIO


@pytest.mark.parametrize("version", [2, 3, 4])
def test_ids_in_any_case_are_replaced_once(version: int, tmp_path: Path) -> None:
    frames = b"".join(
        id3_frame(version, USER[version], content)
        for content in (
            b"\0RoseId\0old",
            b"\x01\xff\xfe" + "ROSEID\0".encode("utf-16-le") + b"\xff\xfe" + "old".encode("utf-16-le"),
            b"\0OTHER\0kept",
            b"\0rosereleaseid\0old",
        )
    )
    path = with_id3(tmp_path, id3_tag(version, frames, padding=10))
    write(path)
    assert b"old" not in path.read_bytes()
    assert path.read_bytes().upper().count(b"ROSEID") == 1
    assert id3_frame(version, USER[version], b"\0OTHER\0kept") in id3_frames(path.read_bytes())


def test_an_id_that_says_the_same_in_another_encoding_stays(tmp_path: Path) -> None:
    text = b"\x01\xff\xfe" + "ROSEID\0".encode("utf-16-le") + b"\xff\xfe" + TRACK.encode("utf-16-le")
    frame = id3_frame(3, b"TXXX", text)
    path = with_id3(tmp_path, id3_tag(3, frame, padding=500))
    write(path)
    assert frame in path.read_bytes()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("padding", [0, 1000])
def test_unsynchronised_tag_stays_so(version: int, padding: int, tmp_path: Path) -> None:
    content = b"\0x\0" + bytes([0xFF, 0xE0, 0xFF, 0x00, 0xFF])
    plain = id3_frame(version, {2: b"ZZZ", 3: b"ZZZZ"}[version], content)
    raw = plain.replace(b"\xff", b"\xff\0")
    path = with_id3(tmp_path, id3_tag(version, raw, flags=0x80, padding=padding))
    write(path)
    assert path.read_bytes()[10:].startswith(raw + USER[version])
    assert path.read_bytes()[5] == 0x80


def test_unsynchronised_frames_of_version_24(tmp_path: Path) -> None:
    frame = id3_frame(4, b"TXXX", b"\x01\xff\0\xfeR\0O\0S\0E\0I\0D\0\0\0\xff\0\xfeo\0l\0d\0", flags=0x02)
    path = with_id3(tmp_path, id3_tag(4, frame, flags=0x80, padding=300))
    write(path)
    assert frame not in path.read_bytes()


def test_footer_of_version_24(tmp_path: Path) -> None:
    frames = id3_frame(4, b"TIT2", b"\0Title")
    tag = id3_tag(4, frames, flags=0x10)
    path = with_id3(tmp_path, tag + b"3DI" + tag[3:10])
    write(path)
    data = path.read_bytes()
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    assert data[10 + size : 20 + size] == b"3DI" + data[3:10]
    assert data[20 + size :] == AUDIO
    assert not data[10 : 10 + size].endswith(b"\0")  # a tag with a footer has no padding


def test_extended_header_of_version_23_counts_the_padding(tmp_path: Path) -> None:
    extended = struct.pack(">IHI", 6, 0, 500)
    path = with_id3(
        tmp_path, id3_tag(3, extended + id3_frame(3, b"TIT2", b"\0Title"), flags=0x40, padding=500)
    )
    write(path)
    frames = 2 * 10 + 2 * 38 + len("ROSEID") + len("ROSERELEASEID")
    assert path.read_bytes()[10:20] == struct.pack(">IHI", 6, 0, 500 - frames)
    assert ID3(path)["TIT2"] == "Title"


def test_extended_header_of_version_24_stays(tmp_path: Path) -> None:
    extended = b"\0\0\0\x06\x01\0"
    path = with_id3(tmp_path, id3_tag(4, extended + id3_frame(4, b"TIT2", b"\0Title"), flags=0x40))
    write(path)
    assert path.read_bytes()[10:16] == extended
    assert ID3(path)["TIT2"] == "Title"


@pytest.mark.parametrize(
    ("version", "extended"),
    [(3, struct.pack(">IHII", 10, 0x8000, 0, 1)), (4, b"\0\0\0\x0c\x01\x20\x05" + bytes(5))],
)
def test_tag_with_a_checksum_is_left_alone(version: int, extended: bytes, tmp_path: Path) -> None:
    frame = id3_frame(version, b"TIT2", b"\0Title")
    path = with_id3(tmp_path, id3_tag(version, extended + frame, flags=0x40, padding=500))
    assert "checksum" in refused(path)


def test_plain_sizes_in_version_24(tmp_path: Path) -> None:
    """Old iTunes wrote them so."""
    long = b"TXXX" + struct.pack(">IH", 300, 0) + b"\0LONG\0" + b"x" * 294
    frames = long + id3_frame(4, b"TIT2", b"\0Title") + id3_frame(4, b"TALB", b"\0Album")
    path = with_id3(tmp_path, id3_tag(4, frames, padding=500))
    write(path)
    assert path.read_bytes()[10:].startswith(frames + b"TXXX")


def test_what_is_neither_frame_nor_padding_stays(tmp_path: Path) -> None:
    frame, junk = id3_frame(3, b"TIT2", b"\0Title"), b"\x01\x02junk at the end of a tag"
    path = with_id3(tmp_path, id3_tag(3, frame + junk))
    write(path)
    assert frame in path.read_bytes()
    assert junk in path.read_bytes()


def test_tags_at_the_end_of_an_mp3_stay(tmp_path: Path) -> None:
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0xA0000000) + bytes(8)
    id3v1 = (b"TAG" + b"Title".ljust(30, b"\0")).ljust(128, b"\0")
    path = with_id3(tmp_path, b"", ape + id3v1)
    write(path)
    assert path.read_bytes().endswith(AUDIO + ape + id3v1)


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
