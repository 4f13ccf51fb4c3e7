"""What can be wrong with a rule: how it is written, or what would become of a value.

The texts say where and what was expected; nothing here reads a rule.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

from rosecache.errors import RosecacheError

_LONGEST_SHOWN = 200

Part = Literal["matcher", "action"]
"""What a text is read as."""


class RuleSyntaxError(RosecacheError):
    """A matcher or an action cannot be read. The message shows the text, with a caret under the place.

    Attributes:
        part: What the text was read as.
        text: The text, in NFC.
        column: Where it went wrong: the number of the character, from 1; one after the last at the end.
        reason: What was expected there, in one line.
    """

    def __init__(self, part: Part, text: str, column: int, reason: str) -> None:
        self.part: Part = part
        self.text = text
        self.column = column
        self.reason = "".join(map(_visible, reason))
        shown = "".join(map(_visible, text))
        caret = " " * sum(map(_cells, shown[: column - 1])) + "^"
        super().__init__(f"{part}, column {column}: {self.reason}\n    {shown}\n    {caret}")


class RuleValueError(RosecacheError):
    """What an action makes of a value cannot be a value of the tag.

    Attributes:
        tag: The tag.
        value: What it would have become; several values with semicolons between them.
        reason: Why that cannot be, in one line.
    """

    def __init__(self, tag: str, value: str, reason: str) -> None:
        self.tag = tag
        self.value = value
        self.reason = "".join(map(_visible, reason))
        super().__init__(f'{tag} cannot become "{"".join(map(_visible, value))}": {self.reason}')


class RuleTimeError(RosecacheError):
    """A regular expression would take too long on a value, or the value is too long for one.

    Attributes:
        tag: The tag.
        value: Its value; several with semicolons between them.
    """

    def __init__(self, tag: str, value: str) -> None:
        self.tag = tag
        self.value = value
        shown = "".join(map(_visible, value[:_LONGEST_SHOWN])) + ("…" if len(value) > _LONGEST_SHOWN else "")
        super().__init__(f'a regular expression takes too long on {tag}, which is "{shown}"')


def _visible(character: str) -> str:
    """Returns something for a character that takes a place in a line of a terminal and moves nothing."""
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    if character < " ":
        return chr(0x2400 + ord(character))  # the picture of a control character
    return "\N{REPLACEMENT CHARACTER}"


def _cells(character: str) -> int:
    """Returns how many cells of a terminal a visible character takes."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("F", "W") else 1
