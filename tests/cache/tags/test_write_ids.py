"""Writing ids, on every kind of file: the two ids change and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

import mutagen
import pytest
from mutagen.id3 import ID3

from rosecache.tags import IdWrite, read_ids, read_tags, recover, write_ids
from tests.conftest import skip_or_fail
from tests.support.rawtags import ids_in, other_tags
from tests.support.sounds import sounding_the_same
from tests.support.variants import VARIANTS, without_padding

TRACK, RELEASE = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e"


@pytest.fixture(params=VARIANTS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return VARIANTS[request.param](tmp_path)


def write(path: Path, track: str = TRACK, release: str = RELEASE) -> None:
    assert write_ids(path.parent, [IdWrite(path, track, release)]) == []


def tags_by_mutagen(path: Path) -> dict[str, str]:
    tags = mutagen.File(path).tags or {}
    ids = ("ROSEID", "ROSERELEASEID", "ROSE:ID", "ROSE:RELEASEID")
    return {key: repr(tags[key]) for key in sorted(tags.keys()) if not key.upper().endswith(ids)}


def test_ids_are_read_back(path: Path) -> None:
    write(path)
    assert read_ids(path) == (TRACK, RELEASE)


def test_every_other_tag_keeps_its_bytes(path: Path) -> None:
    before = other_tags(path), tags_by_mutagen(path)
    write(path)
    assert (other_tags(path), tags_by_mutagen(path)) == before


def test_everything_else_reads_as_before(path: Path) -> None:
    before = read_tags(path)
    write(path)
    after = read_tags(path)
    for field in before.__struct_fields__:
        if field not in ("id", "release_id"):
            assert getattr(after, field) == getattr(before, field), field


def test_audio_stays_the_same(path: Path) -> None:
    with sounding_the_same(path):
        write(path)


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("end", ["", ", no padding"])
def test_version_of_an_id3_tag_stays(version: int, end: str, tmp_path: Path) -> None:
    path = VARIANTS[f"mp3, ID3v2.{version}{end}"](tmp_path)
    write(path)
    assert ID3(path).version == (2, version, 0)


def test_writing_the_same_again_changes_no_byte(path: Path) -> None:
    write(path)
    before, status = path.read_bytes(), path.stat()
    write(path)
    assert path.read_bytes() == before
    assert path.stat().st_ctime_ns == status.st_ctime_ns


def test_other_ids_replace_the_ones_there(path: Path) -> None:
    write(path)
    others, size = other_tags(path), path.stat().st_size
    write(path, RELEASE, TRACK)
    assert read_ids(path) == (RELEASE, TRACK)
    assert ids_in(path) == 2
    assert (other_tags(path), path.stat().st_size) == (others, size)


def test_replacing_needs_no_padding(path: Path) -> None:
    write(path)
    without_padding(path)
    before = path.stat()
    write(path, RELEASE, TRACK)
    assert read_ids(path) == (RELEASE, TRACK)
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)


def test_times_mode_and_attributes_stay(path: Path) -> None:
    os.utime(path, ns=(1_000_000_001, 2_000_000_003))
    path.chmod(0o640)
    try:
        os.setxattr(path, "user.mood", b"calm")
    except OSError:
        skip_or_fail("no extended attributes on this disk")
    write(path)
    status = path.stat()
    assert (status.st_mtime_ns, status.st_atime_ns) == (2_000_000_003, 1_000_000_001)
    assert status.st_mode & 0o7777 == 0o640
    assert os.getxattr(path, "user.mood") == b"calm"


def test_nothing_is_left_over(path: Path) -> None:
    names = os.listdir(path.parent)
    write(path)
    assert os.listdir(path.parent) == names
    assert recover(path.parent) == []
