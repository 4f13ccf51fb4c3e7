"""A release as text for an editor: TOML, a key for each tag, a table for each track by its id.

What is written is read back as the same values, whatever they are. A text that cannot be used gives every mistake in it
with its key and its line. Nothing here reads a file, or knows what a text is compared with.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from rosecache.model import RELEASE_TYPES, ROLES, Artist, ArtistMapping, PartialDate
from rosecache.tags.fields import clean
from rosefs.library.errors import Mistake, ReleaseTextError
from rosefs.library.tomllines import elements_of, lines_of, parse


@dataclass(frozen=True, slots=True)
class Differing:
    """What a key of the release stands for where its tracks say different things; all of these are equal.

    Attributes:
        lines: What the tracks say: the key with each value, on one line, to choose from.
    """

    lines: tuple[str, ...] = dataclasses.field(default=(), compare=False)


Value = str | bool | PartialDate | ArtistMapping | tuple[str, ...] | Differing | None
"""What a key stands for. Texts are empty where a tag has none, and artists have no aliases."""
Values = Mapping[str, Value]
"""Values by key."""
Path = tuple[str, ...]
"""A key with the tables that it is in."""


class Field(msgspec.Struct, frozen=True):
    """One key of the text.

    Attributes:
        key: The key.
        tag: What :class:`rosecache.tags.AudioTags` calls it; empty if no tag holds it.
        read: Makes the value of what TOML has. Raises ValueError, whose text says what was expected, or _ItemError.
        hint: The comment above it.
    """

    key: str
    tag: str
    read: Callable[[Any], Value]
    hint: str = ""


class ReleaseText(msgspec.Struct, frozen=True):
    """What a text says: the values of the release by key, and those of each track by its id."""

    release: Values
    tracks: Mapping[str, Values]

    @property
    def differing(self) -> Collection[str]:
        """The keys of the release that its tracks say different things of."""
        return [key for key, value in self.release.items() if isinstance(value, Differing)]

    def flat(self) -> dict[Path, Value]:
        """Returns every value by the key with its tables."""
        found: dict[Path, Value] = {(key,): value for key, value in self.release.items()}
        for identifier, values in self.tracks.items():
            found |= {("tracks", identifier, key): value for key, value in values.items()}
        return found

    def with_values(self, values: Mapping[Path, Value]) -> ReleaseText:
        """Returns the same with other values for some keys that it has."""
        new = self.flat() | dict(values)
        return ReleaseText(
            {key: new[key,] for key in self.release},
            {
                identifier: {key: new["tracks", identifier, key] for key in old}
                for identifier, old in self.tracks.items()
            },
        )


class _ItemError(ValueError):
    """An element of a list is wrong."""

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        super().__init__(reason)


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text in quotes, got {_shown(value)}")
    if "\0" in value:
        raise ValueError("no tag can hold a null character")
    return clean(value)


def _read_name(value: Any) -> str:
    text = _read_text(value)
    if not text:
        raise ValueError("expected text that is not empty; remove the entry if it is not wanted")
    return text


def _read_number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = _read_text(value)
    if not text or "/" in text:
        raise ValueError(f'expected one number, such as "1" or "A1", got {quoted(text)}')
    return text


def _read_new(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {_shown(value)}")
    return value


def _read_type(value: Any) -> str:
    text = _read_text(value).lower()
    if text not in RELEASE_TYPES:
        raise ValueError(f"expected one of {', '.join(RELEASE_TYPES)}, got {_shown(value)}")
    return text


def _read_date(value: Any) -> PartialDate | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:04}"
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    text = _read_text(value)
    found = PartialDate.parse(text)
    if text and (found is None or str(found) != text):
        raise ValueError(f'expected "YYYY" or "YYYY-MM-DD", or "" for none, got {quoted(text)}')
    return found


def _each(value: Any) -> Iterator[tuple[int, Any]]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, in brackets, got {_shown(value)}")
    yield from enumerate(value)


def _read_list(value: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for index, item in _each(value):
        try:
            found[_read_name(item)] = None
        except ValueError as error:
            raise _ItemError(index, str(error)) from error
    return tuple(found)


def _read_artists(value: Any) -> ArtistMapping:
    found: dict[str, dict[str, Artist]] = {role: {} for role in ROLES}
    for index, item in _each(value):
        if not isinstance(item, dict) or item.keys() != {"name", "role"}:
            raise _ItemError(index, f'expected {{ name = "…", role = "main" }}, got {_shown(item)}')
        try:
            name = _read_name(item["name"])
        except ValueError as error:
            raise _ItemError(index, f"name: {error}") from error
        if item["role"] not in ROLES:
            raise _ItemError(
                index, f"expected one of the roles {', '.join(ROLES)}, got {_shown(item['role'])}"
            )
        found[item["role"]][name] = Artist(name)
    return ArtistMapping(**{role: tuple(artists.values()) for role, artists in found.items()})


_DATE = '"YYYY" or "YYYY-MM-DD"; "" for none'
RELEASE_FIELDS: tuple[Field, ...] = (
    Field("title", "releasetitle", _read_text),
    Field("new", "", _read_new, "Marked as new: true or false."),
    Field("type", "releasetype", _read_type, f"One of {', '.join(RELEASE_TYPES)}."),
    Field("releasedate", "releasedate", _read_date, f"Dates are {_DATE}."),
    Field("originaldate", "originaldate", _read_date),
    Field("compositiondate", "compositiondate", _read_date),
    Field("genres", "genres", _read_list, 'Lists are ["one", "another"]; [] for none.'),
    Field("secondary_genres", "secondary_genres", _read_list),
    Field("descriptors", "descriptors", _read_list),
    Field("labels", "labels", _read_list),
    Field("edition", "edition", _read_text, '"" for none.'),
    Field("catalognumber", "catalognumber", _read_text),
    Field("artists", "releaseartists", _read_artists, f"Roles are {', '.join(ROLES)}."),
)
"""The keys of a release, in the order of the text."""
TAGGED: tuple[str, ...] = tuple(field.key for field in RELEASE_FIELDS if field.tag)
"""The keys of a release that each of its tracks has a tag for, so that they may differ."""
TRACK_FIELDS: tuple[Field, ...] = (
    Field("disc", "discnumber", _read_number),
    Field("number", "tracknumber", _read_number),
    Field("title", "tracktitle", _read_text),
    Field("artists", "trackartists", _read_artists),
)
"""The keys of each track."""

_INTRODUCTION = """\
# {name}
#
# Only what you change here is written, and "rosefs undo" takes it back as one. Nothing is changed if you
# save this as it is, or empty it. Every key and every track has to stay; comments may go.
"""
_TRACKS = """
# The tracks, by their ids. Numbers are text, since there are tracks A1 and B2; .m4a files hold whole numbers only.
"""

_DIFFERING = (
    "# The tracks differ in {key}, and stay so. To have one value in all of them, write it without the #."
)

_ON_TOP = "#! "
"""Starts the lines on top of a text that say what was wrong with it."""
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(text: str) -> str:
    """Returns a text as TOML has it in quotes, on one line whatever it holds."""
    return '"' + "".join(_ESCAPES.get(each) or _escaped(each) for each in text) + '"'


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in ("Cc", "Zl", "Zp", "Cs"):
        return character
    return f"\\u{ord(character):04x}"


def format_text(text: ReleaseText, name: str, files: Mapping[str, str]) -> str:
    """Returns the text of a release, with comments that say what may be written.

    Args:
        text: What it says.
        name: What the release is called, for people.
        files: What the file of each track is called, by the track's id.
    """
    lines = [_INTRODUCTION.format(name=_comment(name))]
    for field in RELEASE_FIELDS:
        value = text.release[field.key]
        if field.hint:
            lines.append(f"# {field.hint}")
        if isinstance(value, Differing):
            lines += [_DIFFERING.format(key=field.key), *(f"# {line}" for line in value.lines)]
        else:
            lines.append(f"{field.key} = {format_value(value)}")
    lines.append(_TRACKS)
    for identifier, values in text.tracks.items():
        lines.append(f"# {_comment(files.get(identifier, identifier))}\n[tracks.{identifier}]")
        lines += [f"{field.key} = {format_value(values[field.key])}" for field in TRACK_FIELDS]
        lines.append("")
    return "\n".join(lines)


def _comment(text: str) -> str:
    """Returns text that cannot end the comment that it is in, and that can be encoded."""
    return quoted(text)[1:-1].replace('\\"', '"')


def format_value(value: Value) -> str:
    """Returns a value as the text has it."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(quoted, value))}]"
        case ArtistMapping():
            credits = [(artist.name, role) for role, artists in value.items() for artist in artists]
            listed = [f'    {{ name = {quoted(name)}, role = "{role}" }},\n' for name, role in credits]
            return f"[\n{''.join(listed)}]" if listed else "[]"
        case _:
            return quoted("" if value is None else str(value))


def on_top(mistakes: Collection[Mistake], text: str) -> tuple[str, list[Mistake]]:
    """Puts mistakes on top of a text, and returns both, with the lines that are right there."""
    text = without_top(text)
    lines = [
        "This could not be done yet. Put it right, and save; or save this as it is to leave it.",
        *(_comment(str(mistake)) for mistake in mistakes),
    ]
    moved = [replace(each, line=each.line and each.line + len(lines)) for each in mistakes]
    lines[1:] = [_comment(str(mistake)) for mistake in moved]
    return "".join(f"{_ON_TOP}{line}\n" for line in lines) + text, moved


def without_top(text: str) -> str:
    """Returns a text without what :func:`on_top` put there."""
    return re.sub(rf"\A(?:{re.escape(_ON_TOP.rstrip())}[^\n]*(?:\n|\Z))+", "", text)


def is_emptied(text: str) -> bool:
    """Says whether nothing but comments and blank lines is left of a text."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Returns the line of a key, or of the table that it should be in; None if there is neither."""
    return next((lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in lines), None)


def parse_text(
    text: str, track_ids: Collection[str] | None = None, *, may_differ: Collection[str] = ()
) -> ReleaseText:
    """Reads a text.

    Args:
        text: The text; without what :func:`on_top` put there, since lines are counted from its start.
        track_ids: The tracks that it has to have; None takes those that it has.
        may_differ: The keys of the release that may be missing, since the tracks differ.

    Raises:
        ReleaseTextError: It cannot be used; every mistake is named.
    """
    document = parse(text)
    reading = _Reading(text, lines_of(text))
    release = reading.read(
        {**dict.fromkeys(may_differ, Differing()), **document}, RELEASE_FIELDS, (), beside=("tracks",)
    )
    tables = document.get("tracks", {})
    if not isinstance(tables, dict):
        reading.note(("tracks",), "expected a table for each track")
        tables = {}
    track_ids = tables if track_ids is None else track_ids
    tracks: dict[str, Values] = {}
    for identifier, values in tables.items():
        if identifier not in track_ids:
            reading.note(("tracks", identifier), "no track of this release has this id")
        elif not isinstance(values, dict):
            reading.note(("tracks", identifier), "expected a table")
        else:
            tracks[identifier] = reading.read(values, TRACK_FIELDS, ("tracks", identifier))
    for identifier in track_ids:
        if identifier not in tables:
            reading.note(("tracks", identifier), "this track is missing; an edit removes none")
    if reading.mistakes:
        raise ReleaseTextError(sorted(reading.mistakes, key=lambda mistake: mistake.line or 0))
    return ReleaseText(release, {identifier: tracks[identifier] for identifier in track_ids})


class _Reading:
    """A text that is being read, and the mistakes that were found in it."""

    def __init__(self, text: str, lines: Mapping[Path, int]) -> None:
        self._text = text
        self._lines = lines
        self.mistakes: list[Mistake] = []

    def note(self, path: Path, reason: str, index: int | None = None) -> None:
        line, key = line_of(self._lines, path), ".".join(path)
        if index is not None and line is not None:
            line = elements_of(self._text, line).get(index, line)
            key = f"{key}[{index}]"
        self.mistakes.append(Mistake(key, line, reason))

    def read(
        self,
        table: Mapping[str, Any],
        fields: tuple[Field, ...],
        path: Path,
        beside: tuple[str, ...] = (),
    ) -> Values:
        found: dict[str, Value] = {}
        for field in fields:
            where = (*path, field.key)
            if field.key not in table:
                self.note(where, "the key is missing; write it as it was, or empty")
                continue
            if isinstance(table[field.key], Differing):
                found[field.key] = table[field.key]
                continue
            try:
                found[field.key] = field.read(table[field.key])
            except _ItemError as error:
                self.note(where, str(error), error.index)
            except ValueError as error:
                self.note(where, str(error))
        known = [field.key for field in fields]
        for key in table:
            if key not in known and key not in beside:
                self.note((*path, key), f"unknown key; known: {', '.join(known)}")
        return found
