"""Compiles name templates with jinja2, checks them before they run, and keeps them from doing harm.

This module and ``rosecache.template_limits`` are the ones that import jinja2, which takes longer than many commands
do; only ``rosecache.templates`` imports this one, and only when the first template is compiled. It knows no release
and no track: what a template may mention is told by its caller.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rosecache import template_limits as limits
from rosecache.errors import TemplateError
from rosecache.formatting import FILTERS, text_of
from rosecache.model import ROLES, Artist, ArtistMapping, PartialDate

_VALUE_SLASH = "\x00"
"""Stands for a slash that came with a value, until the template's own slashes are dealt with."""

_LONGEST_SHOWN = 500
"""Characters of a template in an error."""

_FIELDS: Mapping[type, Collection[str]] = {
    Artist: ("name", "alias"), ArtistMapping: ROLES, PartialDate: ("year", "month", "day"),
}  # fmt: skip
"""What values have that is plain data: no check has to find that out for each name."""

_RUNTIME_ERRORS = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""What an expression in a template can raise, given values of any kind."""

_COMPILING_ERRORS = (MemoryError, OverflowError, RecursionError, SyntaxError, ValueError)
"""What jinja2 and Python can raise for templates that are nested too deep, or have numbers of thousands of digits."""


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
            TemplateError: It has a syntax error, says what no name needs, or mentions a variable, filter, test or
                key that does not exist. The error says which, and what does exist.
        """
        environment = _environment(strict)
        self._shown = repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")
        if len(text) > limits.LONGEST_TEMPLATE:
            raise TemplateError(f"template {self._shown}: longer than {limits.LONGEST_TEMPLATE} characters")
        try:
            syntax = environment.parse(text)
            limits.check_syntax(syntax)
            _check(syntax, environment)
            self.variables = frozenset(meta.find_undeclared_variables(syntax))
            self._globals = dict(environment.globals)
            _check_variables(syntax, self.variables, known)
            limits.bound(syntax)
            syntax.set_environment(environment)
            self._template = environment.from_string(syntax)
        except jinja2.TemplateSyntaxError as error:
            line = f" in line {error.lineno}" if "\n" in text else ""
            raise TemplateError(f"template {self._shown}: {error.message}{line}") from error
        except TemplateError as error:
            raise TemplateError(f"template {self._shown}: {error}") from error
        except _COMPILING_ERRORS as error:
            raise TemplateError(f"template {self._shown}: too much of a template: {error}") from error

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
            raise TemplateError(f"template {self._shown}: {error}") from error


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox that says so when it refuses something; the plain one would show nothing in its place."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Computes what could become larger than any name, or refuses to."""
        limits.expect_small_result(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: jinja2.runtime.Context, called: Any, /, *arguments: Any, **named: Any) -> Any:
        """Calls a method, whose result may be as long as a name is at most."""
        called_on = getattr(getattr(called, "__wrapped__", called), "__self__", None)
        if getattr(called, "__name__", "") in ("format", "format_map"):
            limits.expect_no_width(called_on)
        limits.expect_little(called_on, *arguments, *named.values())
        limits.expect_small_numbers(*arguments, *named.values())
        return limits.expect_short(super().call(context, called, *arguments, **named))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Returns an attribute: of our own values at once, of anything else only if that is safe."""
        if attribute in _FIELDS.get(type(obj), ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def unsafe_undefined(self, obj: object, attribute: str) -> jinja2.Undefined:
        raise jinja2.exceptions.SecurityError(f"access to {attribute!r} is not allowed in a template")


@functools.cache
def _environment(strict: bool) -> _Environment:
    environment = _Environment(
        undefined=jinja2.StrictUndefined if strict else jinja2.Undefined, finalize=_finalize, cache_size=0
    )
    environment.filters = limits.filters(environment.filters)
    environment.globals = {"range": limits.short_range, "namespace": environment.globals["namespace"]}
    return environment


def _finalize(value: object) -> str:
    """Turns the value of an expression into text, as much of it as a name can have, with its slashes marked."""
    return text_of(value)[: limits.LONGEST_VALUE].replace("/", _VALUE_SLASH)


def _check(syntax: nodes.Template, environment: _Environment) -> None:
    for used, existing, what in (
        (_names(syntax.find_all(nodes.Filter)), environment.filters, "filter"),
        (_names(syntax.find_all(nodes.Test)), environment.tests, "test"),
    ):
        for name in used:
            if name not in existing:
                public = [key for key in existing if key.isidentifier()]
                own = [key for key in public if key in FILTERS or what != "filter"]
                raise TemplateError(_unknown(what, name, public, shown=own))


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
