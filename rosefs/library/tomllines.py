"""Where in a TOML text its keys are, for messages: the parser of the standard library says it of syntax errors only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rosecache.tomltext import parse_toml
from rosefs.library.errors import Mistake, ReleaseTextError

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
_ENDS = re.compile(r"""]|\"{3}|'{3}""")
"""Is in the last line of every statement that has several."""


def parse(text: str) -> dict[str, Any]:
    """Reads a TOML text. Raises ReleaseTextError, whose one mistake has no key."""
    try:
        return parse_toml(text)
    except ValueError as error:
        found = _PLACE.search(str(error))
        reason = _PLACE.sub("", str(error))
        at = found[1] if found else None
        if found and at is None:
            reason = f"{reason}: the text ends too early; is a quote or a bracket still open?"
        raise ReleaseTextError(
            [Mistake("", int(at) if at else None, f"this is no TOML: {reason}")]
        ) from error


def lines_of(text: str) -> Mapping[tuple[str, ...], int]:
    """Returns the line, from 1, of every key and table of a text that is TOML."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for line, statement, values in _statements(text):
        is_header = statement.lstrip().startswith("[")
        paths = list(_paths(values))
        if is_header:
            table = max(paths, key=len, default=())
        for path in paths:
            found.setdefault(path if is_header else (*table, *path), line)
    return found


def elements_of(text: str, line: int) -> Mapping[int, int]:
    """Returns the line of each element of the list whose key is on a line."""
    found: dict[int, int] = {}
    lines = text.split("\n")[line - 1 :] if line else []
    for end in range(1, len(lines) + 1):
        chunk = "\n".join(lines[:end])
        whole = _try(chunk)
        values = _try(f"{chunk}\n]") if whole is None else whole
        for value in values.values() if values else ():
            while isinstance(value, dict) and value:
                value = next(iter(value.values()))
            if isinstance(value, list):
                for index in range(len(found), len(value)):
                    found[index] = line + end - 1
        if whole is not None:
            break
    return found


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yields each header and each key with its value: the line where it starts, its text and what it says alone."""
    start = 1
    kept: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        kept.append(f"{line}\n")
        if len(kept) > 1 and not _ENDS.search(line):
            continue  # trying at each line of a long list would take time by the square of its length
        statement = "".join(kept)
        values = _try(statement)
        if values is not None:
            yield start, statement, values
            start = number + 1
            kept.clear()


def _try(text: str) -> dict[str, Any] | None:
    try:
        return parse_toml(text)
    except ValueError:
        return None


def _paths(values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *path) for path in _paths(value))
