"""What is read in a shorter way than mutagen's says the same: frames of ID3 tags, and Vorbis comments."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mutagen import MutagenError
from mutagen.flac import FLAC
from mutagen.id3 import TIT2, Frames
from mutagen.mp4 import MP4, MP4Tags

from rosecache.errors import UnreadableAudioError
from rosecache.tags.id3_quick import QUICK_FRAMES
from rosecache.tags.reading import BROKEN_FILE_ERRORS, read_raw
from tests.support.audio import make_track

TEXTS = [
    b"", b"\0", b"\0\0", b"a", b"a\0", b"a\0\0", b"\0a", b"a\0b", b"a\0b\0", b"a\0\0b", b"\xc3\xa9", b"\xc3",
    b"\xff\xfe",
    b"\xff\xfea\0", b"\xff\xfea\0\0\0", b"\xff\xfea\0\0\0\0\0", b"\xff\xfea\0\0\0b\0", b"\xff\xfea\0\0", b"\xfe\xff\0a",
    b"\xfe\xff\0a\0\0", b"\xff\xfe\0\0", b"\xff\xfe=\xd8\0\xde", b"\xff\xfe=\xd8", b"\xff\xfe\0\xde\0\0", b"\0a",
    b"a\0\0\0",
    b"\xff\xfea\0\0\0\xff\xfeb\0", b"1/2", b"2001-02-03\0", b"(17)Rock\0Pop", b"eng\0text", b"engd\0text\0", b"D\0\0\0",
]  # fmt: skip
DATA = [b"", *(bytes([encoding]) + text for encoding in (0, 1, 2, 3, 4, 255) for text in TEXTS)]


def outcome(frame: Any, version: int, data: bytes) -> object:
    """Returns what a frame holds when it was read, or how that failed."""
    header = SimpleNamespace(version=(2, version, 0), _V24=(2, 4, 0), _V23=(2, 3, 0), f_unsynch=False)
    header.known_frames = Frames
    try:
        made = frame._fromData(header, 0, data)
    except BROKEN_FILE_ERRORS as error:
        return type(error), str(error)
    return made.FrameID, made.HashKey, repr(made), {name: type(value) for name, value in vars(made).items()}


@pytest.mark.parametrize("version", [3, 4])
def test_frames_that_hold_texts(version: int) -> None:
    names = [
        name for name in Frames if name.startswith("T") or name in ("COMM", "USLT", "MVNM", "GRP1", "IPLS")
    ]
    assert len(names) > 60
    for name in names:
        for data in DATA:
            assert outcome(QUICK_FRAMES[name], version, data) == outcome(Frames[name], version, data)


def test_every_other_frame_that_holds_what_it_should_not() -> None:
    for name in Frames:
        for data in DATA[::3]:
            assert outcome(QUICK_FRAMES[name], 4, data) == outcome(Frames[name], 4, data)


def test_frames_can_still_be_made() -> None:
    assert repr(QUICK_FRAMES["TIT2"](encoding=3, text=["x"])) == repr(TIT2(encoding=3, text=["x"]))


COMMENTS = [
    b"TITLE=x", b"title=y", b"no value", b"=no name", b"a=", b"A\xc3\x89=v", b"t\xff=\xff\xfe", b"ti~tle=x",
    b"ti}tle=x",
    b"ti\x1ftle=x", b"a b=c", b"", b"ARTIST=a=b", "ARTIST=é😀".encode(), b"x\n=y", b"date=2001",
]  # fmt: skip


def with_comments(flac: bytes, comments: list[bytes], count: int) -> bytes:
    """Returns a FLAC file with these comments, and what it says of their number."""
    body = struct.pack("<I1sI", 1, b"v", count) + b"".join(
        struct.pack("<I", len(each)) + each for each in comments
    )
    info = flac[4:42]
    return b"fLaC" + bytes([info[0] & 127]) + info[1:] + b"\x84" + struct.pack(">I", len(body))[1:] + body


def said(read: Callable[[], Any]) -> object:
    try:
        found: dict[str, list[str]] = {}
        for name, text in read():
            found.setdefault(name.upper(), []).append(text)
    except (MutagenError, struct.error) as error:
        return str(error)
    return found


@pytest.mark.parametrize("further", [-1, 0, 1, 2**31])
@pytest.mark.parametrize("kept", [*([each] for each in COMMENTS), COMMENTS, []])
def test_vorbis_comments(kept: list[bytes], further: int, tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    data = with_comments(path.read_bytes(), kept, max(0, len(kept) + further))
    path.write_bytes(data)
    try:
        ours: object = read_raw(path).values
    except UnreadableAudioError as error:
        ours = error.reason
    assert ours == said(lambda: FLAC(BytesIO(data)).tags)


def test_mp4_tags_are_not_written_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_track(tmp_path / "01.m4a", comment="hello")
    expected: Any = MP4(path).tags
    monkeypatch.setattr(MP4Tags, "_render", lambda *_: pytest.fail("it was written"))
    assert read_raw(path).values["\xa9NAM"] == expected["\xa9nam"]


def test_a_tag_of_an_old_version_is_read_as_before(tmp_path: Path) -> None:
    frames = b"TT2\0\0\x06\0title" + b"TRK\0\0\x04\x003/4"
    path = make_track(tmp_path / "01.mp3")
    audio = path.read_bytes()
    audio = audio[audio.index(b"\xff\xfb") :]
    path.write_bytes(b"ID3\x02\0\0\0\0\0" + bytes([len(frames)]) + frames + audio)
    assert read_raw(path).values == {"TIT2": ["title"], "TRCK": ["3/4"]}
