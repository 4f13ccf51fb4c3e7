"""Tags that are far too much, and files damaged by chance: computing and memory stay small, and the reason is told.

Each file is read and written by a process of its own, which is measured. The long form is ``scripts/torture``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from rosecache.composing import compose
from rosecache.errors import UnreadableAudioError
from rosecache.tags import read_tags
from rosecache.tags.sparing import sparing
from tests.support import targets
from tests.support.audio import FORMATS, PICTURE
from tests.support.breaking import HEAVY, audio_with, mutated
from tests.support.probing import MOST_SECONDS_TO_WRITE, Probe
from tests.support.variants import KINDS, VARIANTS, id3_frame, id3_tag, with_id3


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Probe() as running:
        yield running


@pytest.mark.parametrize("kind", HEAVY)
@pytest.mark.parametrize("format", FORMATS)
def test_tags_that_are_far_too_much(format: str, kind: str, probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(audio_with(format, HEAVY[kind](2**24 - 4096 if format == "flac" else 2**28 - 4096)))
    assert probe.measure(targets.read_audio, path).complaints() == []


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_refused_is_refused_to_writers_too(format: str, probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(audio_with(format, HEAVY["200,000 fields"](2**24 - 4096)))
    measured = probe.measure(targets.write_audio, path)
    assert measured.complaints(seconds=MOST_SECONDS_TO_WRITE) == []
    assert measured.result is False


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_like_that_and_not_too_much_is_written_to(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(audio_with(format, [(b"title", b"A title")]))
    assert targets.write_audio(path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_field_that_nobody_could_show_is_too_much(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(audio_with(format, [(b"title", b"x" * 2**20), (b"album", b"y")]))
    with pytest.raises(UnreadableAudioError, match="its fields hold more than 1 MiB of text"):
        read_tags(path)
    path.write_bytes(audio_with(format, [(b"title", b"x" * 2**20), (b"comment", b"y" * 2**22)]))
    assert read_tags(path).tracktitle == "x" * 2**20


@pytest.mark.parametrize("format", FORMATS)
def test_ten_thousand_artists_are_read(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(audio_with(format, HEAVY["ten thousand artists"](2**24)))
    assert len(read_tags(path).trackartists.main) == 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_files_damaged_by_chance(kind: str, probe: Probe, tmp_path: Path) -> None:
    path = VARIANTS[kind](tmp_path)
    whole = path.read_bytes()
    chance = random.Random(kind)
    for number in range(25):
        path.write_bytes(mutated(whole, chance))
        assert probe.measure(targets.read_audio, path).complaints() == [], number
        written = probe.measure(targets.write_audio, path)
        assert written.complaints(seconds=MOST_SECONDS_TO_WRITE) == [], number


def test_a_tag_of_many_chapters_and_pictures_is_read(probe: Probe, tmp_path: Path) -> None:
    picture = id3_frame(4, b"APIC", b"\0image/png\0\3\0" + PICTURE + bytes(80_000))
    frames = b"".join(id3_frame(4, b"PRIV", b"%d\0" % number) + picture for number in range(300))
    path = with_id3(
        tmp_path, id3_tag(4, id3_frame(4, b"TIT2", b"\0Front") + frames + id3_frame(4, b"TALB", b"\0Back"))
    )
    tags = read_tags(path)
    assert (tags.tracktitle, tags.releasetitle) == ("Front", "Back")
    measured = probe.measure(targets.read_audio, path)
    assert measured.complaints() == []


def test_marks_on_a_letter_are_composed_and_a_million_of_them_take_no_age(probe: Probe) -> None:
    assert compose("e\u0301" * 5000) == "é" * 5000
    assert compose("x" * 1023 + "e\u0301") == "x" * 1023 + "é"
    assert probe.measure(compose, "a" + "\u0301\u0316" * 300_000).complaints() == []


def test_readers_are_told_the_position_that_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 300)

    def positions(file: BinaryIO) -> list[int]:
        moves: list[Callable[[], object]] = [
            lambda: file.read(10), lambda: file.seek(-4, os.SEEK_END), lambda: file.read(100), lambda: file.seek(5),
            lambda: file.seek(7, os.SEEK_CUR), lambda: file.read(50_000), lambda: file.read(),
        ]  # fmt: skip
        return [file.tell() for move in moves if move() is not None]

    with path.open("rb") as sparingly, path.open("rb") as plainly:
        assert sparing(positions)(sparingly) == positions(plainly)
