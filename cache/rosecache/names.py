"""Turns any text into a file name, and equal names into distinct ones.

Every name that a directory shows or that a rename writes passes through here: a tag may hold a slash, a
control character or two kilobytes of text, and a file name may not. Nothing here looks at a disk or knows
what a name stands for.

Names are compared as they are: names that differ by case only are distinct, as on Linux file systems.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable

from rosecache.composing import compose

_FORBIDDEN = r':?<>\\*|"/\x00-\x1f\x7f-\x9f\ud800-\udfff'
_FORBIDDEN_CHARACTER = re.compile(f"[{_FORBIDDEN}]")

_PLAIN = re.compile(
    r"[ !#-)+-.0-9;=@A-Z\[\]-{}~"
    r"\u00a1-\u02ff\u0400-\u0482\u3041-\u3096\u30a1-\u30fe\u4e00-\u9fff\uac00-\ud7a3]+"
)
"""Texts in the common scripts that need no composing and hold no white space but blanks: most of them."""

_EXTENSION = re.compile(r"(?<=.)\.[^.\s]{1,16}\Z", re.DOTALL)

_JOINER = "\u200d"


def safe_name(text: str, *, max_bytes: int = 255, extension: str = "") -> str:
    """Returns a name that any Linux file system and most others take.

    White space is folded to single blanks and stripped, the characters ``: ? < > \\ * | " /``, control
    characters and lone surrogates become ``_``, as do ``.``, ``..`` and an empty text, and Unicode is
    composed (NFC). A safe name comes back unchanged.

    Args:
        text: What the name should say, without the extension.
        max_bytes: The most bytes of UTF-8 that the name may have, the extension included; at least 8.
        extension: Appended whole (``.opus``, with its dot) and made safe too; only the text is cut to fit.
    """
    room = max_bytes
    if extension:
        extension = _safe_extension(extension, max_bytes)
        room -= len(extension.encode())
    if _PLAIN.fullmatch(text) and "  " not in text and text[0] != " " != text[-1]:
        stem = _cut(text, room)
    else:
        stem = _cut(_clean(text), room)
    return ("_" if stem in ("", ".", "..") else stem) + extension


def distinct_name(
    name: str, taken: Container[str], *, extensions: bool = True, max_bytes: int = 255, first: int = 2
) -> str:
    """Returns the name, or, if it is taken, the first of ``name [2]``, ``name [3]`` … that is not.

    Args:
        name: A safe name.
        taken: The names that cannot be used.
        extensions: The name is a file's: the number goes before its extension (``01 [2].opus``). A
            directory has none, even with a dot in its name.
        max_bytes: The stem is shortened so that the name has at most so many bytes of UTF-8.
        first: The number to try first.
    """
    if name not in taken:
        return name
    found = _EXTENSION.search(name) if extensions else None
    extension = found.group() if found else ""
    if len(extension.encode()) > max_bytes // 2:
        extension = ""  # so long that hardly anything of the name would be left
    stem = name.removesuffix(extension)
    number = first
    while True:
        ending = f" [{number}]{extension}"
        candidate = _cut(stem, max_bytes - len(ending.encode())) + ending
        if candidate not in taken:
            return candidate
        number += 1


def distinct_names(
    entries: Iterable[tuple[str, str]], *, extensions: bool, max_bytes: int = 255
) -> list[str]:
    """Makes the names of one directory distinct.

    Of equal names the first in order of id keeps the plain one, and the later ones are numbered from 2. A
    name that somebody else wants as it is (``x [2]`` as a title) is never given to a third. Who gets which
    name depends on names and ids only, not on the order of the entries.

    Args:
        entries: The safe name that each entry wants, and its id.
        extensions: The entries are files, see :func:`distinct_name`.
        max_bytes: The most bytes of UTF-8 that a numbered name may have.

    Returns:
        The names, in the order of the entries.
    """
    listed = list(entries)
    names = [wanted for wanted, _ in listed]
    taken = set(names)
    if len(taken) == len(names):
        return names
    numbers: dict[str, int] = {}
    wanting = Counter(names)
    equals = [index for index, name in enumerate(names) if wanting[name] > 1]
    for index in sorted(equals, key=lambda index: listed[index][::-1]):
        wanted = names[index]
        if wanted in numbers:
            numbers[wanted] += 1
            names[index] = distinct_name(
                wanted, taken, extensions=extensions, max_bytes=max_bytes, first=numbers[wanted]
            )
            taken.add(names[index])
        else:
            numbers[wanted] = 1
    return names


def _clean(text: str) -> str:
    folded = " ".join(compose(text).split())
    return _FORBIDDEN_CHARACTER.sub("_", folded)


@functools.lru_cache(maxsize=256)
def _safe_extension(extension: str, max_bytes: int) -> str:
    return _cut(_clean(extension), max_bytes // 2)


def _cut(text: str, max_bytes: int) -> str:
    """Shortens a text to so many bytes, where possible between two characters as people see them."""
    if len(text) <= max_bytes and text.isascii():
        return text
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    fitting = len(encoded[: max(0, max_bytes)].decode(errors="ignore"))
    end = fitting
    while end and _joins(text, end):
        end -= 1
    return text[: end or fitting].rstrip(" ")


def _joins(text: str, index: int) -> bool:
    """Tells whether the character at the index is drawn as a part of the one before it."""
    return (
        unicodedata.category(text[index]).startswith("M")
        or "\U0001f3fb" <= text[index] <= "\U0001f3ff"  # skin tones
        or _JOINER in (text[index], text[index - 1])
    )
