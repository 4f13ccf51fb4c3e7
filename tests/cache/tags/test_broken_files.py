"""Broken audio files: one error that says what is wrong, and never anything else."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rosecache.errors import UnreadableAudioError
from rosecache.tags import IdWrite, read_ids, read_tags, write_ids
from tests.support.audio import FIXTURES, FORMATS, PICTURE, make_track
from tests.support.sounds import decoded_md5
from tests.support.variants import VARIANTS, id3_frame, id3_tag, with_id3

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

IDS = ("018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e")


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Lets this process have 300 MB more than it has now, so that a claimed size shows when it is believed."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("format", FORMATS)
def test_empty_file(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.touch()
    with pytest.raises(UnreadableAudioError, match="empty"):
        read_tags(path)


@pytest.mark.parametrize("format", FORMATS)
def test_error_has_path_and_reason(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(b"This is not audio.")
    with pytest.raises(UnreadableAudioError) as caught:
        read_tags(path)
    assert caught.value.path == path
    assert caught.value.reason


@pytest.mark.parametrize("format", FORMATS)
def test_random_bytes(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    for seed in range(10):
        path.write_bytes(random.Random(seed).randbytes(200_000))
        with pytest.raises(UnreadableAudioError):
            read_tags(path)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("head", [8, 40, 200])
def test_file_cut_off_in_its_tags(format: str, head: int, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", comment="x" * 2000)
    path.write_bytes(path.read_bytes()[:head])
    with pytest.raises(UnreadableAudioError):
        read_tags(path)


@pytest.mark.parametrize("wrong", FORMATS)
@pytest.mark.parametrize("format", FORMATS)
def test_wrong_suffix(format: str, wrong: str, tmp_path: Path) -> None:
    if format == wrong or (format, wrong) == ("opus", "ogg"):
        assert read_tags(make_track(tmp_path / f"01.{format}").rename(tmp_path / f"02.{wrong}"))
        return
    path = make_track(tmp_path / f"01.{format}").rename(tmp_path / f"02.{wrong}")
    with pytest.raises(UnreadableAudioError):
        read_tags(path)


@pytest.mark.parametrize("kind", VARIANTS)
def test_damage_anywhere_is_one_kind_of_error(kind: str, tmp_path: Path) -> None:
    path = VARIANTS[kind](tmp_path)
    whole = path.read_bytes()
    chance = random.Random(kind)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            data[chance.randrange(min(len(data), 3000))] = chance.choice(
                (0, 1, 127, 128, 255, chance.randrange(256))
            )
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        with contextlib.suppress(UnreadableAudioError), little_memory():
            read_tags(path)


@pytest.mark.parametrize("kind", VARIANTS)
def test_damaged_file_gets_its_ids_or_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    path = VARIANTS[kind](tmp_path)
    whole = path.read_bytes()
    chance = random.Random(kind)
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            data[chance.randrange(min(len(data), 3000))] = chance.choice(
                (0, 1, 127, 128, 255, chance.randrange(256))
            )
        path.write_bytes(data)
        with little_memory():
            problems = write_ids(tmp_path, [IdWrite(path, *IDS)])
        assert os.listdir(tmp_path) == [path.name]
        if problems:
            assert path.read_bytes() == data
        else:
            assert read_ids(path) == IDS


def test_claimed_sizes_are_not_believed(tmp_path: Path) -> None:
    huge = 2**31 - 1
    flac = (FIXTURES / "silence.flac").read_bytes()
    streaminfo = b"fLaC" + bytes([0]) + flac[5:42]
    (tmp_path / "1.flac").write_bytes(streaminfo + b"\x84\xff\xff\xff" + struct.pack("<I", huge) + b"x" * 64)
    (tmp_path / "2.mp3").write_bytes(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"TIT2" + b"x" * 64)
    (tmp_path / "3.m4a").write_bytes(
        b"\0\0\0\x10ftypM4A \0\0\0\0"
        + struct.pack(">I4s", huge, b"moov")
        + struct.pack(">I4s", huge, b"udta")
    )
    for path in tmp_path.iterdir():
        with little_memory(), pytest.raises(UnreadableAudioError):
            read_tags(path)


def test_atoms_nested_without_end(tmp_path: Path) -> None:
    path = tmp_path / "01.m4a"
    nested = b"".join(struct.pack(">I4s", 8 * (50_000 - level), b"moov") for level in range(50_000))
    path.write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0" + nested)
    with pytest.raises(UnreadableAudioError):
        read_tags(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "01.mp3"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableAudioError, match="regular file"):
        read_tags(pipe)
    (tmp_path / "02.mp3").mkdir()
    with pytest.raises(UnreadableAudioError, match="regular file"):
        read_tags(tmp_path / "02.mp3")


@pytest.mark.parametrize("format", FORMATS)
def test_disk_that_fails_is_the_systems_error(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library on a failing disk is not a library of broken files."""
    path = make_track(tmp_path / f"01.{format}", comment="x" * 5000)

    class FailingDisk(io.FileIO):
        reads = 0

        def readinto(self, buffer: WriteableBuffer, /) -> int:
            self.reads += 1
            if self.reads > 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().readinto(memoryview(buffer)[:4096]) or 0

        def readall(self) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(io, "FileIO", FailingDisk)
    with pytest.raises(OSError, match="Input/output error") as caught:
        read_tags(path)
    assert caught.value.errno == errno.EIO


def test_file_that_is_gone_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_tags(tmp_path / "01.mp3")


def test_cut_off_audio_still_has_its_tags(tmp_path: Path) -> None:
    for format in FORMATS:
        path = make_track(tmp_path / f"01.{format}", picture=PICTURE)
        path.write_bytes(path.read_bytes()[:-500])
        if format != "m4a":  # whose tags are at the end
            assert read_tags(path).tracktitle == "Track"


def test_junk_before_the_audio_of_an_mp3_does_not_hide_it(tmp_path: Path) -> None:
    path = with_id3(tmp_path, id3_tag(3, id3_frame(3, b"TIT2", b"\0Title")) + bytes(5000))
    assert read_tags(path).tracktitle == "Title"
    assert write_ids(tmp_path, [IdWrite(path, *IDS)]) == []
    assert read_ids(path) == IDS
    assert decoded_md5(path)
