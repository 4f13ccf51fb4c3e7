"""What a library is on the disk, file by file, so that what two processes made of the same start can be compared.

Two processes that do the same give other ids and other times to what is new. So these are called by what they belong
to; what was there at the start keeps its own.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rosecache.tags import is_audio
from tests.support.library import ids_on_disk
from tests.support.soundness import Home

_DATAFILE = re.compile(r"\.rose\.([0-9a-f-]{36})\.toml")
_TIME = re.compile(rb'"(\d{4}-\d\d-\d\dT[^"]+)"')


@dataclass(frozen=True)
class Start:
    """What there was before anything was done.

    Attributes:
        ids: All ids of releases and tracks.
        time: When nothing had been done yet, in seconds since 1970.
    """

    ids: frozenset[str]
    time: float


def release_ids(directory: Path) -> dict[str, str]:
    """Returns the id in the name of every datafile below a directory, by the relative path of its release."""
    return {
        str(path.parent.relative_to(directory)): match[1]
        for path in sorted(directory.rglob(".rose.*.toml"))
        if (match := _DATAFILE.fullmatch(path.name))
    }


def all_ids(*directories: Path) -> set[str]:
    """Returns all ids of releases and tracks below some directories."""
    found: set[str] = set()
    for directory in directories:
        found.update(release_ids(directory).values())
        found.update(identifier for identifier in ids_on_disk(directory).values() if identifier is not None)
    return found


def portrait(home: Home, start: Start) -> dict[str, bytes]:
    """Returns all files of the source and of what is to arrive, and all directories, by their paths.

    Everything is byte by byte what it is, but for ids that were not there at the start, and for the times in
    datafiles of such ids, if they are later than the start.
    """
    tops = (home.source, home.incoming)
    names = {}
    for top in tops:
        names.update({each: f"track {path}" for path, each in ids_on_disk(top).items() if each is not None})
        names.update({each: f"release {path}" for path, each in release_ids(top).items()})
    new = {
        identifier.encode(): str(uuid.uuid5(uuid.NAMESPACE_URL, name)).encode()
        for identifier, name in names.items()
        if identifier not in start.ids
    }
    found = {}
    for top in tops:
        for path in (top, *sorted(top.rglob("*"))):
            shown = os.fsdecode(_renamed(os.fsencode(path.relative_to(home.top)), new))
            found[shown] = b"a directory" if path.is_dir() else _content(path, new, start)
    return found


def _content(path: Path, new: Mapping[bytes, bytes], start: Start) -> bytes:
    data = path.read_bytes()
    if is_audio(path.name) and data.startswith(b"OggS") and any(identifier in data for identifier in new):
        data = _without_sums(data)
    if (match := _DATAFILE.fullmatch(path.name)) and match[1] not in start.ids:
        data = _TIME.sub(lambda time: b'"lately"' if _is_since(time[1], start) else time[0], data)
    return _renamed(data, new)


def _renamed(data: bytes, new: Mapping[bytes, bytes]) -> bytes:
    for identifier, name in new.items():
        data = data.replace(identifier, name)
    return data


def _is_since(text: bytes, start: Start) -> bool:
    return datetime.fromisoformat(text.decode()).timestamp() >= int(start.time)


def _without_sums(data: bytes) -> bytes:
    """Returns an Ogg file without the sums of its pages, which go by the ids."""
    found, at = bytearray(data), 0
    while at < len(data):
        found[at + 22 : at + 26] = bytes(4)
        segments = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(segments) + sum(segments)
    return bytes(found)


def unit_of(path: str) -> str:
    """Returns the release, or the directory of lists, that a path of a portrait belongs to."""
    return "/".join(path.split("/")[:2])


def difference(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
    """Returns by path what is there and what should be, where that differs."""
    return {
        path: (found.get(path, b"")[:300], wanted.get(path, b"")[:300])
        for path in sorted(found.keys() | wanted.keys())
        if found.get(path) != wanted.get(path)
    }


def mixed_parts(
    found: Mapping[str, bytes], before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> dict[str, dict[str, tuple[bytes, bytes]]]:
    """Returns by release what is neither as it was before nor as it is afterwards."""

    def part(portrait: Mapping[str, bytes], unit: str) -> dict[str, bytes]:
        return {path: content for path, content in portrait.items() if unit_of(path) == unit}

    return {
        unit: difference(part(found, unit), part(after, unit))
        for unit in sorted(set(map(unit_of, (*found, *before, *after))))
        if part(found, unit) not in (part(before, unit), part(after, unit))
    }
