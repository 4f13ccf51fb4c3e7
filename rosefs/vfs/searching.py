"""What is searched for: which directory a name below Search stands for, and which releases it lists.

The name of such a directory is that of a search that the configuration has, or a matcher, with ``%2F`` for each slash,
which no name can hold, and ``%25`` for a percent sign before ``2F`` or ``25``. Nothing of it is kept here.
"""

from __future__ import annotations

import functools
import logging
import re
import unicodedata
from collections.abc import Iterable

from rosecache.config import Config
from rosecache.model import Release
from rosecache.query.rows import snapshot
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.matching import find_releases, release_ids_of
from rosefs.rules.model import Matcher
from rosefs.rules.parsing import parse_matcher
from rosefs.rules.smart import Smart, releases_of
from rosefs.settings import SmartKind
from rosefs.vfs.errors import NameTooLongError, NoEntryError
from rosefs.vfs.nodes import SEARCH, Key

log = logging.getLogger(__name__)

_ESCAPED = re.compile("%(?:25|2F)", re.IGNORECASE)
_MAX_BYTES = 255


def is_typed(key: Key) -> bool:
    """Tells whether a directory is, or is below, one that a matcher in a path makes."""
    return key.space == SEARCH and _is_matcher(key.value)


def is_saved(key: Key) -> bool:
    """Tells whether a directory is, or is below, one that the configuration makes."""
    return key.space == SEARCH and bool(key.value) and not _is_matcher(key.value.partition("/")[0])


def _is_matcher(name: str) -> bool:
    # Every matcher has a colon, and no name that is listed has one: they are made safe.
    return ":" in name


def leads_for_good(directory: Key, name: str) -> bool:
    """Tells whether a name in a directory leads where it does now, or nowhere, as long as the directory is there."""
    return _holds_searches(directory) and _is_matcher(name)


def find_search(directory: Key, name: str) -> Key | None:
    """Returns the directory that a matcher below Search makes; None for any other name and place.

    Raises:
        NoEntryError: It is not readable as a matcher.
        NameTooLongError: It has more than 255 bytes.
    """
    if not leads_for_good(directory, name):
        return None
    if len(name.encode()) > _MAX_BYTES:
        raise NameTooLongError(f"{name}: a name has at most {_MAX_BYTES} bytes")
    name = unicodedata.normalize("NFC", name)
    try:
        _matcher(name)
    except RuleSyntaxError as error:
        log.warning("Search: %r is no matcher: column %d: %s", error.text, error.column, error.reason)
        raise NoEntryError(name) from error
    return Key(SEARCH, f"{directory.value}/{name}" if directory.value else name, "")


def searched(c: Config, smart: Iterable[Smart], value: str) -> list[Release]:
    """Returns the releases that all of the searches in the value of a key find, in the order of the first.

    Raises:
        NoEntryError: The configuration does not have the first any more.
    """
    first, *others = value.split("/")
    with snapshot(c):
        if _is_matcher(first):
            found = find_releases(c, _matcher(first))
        else:
            found = releases_of(c, find_smart(smart, "search", first))
        for name in others:
            ids = release_ids_of(c, _matcher(name))
            found = [release for release in found if release.id in ids]
    return found


def find_smart(smart: Iterable[Smart], kind: SmartKind, name: str) -> Smart:
    """Returns the smart list of a kind and a name. Raises NoEntryError if there is none."""
    for each in smart:
        if (each.kind, each.name) == (kind, name):
            return each
    raise NoEntryError(f"{kind} {name} is gone")


def _holds_searches(directory: Key) -> bool:
    return directory.space == SEARCH and not directory.entity


@functools.lru_cache(maxsize=256)
def _matcher(name: str) -> Matcher:
    return parse_matcher(_ESCAPED.sub(lambda found: "%" if found[0] == "%25" else "/", name))
