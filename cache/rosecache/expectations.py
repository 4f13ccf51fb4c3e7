"""What a typed value of the configuration should have been, said in the words of TOML.

msgspec says which key is wrong, in the terms of its own types, and not what would have been right. This module
adds that from the types. Only imported when something is wrong, since it is slow.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from msgspec import inspect

_WORDS = {
    "`str | null`": "text", "`str`": "text", "`int | null`": "a whole number", "`int`": "a whole number",
    "`float`": "a number", "`bool`": "true or false", "`array | null`": "a list", "`array`": "a list",
    "`object`": "a table", "`str | object`": "text or a table", "`datetime`": "a date and time", "`date`": "a date",
    "`time`": "a time",
}  # fmt: skip
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
_NOT_AMONG = re.compile(r"Invalid enum value (.*)", re.DOTALL)


def explain(message: str, kind: type) -> tuple[str, str]:
    """Returns the dotted key that is at fault, and what was expected of it.

    Args:
        message: The text of a ``msgspec.ValidationError``.
        kind: The struct that the value was to become.
    """
    reason, _, place = message.partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    types = list(_types_at(inspect.type_info(kind), key))
    if found := _UNKNOWN_FIELD.fullmatch(reason):
        known = [name for type_ in types for name in _fields(type_)]
        return _joined(key, found[1]), f"unknown key; {_suggestion(found[1], known)}"
    if found := _MISSING_FIELD.fullmatch(reason):
        return _joined(key, found[1]), "missing, and there is no default"
    if found := _NOT_AMONG.fullmatch(reason):
        allowed = [
            value for type_ in types if isinstance(type_, inspect.LiteralType) for value in type_.values
        ]
        return key, f"expected one of {', '.join(map(repr, allowed))}; got {found[1]}"
    for word, shown in _WORDS.items():
        reason = reason.replace(word, shown)
    return key, reason[:1].lower() + reason[1:]


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _types_at(type_: inspect.Type, key: str) -> Iterator[inspect.Type]:
    """Yields the types that a value at a dotted key, such as ``vfs.views[0].name``, may have."""
    found: Iterable[inspect.Type] = [type_]
    for step in _STEP.findall(key):
        found = [below for above in found for one in _alternatives(above) for below in _below(one, step)]
    for one in found:
        yield from _alternatives(one)


def _alternatives(type_: inspect.Type) -> Iterable[inspect.Type]:
    return type_.types if isinstance(type_, inspect.UnionType) else (type_,)


def _below(type_: inspect.Type, step: str) -> Iterator[inspect.Type]:
    match type_:
        case inspect.StructType(fields=fields):
            yield from (field.type for field in fields if field.encode_name == step)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item) if step.startswith("["):
            yield item


def _fields(type_: inspect.Type) -> list[str]:
    return [field.encode_name for field in type_.fields] if isinstance(type_, inspect.StructType) else []
