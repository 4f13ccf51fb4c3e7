"""What actions make of values. Pure: takes values and returns others, and touches no file.

Tags that follow from others, such as ``parentgenre``, stay as they are; they follow when the files are read.
"""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence

from rosecache.tags.fields import Container
from rosefs.rules.checking import checked
from rosefs.rules.errors import RuleTimeError, RuleValueError
from rosefs.rules.model import LIST_TAGS, Action, Add, Behavior, Delete, Pattern, Replace, Sed, Split, Tag
from rosefs.rules.timing import computing_at_most
from rosefs.rules.values import TagValues, matches

_MOST_SECONDS = 1.0
"""Of computing, for one regular expression and one value."""

_LONGEST_VALUE = 100_000
"""Characters that a regular expression is tried on: replacing each of them makes a text that memory can hold."""


def act(actions: Iterable[Action], values: TagValues, container: Container = "vorbis") -> TagValues:
    """Returns what the values are after some actions, each on what the one before has left.

    Tags that no action names, and those that are not among the values, stay as they are.

    Args:
        actions: What is done, in order.
        values: What there is.
        container: The kind of file that the values are in: not every one holds every number.

    Raises:
        RuleValueError: An action makes something that cannot be a value of its tag.
        RuleTimeError: A regular expression would take too long.
    """
    found = dict(values)
    for action in actions:
        for tag in action.tags:
            if tag in found:
                found[tag] = _changed(action, tag, found[tag], container)
    return found


@functools.lru_cache(maxsize=64)
def compiled(sed: Sed) -> re.Pattern[str]:
    """Returns the regular expression, after it was tried with the replacement.

    Raises:
        re.error: The regular expression is none, or the replacement does not go with it.
        IndexError: The replacement names a group that the regular expression does not have.
        OverflowError: A repetition is too large.
        RecursionError: Groups are nested too deep.
    """
    with warnings.catch_warnings():
        # Python thinks of what a future version may take otherwise; that is no help with a rule.
        warnings.simplefilter("ignore")
        pattern = re.compile(sed.regex)
        pattern.sub(sed.replacement, "")
    return pattern


def pieces(text: str) -> tuple[str, ...]:
    """Returns the values that a text stands for in a tag that can have several."""
    return _tidy(text.split(";"))


def _changed(action: Action, tag: Tag, present: tuple[str, ...], container: Container) -> tuple[str, ...]:
    try:
        made = _made(action, tag, present)
    except TimeoutError as error:
        raise RuleTimeError(tag, ";".join(present)) from error
    if made == present:
        return present
    try:
        return checked(tag, made, container)
    except ValueError as error:
        raise RuleValueError(tag, ";".join(made), str(error)) from error


def _made(action: Action, tag: Tag, present: tuple[str, ...]) -> tuple[str, ...]:
    pattern, behavior = action.pattern, action.behavior
    if isinstance(behavior, Add):
        if any(_fits(pattern, value) for value in present or ("",)):
            return _tidy([*present, *pieces(behavior.text)])
        return present
    # No value counts as an empty one, but that of a list is changed only if the pattern asks for just that.
    considered = present or (("",) if tag not in LIST_TAGS or _asks_for_nothing(pattern) else ())
    if not any(_fits(pattern, value) for value in considered):
        return present
    made: list[str] = []
    for value in considered:
        if not _fits(pattern, value):
            made.append(value)
        elif tag in LIST_TAGS:
            made += [piece for result in _results(behavior, value) for piece in result.split(";")]
        else:
            made += _results(behavior, value)
    return _tidy(made)


def _fits(pattern: Pattern | None, value: str) -> bool:
    return pattern is None or matches(pattern, value)


def _asks_for_nothing(pattern: Pattern | None) -> bool:
    return pattern is not None and not pattern.text and pattern.at_start and pattern.at_end


def _results(behavior: Behavior, value: str) -> Sequence[str]:
    match behavior:
        case Replace(text=text):
            return [text]
        case Sed(replacement=replacement):
            return [_substituted(compiled(behavior), replacement, value)]
        case Split(delimiter=delimiter):
            return value.split(delimiter)
        case Delete():
            return []
        case Add():
            return [value]


def _substituted(regex: re.Pattern[str], replacement: str, value: str) -> str:
    if len(value) > _LONGEST_VALUE:
        raise TimeoutError
    with computing_at_most(_MOST_SECONDS):
        return regex.sub(replacement, value)


def _tidy(texts: Iterable[str]) -> tuple[str, ...]:
    """Returns the texts in NFC and without blanks at the ends, each once, without the empty ones."""
    stripped = (unicodedata.normalize("NFC", text).strip() for text in texts)
    return tuple(dict.fromkeys(text for text in stripped if text))
