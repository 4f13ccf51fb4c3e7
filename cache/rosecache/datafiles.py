"""The TOML files of a library: release datafiles, collages and playlists.

Reading is by the standard library; what is written back keeps comments, order and unknown keys. Every file
is replaced whole: written beside itself, flushed, renamed. Nothing here takes locks, that is its callers'.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from rosecache.boundary import expect_no_link
from rosecache.errors import InvalidDatafileError
from rosecache.flushing import Flushing, flushed
from rosecache.temporary import TEMPORARY_PREFIX, claim, make_temporary
from rosecache.tomltext import parse_toml

_TEMPORARY = TEMPORARY_PREFIX + "toml."

_DATAFILE = re.compile(rb"\.rose\.([0-9a-fA-F-]{32,36})\.toml")

_MOST_BYTES = 8 * 2**20
"""Of a list; one of fifty thousand tracks has fewer."""

_MOST_BYTES_OF_RELEASE = 2**20
_MOST_DOTS = 255

ListKey = Literal["releases", "tracks"]
"""The name of the array in a collage, and in a playlist."""


def datafile_name(release_id: str) -> str:
    """Returns the file name of a release's datafile."""
    return f".rose.{release_id}.toml"


def parse_datafile_name(name: bytes) -> str | None:
    """Returns the release id in a datafile's name, as canonical text; None for any other name."""
    matched = _DATAFILE.fullmatch(name) if name.startswith(b".rose.") else None
    if matched is None:
        return None
    return _canonical(matched.group(1).decode("ascii"))


def _canonical(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file at once. See :func:`writing_atomically`."""
    flushed(writing_atomically(path, content))


def writing_atomically(path: Path, content: bytes) -> Flushing[None]:
    """Replaces a file whole: after a crash there is the old one or the new one.

    Owner and mode of a file that is replaced are kept. Raises OSError, also for a symbolic link, and leaves the old
    file.
    """
    expect_no_link(path)
    temporary, descriptor = make_temporary(path.parent, _TEMPORARY, ".toml", 0o666)
    try:
        with open(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                old = path.stat()
                with suppress(PermissionError):
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, old.st_mode & 0o7777)
            file.write(content)
            file.flush()
            errors = yield (descriptor,)
            if descriptor in errors:
                raise errors[descriptor]
            os.rename(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def remove_abandoned(directory: Path) -> None:
    """Removes what a killed process left of files that it was writing; those of living ones stay."""
    for temporary in directory.glob(f"{_TEMPORARY}*"):
        with suppress(OSError):
            descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                claim(descriptor)
                os.unlink(temporary)
            finally:
                os.close(descriptor)


class ReleaseDatafile(msgspec.Struct, frozen=True):
    """What a release datafile says; None where it says nothing."""

    new: bool | None = None
    added_at: str | None = None
    tracks: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Track ids by path below the release directory, for libraries whose audio files are never written."""


def read_release_datafile(path: Path) -> ReleaseDatafile:
    """Reads a release datafile.

    Raises:
        InvalidDatafileError: It is not TOML, or a value has the wrong type.
        OSError: It cannot be read.
    """
    values = _parse(path, read_text(path, most=_MOST_BYTES_OF_RELEASE))
    new, added_at, tracks = values.get("new"), values.get("added_at"), values.get("tracks", {})
    if new is not None and not isinstance(new, bool):
        raise InvalidDatafileError(path, f"new: expected true or false, not {_kind(new)}")
    if added_at is not None and not isinstance(added_at, str):
        if not hasattr(added_at, "isoformat"):
            raise InvalidDatafileError(path, f"added_at: expected a date and time, not {_kind(added_at)}")
        added_at = added_at.isoformat()
    if not isinstance(tracks, dict) or not all(isinstance(value, str) for value in tracks.values()):
        raise InvalidDatafileError(path, "tracks: expected a table of ids by path")
    ids = {name: _canonical(value) for name, value in tracks.items()}
    # As in a tag, what is no UUID is no id.
    return ReleaseDatafile(new, added_at, {name: found for name, found in ids.items() if found is not None})


def write_release_datafile(path: Path, values: ReleaseDatafile) -> None:
    """Writes a datafile at once. See :func:`writing_release_datafile`."""
    flushed(writing_release_datafile(path, values))


def writing_release_datafile(path: Path, values: ReleaseDatafile) -> Flushing[None]:
    """Sets a datafile's keys to those values that are not None; makes the file if there is none.

    Of the table of tracks exactly the given ids are left. Everything else in the file stays. Raises as
    :func:`read_release_datafile` does.
    """

    def edit(document: Any) -> None:
        if values.new is not None:
            document["new"] = values.new
        if values.added_at is not None:
            document["added_at"] = values.added_at
        if not values.tracks:
            document.pop("tracks", None)
            return
        table = document.setdefault("tracks", {})
        for name in [name for name in table if name not in values.tracks]:
            del table[name]
        for name, identifier in values.tracks.items():
            if table.get(name) != identifier:
                table[name] = identifier

    text = read_text(path) if path.exists() else ""
    yield from writing_atomically(path, edited(path, text, edit).encode())


class Member(msgspec.Struct, frozen=True):
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
    return members_of(path, read_text(path), key)


def members_of(path: Path, text: str, key: ListKey) -> list[Member]:
    """Returns the members that the text of a collage or a playlist names. Raises as :func:`read_members`."""
    entries = _parse(path, text).get(key, [])
    if not isinstance(entries, list):
        raise InvalidDatafileError(path, f"{key}: expected an array of tables")
    members = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("uuid"), str):
            raise InvalidDatafileError(path, f"{key}, entry {number}: expected a table with a uuid")
        description = entry.get("description_meta", "")
        members.append(Member(entry["uuid"].lower(), str(description), entry.get("missing") is True))
    return members


def update_members(path: Path, key: ListKey, members: Sequence[Member]) -> bool:
    """Writes new descriptions and flags to the members of a file, which are the same ones in the same order.

    Nothing is written, and False is returned, if the file names other members by now.

    Raises as :func:`read_members` does.
    """
    text = read_text(path)
    if [member.id for member in members_of(path, text, key)] != [member.id for member in members]:
        return False

    def edit(document: Any) -> None:
        for entry, member in zip(document[key], members, strict=True):
            if entry.get("description_meta") != member.description:
                entry["description_meta"] = member.description
            if member.missing:
                entry["missing"] = True
            elif "missing" in entry:
                del entry["missing"]

    content = edited(path, text, edit).encode()
    if read_text(path) != text:
        return False  # the last look before the file is replaced
    write_atomically(path, content)
    return True


def edited(path: Path, text: str, edit: Callable[[Any], None]) -> str:
    """Returns the TOML text of a file after an edit, which changes nothing but what it means to change.

    The edit is done twice: to plain values, which say what is expected, and to a tomlkit document.

    Raises InvalidDatafileError where the text cannot be edited without harm.
    """
    expected = _parse(path, text)
    edit(expected)
    if not text and (simple := _simple_text(path, expected)) is not None:
        return simple
    import tomlkit  # slow to import, and most updates edit no TOML
    from tomlkit.exceptions import TOMLKitError

    # What ends its lines as Windows does goes on doing so, the new lines too.
    ending = "\r\n" if "\r\n" in text and "\n" not in text.replace("\r\n", "") else "\n"
    try:
        document = tomlkit.parse(text.replace("\r\n", "\n") if ending == "\r\n" else text)
        edit(document)
        edited = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise InvalidDatafileError(path, f"cannot be edited: {error}") from error
    if ending == "\r\n":
        edited = edited.replace("\n", "\r\n")
    if _parse(path, edited) != expected:
        raise InvalidDatafileError(path, "cannot be edited without changing what else it says")
    return edited


def _simple_text(path: Path, values: Mapping[str, Any]) -> str | None:
    """Returns the TOML of values if these are texts, true and false; None if they are not."""
    if not all(isinstance(value, bool | str) for value in values.values()):
        return None
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    return text if _parse(path, text) == values else None


def read_text(path: Path, *, most: int = _MOST_BYTES) -> str:
    """Reads a TOML file. Raises InvalidDatafileError if it is not UTF-8 or has more bytes than that, or OSError."""
    # Looked at first, since opening a named pipe would wait for somebody to write into it.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InvalidDatafileError(path, "not a regular file")
    if status.st_size > most:
        raise InvalidDatafileError(path, f"larger than {most // 2**20} MiB")
    try:
        # newline="" keeps the line ends that the file has
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise InvalidDatafileError(path, "not UTF-8 text") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    # Each part of a dotted key takes as much memory as all parts before it.
    if any(line.count(".") > _MOST_DOTS for line in text.split("\n")):
        raise InvalidDatafileError(path, f"a line with more than {_MOST_DOTS} dots")
    try:
        return parse_toml(text)
    except ValueError as error:
        raise InvalidDatafileError(path, f"not valid TOML: {error}") from error


def _kind(value: object) -> str:
    """Returns what a value is, which may be longer than anybody wants to read."""
    return {bool: "true or false", int: "a number", float: "a number", str: "text", list: "an array"}.get(
        type(value), "a table" if isinstance(value, dict) else "a date or a time"
    )
