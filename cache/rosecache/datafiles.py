"""The TOML files of a library: release datafiles, collages and playlists.

Reading is by the standard library; what is written back keeps comments, order and unknown keys. Every file
is replaced whole: written beside itself, flushed, renamed. Nothing here takes locks, that is its callers'.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from rosecache.errors import InvalidDatafileError
from rosecache.temporary import TEMPORARY_PREFIX

_DATAFILE = re.compile(rb"\.rose\.([0-9a-fA-F-]{32,36})\.toml")

ListKey = Literal["releases", "tracks"]
"""The name of the array in a collage, and in a playlist."""


def datafile_name(release_id: str) -> str:
    """Returns the file name of a release's datafile."""
    return f".rose.{release_id}.toml"


def parse_datafile_name(name: bytes) -> str | None:
    """Returns the release id in a datafile's name, as canonical text; None for any other name."""
    matched = _DATAFILE.fullmatch(name)
    if matched is None:
        return None
    return _canonical(matched.group(1).decode("ascii"))


def _canonical(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file whole: after a crash there is the old one or the new one.

    The mode of a file that is replaced is kept. Raises OSError, and leaves the old file.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.urandom(6).hex()}.toml")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
    )
    try:
        with open(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, path.stat().st_mode & 0o7777)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@dataclass(frozen=True, slots=True)
class ReleaseDatafile:
    """What a release datafile says; None where it says nothing."""

    new: bool | None = None
    added_at: str | None = None
    tracks: Mapping[str, str] = field(default_factory=dict)
    """Track ids by path below the release directory, for libraries whose audio files are never written."""


def read_release_datafile(path: Path) -> ReleaseDatafile:
    """Reads a release datafile.

    Raises:
        InvalidDatafileError: It is not TOML, or a value has the wrong type.
        OSError: It cannot be read.
    """
    values = _parse(path)
    new, added_at, tracks = values.get("new"), values.get("added_at"), values.get("tracks", {})
    if new is not None and not isinstance(new, bool):
        raise InvalidDatafileError(path, f"new: expected true or false, not {new!r}")
    if added_at is not None and not isinstance(added_at, str):
        if not hasattr(added_at, "isoformat"):
            raise InvalidDatafileError(path, f"added_at: expected a date and time, not {added_at!r}")
        added_at = added_at.isoformat()
    if not isinstance(tracks, dict) or not all(isinstance(value, str) for value in tracks.values()):
        raise InvalidDatafileError(path, "tracks: expected a table of ids by path")
    ids = {name: _canonical(value) for name, value in tracks.items()}
    # As in a tag, what is no UUID is no id.
    return ReleaseDatafile(new, added_at, {name: found for name, found in ids.items() if found is not None})


def write_release_datafile(path: Path, values: ReleaseDatafile) -> None:
    """Sets a datafile's keys to those values that are not None; makes the file if there is none.

    Of the table of tracks exactly the given ids are left. Everything else in the file stays. Raises as
    :func:`read_release_datafile` does.
    """
    import tomlkit  # slow to import, and most updates write no datafile

    document = tomlkit.parse(_read_text(path)) if path.exists() else tomlkit.document()
    if values.new is not None:
        document["new"] = values.new
    if values.added_at is not None:
        document["added_at"] = values.added_at
    if not values.tracks:
        document.pop("tracks", None)
    else:
        table: Any = document.setdefault("tracks", tomlkit.table())
        for name in [name for name in table if name not in values.tracks]:
            del table[name]
        for name, identifier in values.tracks.items():
            if table.get(name) != identifier:
                table[name] = identifier
    write_atomically(path, tomlkit.dumps(document).encode())


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a collage (a release) or a playlist (a track)."""

    id: str
    description: str
    missing: bool


def read_members(path: Path, key: ListKey) -> list[Member]:
    """Reads the members of a collage or a playlist, in order.

    Raises:
        InvalidDatafileError: The file is not TOML, or not of the expected shape.
        OSError: It cannot be read.
    """
    entries = _parse(path).get(key, [])
    if not isinstance(entries, list):
        raise InvalidDatafileError(path, f"{key}: expected an array of tables")
    members = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("uuid"), str):
            raise InvalidDatafileError(path, f"{key}, entry {number}: expected a table with a uuid")
        description = entry.get("description_meta", "")
        members.append(Member(entry["uuid"].lower(), str(description), entry.get("missing") is True))
    return members


def update_members(path: Path, key: ListKey, members: Sequence[Member]) -> None:
    """Writes new descriptions and flags to the members of a file, which are the same ones in the same order.

    Raises as :func:`read_members` does.
    """
    import tomlkit

    document = tomlkit.parse(_read_text(path))
    entries: Any = document[key]
    for entry, member in zip(entries, members, strict=True):
        if entry.get("description_meta") != member.description:
            entry["description_meta"] = member.description
        if member.missing:
            entry["missing"] = True
        elif "missing" in entry:
            del entry["missing"]
    write_atomically(path, tomlkit.dumps(document).encode())


def _read_text(path: Path) -> str:
    try:
        # newline="" keeps the line ends that the file has
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise InvalidDatafileError(path, "not UTF-8 text") from error


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path).replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidDatafileError(path, f"not valid TOML: {error}") from error
