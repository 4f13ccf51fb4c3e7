"""Compiles name templates with jinja2, checks them before they run, and keeps them from doing harm.

This is the one module that imports jinja2, which takes longer than many commands do; only
``rosecache.templates`` imports it, and only when the first template is compiled. It knows no release and
no track: what a template may mention is told by its caller.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rosecache.errors import TemplateError
from rosecache.formatting import FILTERS, text_of

_VALUE_SLASH = "\x00"
"""Stands for a slash that came with a value, until the template's own slashes are dealt with."""

_LONGEST_RANGE = 1000
_LONGEST_TEXT = 10_000
_LARGEST_EXPONENT = 64
_WIDTH = re.compile(r"%[^a-zA-Z%]*(\d{4}|\*)")
"""What makes a formatted text long: a width of thousands, or one that is given beside it."""

_RUNTIME_ERRORS = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""What an expression in a template can raise, given values of any kind."""

_REFUSED_STATEMENTS: dict[type[nodes.Node], str] = {
    nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "import", nodes.Extends: "extends",
}  # fmt: skip


class CompiledTemplate:
    """A template ready to render. Immutable, and safe to use from several threads at once.

    Attributes:
        variables: The names that the template mentions: what :meth:`render` has to be given.
    """

    def __init__(
        self, text: str, known: Mapping[str, Collection[str] | None], *, strict: bool = False
    ) -> None:
        """Compiles a template.

        Args:
            text: The template.
            known: The variables that it may mention. Each maps to the keys that it has, or to None where
                these are not checked.
            strict: Rendering fails on an attribute or key that is not there, instead of showing nothing.

        Raises:
            TemplateError: It has a syntax error, or mentions a variable, filter, test or key that does not
                exist. The error says which, and what does exist.
        """
        environment = _environment(strict)
        self._text = text
        try:
            syntax = environment.parse(text)
            _check(syntax, environment)
            self.variables = frozenset(meta.find_undeclared_variables(syntax))
            self._globals = dict(environment.globals)
            _check_variables(syntax, self.variables, known)
            self._template = environment.from_string(syntax)
        except jinja2.TemplateSyntaxError as error:
            line = f" in line {error.lineno}" if "\n" in text else ""
            raise TemplateError(f"template {text!r}: {error.message}{line}") from error
        except TemplateError as error:
            raise TemplateError(f"template {text!r}: {error}") from error

    def render(self, values: Mapping[str, object]) -> str:
        """Returns the text for these values. Raises TemplateError if the template cannot cope with one."""
        return self._render(values).replace(_VALUE_SLASH, "/")

    def render_segments(self, values: Mapping[str, object]) -> list[str]:
        """Returns the parts between the template's own slashes; a slash in a value becomes ``_``.

        Parts that come out empty are left out, unless all do. Raises TemplateError as :meth:`render` does.
        """
        text = self._render(values)
        segments = [segment for segment in text.split("/") if segment.strip()] or [text.strip("/")]
        return [segment.replace(_VALUE_SLASH, "_") for segment in segments]

    def _render(self, values: Mapping[str, object]) -> str:
        # A context made for each name by way of Template.render costs several times as much: it merges chains
        # of global variables, of which a name hardly ever needs one.
        context = self._template.new_context({**self._globals, **values}, shared=True)
        try:
            return "".join(self._template.root_render_func(context))
        except _RUNTIME_ERRORS as error:
            raise TemplateError(f"template {self._text!r}: {error}") from error


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox that says so when it refuses something; the plain one would show nothing in its place."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Computes what could become larger than any name, or refuses to."""
        if operator == "*":
            too_large = _length_of(left) * _number_of(right) > _LONGEST_TEXT
            too_large = too_large or _length_of(right) * _number_of(left) > _LONGEST_TEXT
        elif operator == "**":
            too_large = _number_of(right) > _LARGEST_EXPONENT
        else:
            too_large = isinstance(left, str) and _WIDTH.search(left) is not None
        if too_large:
            raise jinja2.exceptions.SecurityError(f"what {operator!r} makes is too large for a name")
        return super().call_binop(context, operator, left, right)

    def unsafe_undefined(self, obj: object, attribute: str) -> jinja2.Undefined:
        raise jinja2.exceptions.SecurityError(f"access to {attribute!r} is not allowed in a template")


@functools.cache
def _environment(strict: bool) -> _Environment:
    environment = _Environment(
        undefined=jinja2.StrictUndefined if strict else jinja2.Undefined, finalize=_finalize, cache_size=0
    )
    environment.filters.update(FILTERS)
    environment.globals = {"range": _short_range, "namespace": environment.globals["namespace"]}
    return environment


def _length_of(value: object) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _number_of(value: object) -> int:
    return abs(value) if isinstance(value, int) else 0


def _finalize(value: object) -> str:
    """Turns the value of an expression into text, with its slashes marked."""
    return text_of(value).replace("/", _VALUE_SLASH)


def _short_range(*bounds: int) -> range:
    """The ``range`` of templates: a name needs no long one, and an endless one would hang every listing."""
    numbers = range(*bounds)
    if len(numbers) > _LONGEST_RANGE:
        raise ValueError(f"a range of more than {_LONGEST_RANGE} numbers is not allowed in a template")
    return numbers


def _check(syntax: nodes.Template, environment: _Environment) -> None:
    for kind, name in _REFUSED_STATEMENTS.items():
        if syntax.find(kind):
            raise TemplateError(f"{name!r} is not allowed, a template stands alone")
    for used, existing, what in (
        (_names(syntax.find_all(nodes.Filter)), environment.filters, "filter"),
        (_names(syntax.find_all(nodes.Test)), environment.tests, "test"),
    ):
        for name in used:
            if name not in existing:
                own = [key for key in existing if key in FILTERS or what != "filter"]
                raise TemplateError(_unknown(what, name, existing, shown=own))


def _names(found: Iterable[nodes.Filter | nodes.Test]) -> Iterator[str]:
    return (node.name for node in found)


def _check_variables(
    syntax: nodes.Template, mentioned: Collection[str], known: Mapping[str, Collection[str] | None]
) -> None:
    for name in sorted(mentioned):
        if name not in known:
            raise TemplateError(_unknown("variable", name, known))
    for node, key in _accesses(syntax):
        name = node.name if isinstance(node, nodes.Name) else ""
        keys = known.get(name)
        if keys is not None and key not in keys and not hasattr(dict, key):
            raise TemplateError(_unknown(f"key of {name},", key, keys))


def _accesses(syntax: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    """Yields what is accessed by which name, in ``thing.name`` as in ``thing["name"]``."""
    for attribute in syntax.find_all(nodes.Getattr):
        yield attribute.node, attribute.attr
    for item in syntax.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const) and isinstance(item.arg.value, str):
            yield item.node, item.arg.value


def _unknown(what: str, name: str, existing: Iterable[str], *, shown: Iterable[str] | None = None) -> str:
    existing = sorted(existing)
    close = difflib.get_close_matches(name, existing, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = ", ".join(sorted(existing if shown is None else shown))
    return f"unknown {what} {name!r}; {hint}known: {listed}"
