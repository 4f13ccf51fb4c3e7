"""Reading and writing TOML so that comments, order and unknown keys stay. Takes no locks and writes no file."""

from __future__ import annotations

from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from rosecache.errors import InvalidDatafileError


def read_document(path: Path) -> tomlkit.TOMLDocument:
    """Reads a TOML file to be edited.

    Raises:
        InvalidDatafileError: It is not TOML.
        OSError: It cannot be read.
    """
    try:
        # newline="" keeps the line ends that the file has
        with open(path, encoding="utf-8", newline="") as file:
            return tomlkit.parse(file.read())
    except UnicodeDecodeError as error:
        raise InvalidDatafileError(path, "not UTF-8 text") from error
    except (TOMLKitError, RecursionError) as error:
        raise InvalidDatafileError(path, f"not valid TOML: {error}") from error


def dump_document(document: tomlkit.TOMLDocument) -> bytes:
    """Returns a document as the content of a file."""
    return tomlkit.dumps(document).encode()
