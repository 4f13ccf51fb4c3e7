"""How values are written: as tables on a terminal, as lines of fields divided by tabs elsewhere, or as JSON.

Names on a disk and in tags may hold anything. JSON keeps all of it; a table and a line show control
characters as blanks, and those that turn the direction of text, so that a tag can neither break a line, nor steer the
terminal, nor show as another name. Reads nothing.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import click
import msgspec

from rosecache.model import ArtistMapping, PartialDate

T = TypeVar("T")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What breaks a line, steers a terminal, or turns the direction in which what follows is shown."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Column(msgspec.Struct, Generic[T], frozen=True):
    """One column of a listing, and one line of what is shown of a single value."""

    title: str
    text: Callable[[T], str]
    in_tables: bool = True
    """Whether a table has it too; lines have every column."""
    right: bool = False
    """Whether it is set to the right, as numbers are."""
    style: Callable[[T], str] | None = None
    """How it looks in tables: a style of rich."""


def as_json(value: object) -> object:
    """Turns a value of the cache into what JSON knows, with the names of its fields.

    Dates and paths become text, artists an object of lists by role. A path that is not UTF-8 keeps its bytes
    as lone surrogates, as ``os.fsdecode`` makes them.
    """
    match value:
        case ArtistMapping():
            return {role: [as_json(artist) for artist in artists] for role, artists in value.items()}
        case PartialDate() | Path():
            return str(value)
        case dict():
            return {key: as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item) for item in value]
        case _ if isinstance(value, msgspec.Struct):
            return {name: as_json(getattr(value, name)) for name in value.__struct_fields__}
        case _ if dataclasses.is_dataclass(value):
            return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return value


def write_json(value: object) -> None:
    """Writes a value as JSON in UTF-8, whatever the locale; lone surrogates are escaped, all else is not."""
    text = json.dumps(as_json(value), ensure_ascii=False, indent=2)
    # They can only stand inside of strings, where an escape means the same.
    escaped = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    click.echo(escaped.encode())


def write_rows(columns: Sequence[Column[T]], rows: Iterable[T]) -> None:
    """Writes a listing: a table on a terminal, otherwise a line per row, without a heading."""
    if sys.stdout.isatty():
        _write_table(columns, rows)
        return
    for row in rows:
        _write_line("\t".join(clean(column.text(row)) for column in columns))


def write_fields(columns: Sequence[Column[T]], value: T) -> None:
    """Writes one value, a line for each column that has something to say."""
    shown = [(column.title.lower(), clean(column.text(value))) for column in columns]
    width = max(len(title) for title, _ in shown)
    for title, text in shown:
        if not text:
            continue
        _write_line(f"{title:{width}}  {text}" if sys.stdout.isatty() else f"{title}\t{text}")


def clean(text: str) -> str:
    """Returns text without control characters, and without those that turn the direction of text."""
    return _CONTROL.sub(" ", text)


def one_line(text: str) -> str:
    """Returns text that any terminal can show: as :func:`clean` does, and without undecodable bytes."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", clean(text))


def _write_line(line: str) -> None:
    """Writes a line with paths in the bytes that they have on the disk."""
    click.echo(line.encode("utf-8", "surrogateescape"))


def _write_table(columns: Sequence[Column[T]], rows: Iterable[T]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    shown = [column for column in columns if column.in_tables]
    for column in shown:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text(one_line(column.text(row)), column.style(row) if column.style else "") for column in shown)
        )
    Console().print(table)
