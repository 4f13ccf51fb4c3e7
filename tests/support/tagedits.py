"""Editing tags in a test: changes of every field, and what every such test makes sure of."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rosecache.errors import TagWriteError
from rosecache.model import Artist, ArtistMapping, PartialDate
from rosecache.tags import UNCHANGED, AudioTags, TagChanges, read_tags, write_tags
from tests.support.sounds import sounding_the_same


def artists(*names: str) -> tuple[Artist, ...]:
    return tuple(map(Artist, names))


FULL = AudioTags(
    id="018b6514-6fb7-7cc6-9d23-8eaf0b1beee8",
    release_id="018b268e-ef68-7180-a01e-19bc3fdf970e",
    tracktitle="Ein Lied; und / noch eins",
    tracknumber="7",
    discnumber="2",
    releasetitle="日本の歌 \U0001f3b5",
    releasetype="ep",
    releasedate=PartialDate(1990, 2, 3),
    originaldate=PartialDate(1980, 12, 31),
    compositiondate=PartialDate(1787),
    genres=("K-Pop", "Chanson française"),
    secondary_genres=("Jazz",),
    descriptors=("warm", "dense"),
    labels=("Één", "Two"),
    catalognumber="CAT 1",
    edition="Deluxe ÿ",
    releaseartists=ArtistMapping(main=artists("X", "Y"), djmixer=artists("Z")),
    trackartists=ArtistMapping(
        main=artists("Björk", "X"),
        guest=artists("G"),
        remixer=artists("R"),
        producer=artists("P", "Q"),
        composer=artists("C"),
        conductor=artists("L"),
        djmixer=artists("D"),
    ),
    duration_seconds=1,
)
"""A value for every field."""

NOTHING = AudioTags(
    id=None, release_id=None, tracktitle=None, tracknumber="1", discnumber="1", releasetitle=None,
    releasetype="unknown", releasedate=None, originaldate=None, compositiondate=None, genres=(),
    secondary_genres=(), descriptors=(), labels=(), catalognumber=None, edition=None,
    releaseartists=ArtistMapping(), trackartists=ArtistMapping(), duration_seconds=1,
)  # fmt: skip
"""What a file without any field of the table says."""

FIELDS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(TagChanges))


def putting(tags: AudioTags, *fields: str) -> TagChanges:
    """Returns the changes that put what some tags say into some fields, or into all."""
    return TagChanges(**{field: getattr(tags, field) for field in fields or FIELDS})


def removing(*fields: str) -> TagChanges:
    """Returns the changes that remove some fields, or all."""
    empty: dict[str, Any] = {
        field: value if isinstance(value := getattr(NOTHING, field), tuple | ArtistMapping) else None
        for field in fields or FIELDS
    }
    return TagChanges(**empty)


def edit(path: Path, changes: TagChanges) -> None:
    """Writes changes, and makes sure that they are there, the audio is what it was, and nothing is left."""
    before, names = read_tags(path), os.listdir(path.parent)
    with sounding_the_same(path):
        write_tags(path, changes)
    assert os.listdir(path.parent) == names
    assert read_tags(path) == changed(before, changes)


def changed(tags: AudioTags, changes: TagChanges) -> AudioTags:
    """Returns what tags say after changes of values that need no cleaning."""
    wanted = {field: value for field in FIELDS if (value := getattr(changes, field)) is not UNCHANGED}
    return msgspec.structs.replace(
        tags,
        **{field: getattr(NOTHING, field) if value is None else value for field, value in wanted.items()},
    )


def refused(path: Path, changes: TagChanges) -> str:
    """Tries to write, makes sure that the file is as it was and nothing is left over, and returns the reason."""
    before, status, names = path.read_bytes(), path.stat(), os.listdir(path.parent)
    with pytest.raises(TagWriteError) as caught:
        write_tags(path, changes)
    after = path.stat()
    assert path.read_bytes() == before
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (
        status.st_ino,
        status.st_mtime_ns,
        status.st_mode,
    )
    assert os.listdir(path.parent) == names
    assert caught.value.path == path
    return caught.value.reason
