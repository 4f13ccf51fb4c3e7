"""The options of ``rosefs mount -o``, as mount(8), /etc/fstab and other file systems write them.

Two tables say which there are, and which are other programs' business. Reads nothing but the names of users and groups.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import replace


class Options(msgspec.Struct, frozen=True):
    """What the options say; None for what they do not mention."""

    read_only: bool | None = None
    allow_other: bool = False
    uid: int | None = None
    gid: int | None = None
    umask: int | None = None
    config: Path | None = None
    binding: str | None = None
    view: str | None = None


def _user(text: str) -> int:
    return _id(text) if text.isdecimal() else pwd.getpwnam(text).pw_uid


def _group(text: str) -> int:
    return _id(text) if text.isdecimal() else grp.getgrnam(text).gr_gid


def _id(text: str) -> int:
    number = int(text)
    if number > _LARGEST_ID:
        raise ValueError(text)
    return number


def _permissions(text: str) -> int:
    number = int(text, 8)
    if not 0 <= number <= 0o777:
        raise ValueError(text)
    return number


_LARGEST_ID = 2**32 - 2
"""Of a user or a group: 32 bits, and the number above means none."""


class _Value(msgspec.Struct, frozen=True):
    """An option with a value: which field it sets, how its text is read, and what is expected of it."""

    field: str
    read: Callable[[str], Any]
    expected: str


_FLAGS: Mapping[str, Mapping[str, Any]] = {
    "ro": {"read_only": True},
    "rw": {"read_only": False},
    "allow_other": {"allow_other": True},
    "default_permissions": {},  # is so in any case
}
"""The options without a value, and which fields they set."""

_VALUES: Mapping[str, _Value] = {
    "uid": _Value("uid", _user, "the name or number of a user"),
    "gid": _Value("gid", _group, "the name or number of a group"),
    "umask": _Value("umask", _permissions, "permissions in octal, such as 022"),
    "config": _Value("config", Path, "a path"),
    "fuse": _Value("binding", str, "a binding"),
    "view": _Value("view", str, "a view"),
}

_OTHERS = frozenset(
    (
        "", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev", "exec",
        "noexec", "suid", "nosuid", "dev", "nodev", "atime", "noatime", "relatime", "norelatime", "diratime",
        "nodiratime", "strictatime", "lazytime", "nolazytime", "sync", "async", "dirsync",
    )
)  # fmt: skip
"""What mount(8) and systemd act upon, and what is of no meaning here. Helpers are given all of it."""

_OTHERS_BY_START = ("x-", "X-", "comment=", "user=")


def known_options() -> str:
    """Returns what can be said, for messages."""
    return ", ".join([*_FLAGS, *(f"{name}=" for name in _VALUES)])


def is_option(text: str) -> bool:
    """Tells whether there is such an option, here or for other programs; its value may still be wrong."""
    name, equals, _ = text.partition("=")
    if text in _OTHERS or text.startswith(_OTHERS_BY_START):
        return True
    return name in _VALUES if equals else text in _FLAGS


def parse_options(texts: Sequence[str]) -> Options:
    """Returns what some lists of options, each with commas between, say. What is said later counts.

    Raises:
        click.BadParameter: An option does not exist, or has a value that it cannot have.
    """
    options = Options()
    for text in split_options(texts):
        name, _, value = text.partition("=")
        if not is_option(text):
            raise click.BadParameter(
                f"there is no mount option {text!r}; there are {known_options()}", param_hint="'-o'"
            )
        if text in _FLAGS:
            options = replace(options, **_FLAGS[text])
        elif name in _VALUES:
            options = replace(options, **{_VALUES[name].field: _read(name, value)})
    return options


def split_options(texts: Sequence[str]) -> Iterator[str]:
    """Yields the options of some lists, each with commas between."""
    for text in texts:
        yield from text.split(",")


def _read(name: str, value: str) -> Any:
    kind = _VALUES[name]
    try:
        if not value:
            raise ValueError(value)
        return kind.read(value)
    except (ValueError, KeyError) as error:
        raise click.BadParameter(f"{name}={value}: expected {kind.expected}", param_hint="'-o'") from error
