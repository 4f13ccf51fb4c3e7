"""TOML texts, read by the standard library, with one kind of error for whatever may be wrong. Opens no file."""

from __future__ import annotations

import tomllib
from typing import Any

_MOST_ESCAPES = 50_000
"""What reads a file to write it back takes several microseconds for each."""


def parse_toml(text: str) -> dict[str, Any]:
    """Returns what a text says.

    Raises:
        ValueError: It is not TOML, or holds what no program could use. The text says what, for people.
    """
    if text.count("\\") > _MOST_ESCAPES:
        raise ValueError(f"it holds more than {_MOST_ESCAPES:,} escaped characters")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise ValueError("a number has too many digits") from error
    except RecursionError as error:
        raise ValueError("too many brackets in brackets") from error
