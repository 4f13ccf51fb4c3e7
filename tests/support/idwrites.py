"""Writing ids in a test, with what every such test makes sure of."""

from __future__ import annotations

from pathlib import Path

from rosecache.tags import IdWrite, read_ids, write_ids
from tests.support.sounds import sounding_the_same

TRACK, RELEASE = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e"


def write(path: Path, track: str = TRACK, release: str = RELEASE) -> None:
    """Writes ids, and makes sure that they are there and the audio is what it was."""
    with sounding_the_same(path):
        put_ids(path, track, release)


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
