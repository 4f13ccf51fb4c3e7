"""A collage or playlist as text, one line a member, for an editor: lines are moved and removed, not changed.

What was read is kept, so that members that somebody else adds meanwhile stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from rosecache.config import Config
from rosecache.datafiles import Member
from rosecache.update.lists import Kind
from rosefs.library.errors import EditTextError
from rosefs.library.journal import Journal
from rosefs.library.lists import changing, expect_list
from rosefs.library.memberfiles import MemberFile

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_Occurrence = tuple[str, int]
"""A member: its id, and which of that id it is, from 1."""


class ListText(msgspec.Struct, frozen=True):
    """A list as text.

    Attributes:
        kind: COLLAGES or PLAYLISTS.
        name: Its name.
        lines: The members' lines, in order, no two the same.
        members: Which member each line is, by id and number of occurrence.
    """

    kind: Kind
    name: str
    lines: tuple[str, ...]
    members: tuple[_Occurrence, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


class Applied(msgspec.Struct, frozen=True):
    """What an edited text did: how many members were removed, and whether those that stay changed places."""

    removed: int
    reordered: bool


def edit_text(c: Config, kind: Kind, name: str) -> ListText:
    """Returns a list as text. Raises NotFoundError, InvalidNameError, InvalidDatafileError or OSError."""
    file = MemberFile.read(expect_list(c, kind, name), kind.key)
    plain = [_line(member) for member in file.members]
    taken = set(plain)
    lines: dict[str, None] = {}
    numbers: Counter[str] = Counter()
    for line in plain:
        # Of equal lines the first stays as it is; nobody gets a line that is somebody else's own.
        candidate = line
        while candidate in lines or (numbers[line] and candidate in taken):
            numbers[line] += 1
            candidate = f"{line} [{numbers[line] + 1}]"
        lines[candidate] = None
    return ListText(kind, name, tuple(lines), _occurrences(file.members))


def apply_text(c: Config, journal: Journal, before: ListText, text: str) -> Applied:
    """Gives a list the order of an edited text; members whose lines are gone are removed.

    Blank lines mean nothing. Members added to the list since it was made text come last.

    Raises:
        EditTextError: A line is no member's, or is there twice; nothing was changed.
        NotFoundError, InvalidDatafileError, OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    wanted = _read(before, text)
    with changing(c, journal, before.kind, before.name, f"edit {before.kind.name} {before.name}") as (
        edit,
        file,
    ):
        now = {occurrence: index for index, occurrence in enumerate(_occurrences(file.members))}
        old = [now[occurrence] for occurrence in before.members if occurrence in now]
        chosen = [now[occurrence] for occurrence in wanted if occurrence in now]
        known = set(before.members)
        newer = [index for occurrence, index in now.items() if occurrence not in known]
        order = [*chosen, *newer]
        if order != list(range(len(file.members))):
            edit.replace(file.path, file.with_members(order))
    staying = set(chosen)
    kept = [index for index in sorted(old) if index in staying]
    return Applied(len(old) - len(chosen), chosen != kept)


def _read(before: ListText, text: str) -> list[_Occurrence]:
    """Returns the members that a text lists, in its order."""
    by_line = dict(zip(before.lines, before.members, strict=True))
    found: dict[_Occurrence, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip()
        if not line:
            continue
        occurrence = by_line.get(line)
        if occurrence is None:
            raise EditTextError(number, line, f"no member of the {before.kind.name} has this line")
        if occurrence in found:
            raise EditTextError(number, line, f"this is line {found[occurrence]} again")
        found[occurrence] = number
    return list(found)


def _line(member: Member) -> str:
    """Returns what a member is called, on one line."""
    return _UNFIT.sub(" ", member.description).strip() or member.id


def _occurrences(members: Sequence[Member]) -> tuple[_Occurrence, ...]:
    seen: Counter[str] = Counter()
    found = []
    for member in members:
        seen[member.id] += 1
        found.append((member.id, seen[member.id]))
    return tuple(found)
