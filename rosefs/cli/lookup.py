"""Finding what a user means by a name. What is meant by an id or a path, ``rosefs.library.resolve`` finds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from rosefs.cli.output import one_line

_SUGGESTIONS = 3


def find_named(text: str, named: Sequence[tuple[Any, tuple[str, ...]]], *, singular: str, plural: str) -> Any:
    """Returns the one thing that goes by a name.

    Args:
        text: The name.
        named: All things, each with its names.
        singular: What one of them is called in messages.
        plural: What several are called.

    Raises:
        click.ClickException: There is none, or more than one; the message names those that could be meant.
    """
    found = [thing for thing, names in named if text in names]
    if len(found) == 1:
        return found[0]
    if found:
        ids = "".join(f"\n  {thing.id}  {one_line(str(thing.source_path))}" for thing in found)
        raise click.ClickException(f"{len(found)} {plural} are called {text!r}; name one by its id:{ids}")
    close = _close_names(text, (name for _, names in named for name in names))
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise click.ClickException(f"there is no {singular} {text!r}{hint}")


def _close_names(text: str, names: Iterable[str]) -> list[str]:
    """Returns the names that are most like a text, whatever their case."""
    by_folded: Mapping[str, str] = {name.casefold(): name for name in names if name}
    close = difflib.get_close_matches(text.casefold(), by_folded, n=_SUGGESTIONS)
    return [by_folded[folded] for folded in close]
