"""The TOML file of a collage or playlist with other members, or the same in another order.

Each member's table moves as the text that it is, with the comments in it and right above it; a file where that
cannot be done, such as one with all members in one line, is edited by tomlkit. Either way the result is read
again and compared before anybody writes it. Takes no locks and writes no file.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rosecache.datafiles import ListKey, Member, read_members, read_text
from rosecache.errors import InvalidDatafileError

_TABLE = re.compile(r"\s*\[\[?\s*(?P<name>[^\]]*?)\s*\]")
_COMMENT = re.compile(r"\s*#")


class MemberFile(msgspec.Struct, frozen=True):
    """A collage's or playlist's file as it was read."""

    path: Path
    key: ListKey
    members: tuple[Member, ...]

    @classmethod
    def read(cls, path: Path, key: ListKey) -> MemberFile:
        """Reads a file. Raises InvalidDatafileError or OSError."""
        return cls(path, key, tuple(read_members(path, key)))

    def with_members(self, order: Sequence[int | Member]) -> bytes:
        """Returns the file's content with these members: old ones by their index, each once, and new ones.

        Raises:
            InvalidDatafileError: The file changed since, or is written in a way that cannot be edited.
            OSError: It cannot be read.
        """
        text = read_text(self.path)
        before = _parse(text)
        entries: list[Mapping[str, Any]] = before.get(self.key, [])
        wanted = [entries[each] if isinstance(each, int) else _entry(each) for each in order]
        by_text = _reorder_text(text, self.key, entries, order)
        if by_text is not None and _is_as_wanted(by_text, before, self.key, wanted):
            return by_text.encode()
        by_document = _reorder_document(text, self.key, order)
        if by_document is not None and _is_as_wanted(by_document, before, self.key, wanted):
            return by_document.encode()
        raise InvalidDatafileError(
            self.path, f"its {self.key} are written in a way that rosefs cannot edit; edit it by hand"
        )


def _entry(member: Member) -> dict[str, Any]:
    entry: dict[str, Any] = {"uuid": member.id, "description_meta": member.description}
    return entry | ({"missing": True} if member.missing else {})


def _parse(text: str) -> dict[str, Any]:
    return tomllib.loads(text.replace("\r\n", "\n"))


def _is_as_wanted(
    text: str, before: Mapping[str, Any], key: ListKey, wanted: Sequence[Mapping[str, Any]]
) -> bool:
    """Tells whether a text says what is wanted of the members, and of all else what was said before."""
    try:
        after = _parse(text)
    except tomllib.TOMLDecodeError:
        return False
    return {**after, key: after.get(key, [])} == {**before, key: wanted}


# As text ----------------------------------------------------------------------------------------------------


def _reorder_text(
    text: str, key: ListKey, entries: Sequence[Mapping[str, Any]], order: Sequence[int | Member]
) -> str | None:
    """Returns the text with its members' tables in that order; None if they cannot be told apart."""
    newline = "\r\n" if "\r\n" in text else "\n"
    head, blocks, tail = _split(text, key)
    if len(blocks) != len(entries):
        return None
    dense = len(blocks) > 1 and not blocks[0].rstrip(" \t").endswith(newline * 2)
    gap = "" if dense else newline
    parts = []
    for each in order:
        block = blocks[each] if isinstance(each, int) else _block(key, each, newline)
        parts.append(block.rstrip() + newline + gap)
    if head.strip() and not head.endswith(newline * 2) and not blocks:
        head = head.rstrip() + newline * 2
    return (head + "".join(parts)).rstrip() + newline + (newline + tail if tail else "")


def _split(text: str, key: ListKey) -> tuple[str, list[str], str]:
    """Returns what is before the members' tables, each of these with the comments above it, and what is after.

    A table of another name ends the members; if more of them follow, their number will not be right.
    """
    lines = text.splitlines(keepends=True)
    starts: list[int] = []
    end = len(lines)
    for number, name in _tables(lines):
        if name == key:
            starts.append(_with_comments(lines, number))
        elif starts and not name.startswith(f"{key}."):
            end = _with_comments(lines, number)
            break
    bounds = [*starts, end]
    blocks = ["".join(lines[a:b]) for a, b in itertools.pairwise(bounds)]
    first = starts[0] if starts else end
    return "".join(lines[:first]), blocks, "".join(lines[end:])


def _tables(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines):
        matched = _TABLE.match(line)
        if matched is not None:
            yield number, matched["name"]


def _with_comments(lines: Sequence[str], number: int) -> int:
    """Returns the number of the first of the comment lines right above a line."""
    while number and _COMMENT.match(lines[number - 1]):
        number -= 1
    return number


def _block(key: ListKey, member: Member, newline: str) -> str:
    import tomlkit  # slow to import, and mounts of which nobody changes a list do without

    lines = [f"[[{key}]]"]
    lines += [f"{name} = {tomlkit.item(value).as_string()}" for name, value in _entry(member).items()]
    return newline.join(lines) + newline


# As a document ----------------------------------------------------------------------------------------------


def _reorder_document(text: str, key: ListKey, order: Sequence[int | Member]) -> str | None:
    """Returns the text with its members in that order, or None. Comments between them may end up elsewhere."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import Array

    try:
        document = tomlkit.parse(text)
        old: Any = document.get(key, ())
        items = list(old)
        if isinstance(old, Array):
            chosen: Any = tomlkit.array()
            chosen.multiline(len(order) > 1)
        else:
            chosen = tomlkit.aot()
        for each in order:
            if isinstance(each, int):
                chosen.append(items[each])
            elif isinstance(old, Array):
                table = tomlkit.inline_table()
                table.update(_entry(each))
                chosen.append(table)
            else:
                chosen.append(tomlkit.item(_entry(each)))
        document[key] = chosen
        return tomlkit.dumps(document)
    except (TOMLKitError, ValueError):
        return None
