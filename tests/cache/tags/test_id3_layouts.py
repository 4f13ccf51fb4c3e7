"""Unusual ID3 tags: ids go in without harm, or the file is left alone with a reason."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from mutagen.id3 import ID3

from tests.support.audio import FIXTURES
from tests.support.idwrites import TRACK, refused, write
from tests.support.rawtags import id3_frames
from tests.support.variants import id3_frame, id3_tag, with_id3

TITLE = {2: b"TT2", 3: b"TIT2", 4: b"TIT2"}
USER = {2: b"TXX", 3: b"TXXX", 4: b"TXXX"}
AUDIO = (FIXTURES / "silence.mp3").read_bytes()


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
