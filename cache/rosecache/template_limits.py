"""Keeps templates from taking long or much: what they may not say, and how large what they make may be.

A name has 255 bytes, so that the limits are far from what any name needs. Most of them are checks of the text, and
cost nothing when a name is made. The rest is paid by those templates alone that use what needs it: a loop, a sum, a
filter of jinja2, a method. Nothing here ends a template by the clock: whether a name can be made depends on the
template and the tags alone.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError

from rosecache.errors import TemplateError
from rosecache.formatting import FILTERS, text_of

LONGEST_TEMPLATE = 5000
LONGEST_VALUE = 1000
"""Characters of each value that a name takes; it is cut off far before."""

_LONGEST_TEXT = 10_000
_LONGEST_RANGE = 1000
_LARGEST_NUMBER = 4096
"""Bits."""

_MOST_WORK = 200_000
"""Characters that one step may go through."""

_WEIGHT = 50
"""Characters, for which a value in a list counts beside its own."""

_MOST_IN_LOOPS = 5000
"""Parts of the texts of all loops, times how often they are gone through."""

_LONGEST_PATTERN = 1000
_WIDTH = re.compile(r"%([^a-zA-Z%]*(\d{4}|\*)|\()|\{[^{}]*:[^{}]*(\d{4}|\{)")
"""What makes a formatted text long, with % or braces: a width of thousands, or one that is given beside it."""

_REFUSED_STATEMENTS: Mapping[type[nodes.Node], str] = {
    nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "import", nodes.Extends: "extends",
    nodes.Macro: "macro", nodes.CallBlock: "call", nodes.Block: "block", nodes.With: "with",
    nodes.ScopedEvalContextModifier: "autoescape",
}  # fmt: skip
"""What takes in other templates, or could have a template do the same thing without end."""

_REFUSED_FILTERS = frozenset({
    "batch", "e", "escape", "filesizeformat", "forceescape", "groupby", "indent", "pprint", "random", "safe", "slice",
    "striptags", "tojson", "urlencode", "urlize", "wordwrap", "xmlattr",
})  # fmt: skip
"""Those of jinja2 that make pages, or lists of lists, or another name each time."""

_LITERALS = (nodes.List, nodes.Tuple, nodes.Dict)
_EACH, _JOINED = "for each", "~"
"""Filters that nobody can name in a template, and that stand for what is not a filter there."""


def check_syntax(syntax: nodes.Template) -> None:
    """Raises TemplateError if a template says what no name needs, and what could take for ever."""
    for kind, name in _REFUSED_STATEMENTS.items():
        if syntax.find(kind):
            raise TemplateError(f"{name!r} is not allowed in a template for names")
    for loop in syntax.find_all(nodes.For):
        if loop.recursive or loop.find(nodes.For):
            raise TemplateError("a loop in a loop is not allowed")
    # A list that holds itself twice, and again, and again, would have no end that anybody lives to see.
    for node in syntax.find_all((nodes.Assign, *_LITERALS)):
        if not all(map(_is_constant, node.find_all(_LITERALS))):
            raise TemplateError(
                "a list that is given to a variable, or is in a list, may hold nothing but constants"
            )


def _is_constant(literal: nodes.Node) -> bool:
    return all(
        isinstance(part, (nodes.Const, nodes.Pair, *_LITERALS)) for part in literal.find_all(nodes.Node)
    )


def bound(syntax: nodes.Template) -> None:
    """Limits the loops and the sums of texts of a template."""
    loops = list(syntax.find_all(nodes.For))
    parts = sum(1 for loop in loops for _ in loop.find_all(nodes.Node))
    for loop in loops:
        loop.iter = _filter(loop.iter, _EACH, nodes.Const(_MOST_IN_LOOPS // parts))
    for sum_ in list(syntax.find_all(nodes.Concat)):
        sum_.nodes = [_filter(nodes.List(sum_.nodes, lineno=sum_.lineno), _JOINED)]


def _filter(value: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


# While a name is made ---------------------------------------------------------------------------------------


def filters(plain: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Returns the filters that templates have: ours, and those of jinja2 that are useful for names, limited."""
    found = {name: _guarded(each) for name, each in plain.items() if name not in _REFUSED_FILTERS}
    found["format"] = _formatted(found["format"])
    return {**found, **FILTERS, "center": _centered, _EACH: _few, _JOINED: _joined}


def _guarded(filter: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(filter, "jinja_pass_arg") else 0

    @functools.wraps(filter)
    def guarded(*arguments: Any, **named: Any) -> Any:
        value, *rest = arguments[first:]
        expect_little(value, *rest, *named.values())
        expect_small_numbers(*rest, *named.values())
        result = filter(*arguments, **named)
        if isinstance(result, Iterator):
            result = list(result)
        return expect_short(result)

    return guarded


def _formatted(filter: Callable[..., Any]) -> Callable[..., Any]:
    def formatted(pattern: object, *arguments: Any, **named: Any) -> Any:
        expect_no_width(pattern)
        return filter(pattern, *arguments, **named)

    return formatted


def _centered(value: object, width: int = 80) -> str:
    return text_of(value).center(min(width, LONGEST_VALUE))


def _few(values: Iterable[object], most: int) -> Iterator[object]:
    """Yields values; a template whose loop has more fails, as it cannot be told how much they would take."""
    for count, value in enumerate(values):
        if count == most:
            raise SecurityError(f"loops of this length go through at most {most} values")
        yield value


def _joined(values: Iterable[object]) -> object:
    return expect_short("".join(map(str, values)))


def short_range(*bounds: int) -> range:
    """The ``range`` of templates: a name needs no long one, and an endless one would hang every listing."""
    numbers = range(*bounds)
    if len(numbers) > _LONGEST_RANGE:
        raise SecurityError(f"a range of more than {_LONGEST_RANGE} numbers is not allowed in a template")
    return numbers


def expect_little(*values: object) -> None:
    """Raises SecurityError if what is made of some values could take long: each of one for each of another."""
    sizes = sorted(map(_size, values), reverse=True)
    largest, second = itertools.islice(itertools.chain(sizes, (1, 1)), 2)
    if largest * max(second, 1) > _MOST_WORK:
        raise SecurityError("a value is too long for a name")


def expect_no_width(pattern: object) -> None:
    """Raises SecurityError if a text, after which others are formatted, makes them long."""
    if isinstance(pattern, str) and (len(pattern) > _LONGEST_PATTERN or _WIDTH.search(pattern)):
        raise SecurityError("a width is too large for a name")


def expect_small_numbers(*values: object) -> None:
    """Raises SecurityError if one of some values is a large number, which may be a length."""
    if any(isinstance(value, int) and abs(value) > _LONGEST_TEXT for value in values):
        raise SecurityError("a number is too large for a name")


def expect_short(value: object) -> object:
    """Returns a value. Raises SecurityError if it is too long."""
    if _size(value) > _LONGEST_TEXT:
        raise SecurityError("a text is too long for a name")
    return value


def expect_small_result(operator: str, left: object, right: object) -> None:
    """Raises SecurityError if what an operator makes of two values could be larger than any name."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        too_large = operator in ("*", "**") and bits > _LARGEST_NUMBER
    elif operator == "+":
        too_large = _size(left) + _size(right) > _LONGEST_TEXT
    elif operator == "*":
        too_large = _repeated(left, right) > _LONGEST_TEXT or _repeated(right, left) > _LONGEST_TEXT
    else:
        expect_no_width(left)
        expect_little(left, right)
        too_large = False
    if too_large:
        raise SecurityError(f"what {operator!r} makes is too large for a name")


def _repeated(value: object, times: object) -> int:
    return _size(value) * abs(times) if isinstance(times, int) and not isinstance(value, int) else 0


def _size(value: object) -> int:
    """Returns how many characters a value is worth: about how long it takes to do something to it."""
    if isinstance(value, list | tuple):
        return sum(len(each) if isinstance(each, str) else 1 for each in value) + _WEIGHT * len(value)
    return len(value) if isinstance(value, str | bytes | dict | range) else 1
