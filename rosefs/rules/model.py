"""The values that rules are made of. What they look like as text is in ``parsing`` and ``printing``."""

from __future__ import annotations

from typing import Literal

import msgspec

from rosecache.model import ROLES

Tag = str
"""The name of a tag, one of TAGS."""

TRACK_TAGS: tuple[Tag, ...] = (
    "tracktitle",
    "tracknumber",
    "tracktotal",
    "discnumber",
    *(f"trackartist[{role}]" for role in ROLES),
)
"""Tags of each track."""

RELEASE_TAGS: tuple[Tag, ...] = (
    "disctotal",
    *(f"releaseartist[{role}]" for role in ROLES),
    "releasetitle", "releasetype", "releasedate", "originaldate", "compositiondate",
    "genre", "parentgenre", "secondarygenre", "parentsecondarygenre", "descriptor", "label",
    "catalognumber", "edition", "new",
)  # fmt: skip
"""Tags that all tracks of a release share."""

TAGS: tuple[Tag, ...] = TRACK_TAGS + RELEASE_TAGS

DERIVED_TAGS: frozenset[Tag] = frozenset({"tracktotal", "disctotal", "parentgenre", "parentsecondarygenre"})
"""Tags that can be matched, and not changed: no file holds them, they follow from others."""

LIST_TAGS: frozenset[Tag] = frozenset(
    {tag for tag in TAGS if "artist[" in tag}
    | {"genre", "parentgenre", "secondarygenre", "parentsecondarygenre", "descriptor", "label"}
)
"""Tags that hold any number of values."""

ALIASES: dict[str, tuple[Tag, ...]] = {
    "trackartist": tuple(f"trackartist[{role}]" for role in ROLES),
    "releaseartist": tuple(f"releaseartist[{role}]" for role in ROLES),
    "artist": tuple(f"{kind}[{role}]" for kind in ("trackartist", "releaseartist") for role in ROLES),
}
"""Names that stand for several tags."""


class Pattern(msgspec.Struct, frozen=True):
    """What a value is compared with.

    Attributes:
        text: The text to find in a value; empty is in every value.
        at_start: It has to begin the value.
        at_end: It has to end the value.
        ignore_case: Case makes no difference.
    """

    text: str
    at_start: bool = False
    at_end: bool = False
    ignore_case: bool = False


class Matcher(msgspec.Struct, frozen=True):
    """Which tracks: those of which any value of any of the tags matches. The tags are in order, each once."""

    tags: tuple[Tag, ...]
    pattern: Pattern


class Replace(msgspec.Struct, frozen=True):
    """The value becomes the text; where there may be several, those that it holds between semicolons."""

    text: str
    kind: Literal["replace"] = "replace"


class Sed(msgspec.Struct, frozen=True):
    """Whatever the regular expression matches in the value is replaced, see :func:`re.sub`."""

    regex: str
    replacement: str
    kind: Literal["sed"] = "sed"


class Split(msgspec.Struct, frozen=True):
    """The value becomes what is between the delimiters in it."""

    delimiter: str
    kind: Literal["split"] = "split"


class Add(msgspec.Struct, frozen=True):
    """The tag gets one more value."""

    text: str
    kind: Literal["add"] = "add"


class Delete(msgspec.Struct, frozen=True):
    """The value goes."""

    kind: Literal["delete"] = "delete"


Behavior = Replace | Sed | Split | Add | Delete


class Action(msgspec.Struct, frozen=True):
    """What is done, to which values of which tags. ``pattern``: None means every value."""

    tags: tuple[Tag, ...]
    pattern: Pattern | None
    behavior: Behavior


class Rule(msgspec.Struct, frozen=True):
    """Actions, in order, on each track that matches and that no ``ignore`` matches."""

    matcher: Matcher
    actions: tuple[Action, ...]
    ignore: tuple[Matcher, ...] = ()
