"""A click group that imports a command's module only when the command is called.

Its own help is written from a table, so that ``rosefs --help`` answers at once and imports none of the libraries
that the commands need. The help of each command ends with its examples.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from rosefs.cli.examples import epilog_of


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is, and what help says of it while it is not imported."""

    module: str
    attribute: str
    """The name in the module of the command, or of a mapping that has it under its own name."""
    help: str


class LazyGroup(click.Group):
    """A group of ordinary commands, if it is given any, and then of :class:`LazyCommand`, in their order."""

    is_top = False
    """Its commands are called without its own name before theirs."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *self._lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = self._find(ctx, cmd_name)
        if command is not None:
            command.epilog = epilog_of(cmd_name if self.is_top else f"{self.name} {cmd_name}")
        return command

    def _find(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self._lazy.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        found = getattr(importlib.import_module(lazy.module), lazy.attribute)
        command = found[cmd_name] if isinstance(found, Mapping) else found
        if not isinstance(command, click.Command):
            raise TypeError(f"{lazy.module}.{lazy.attribute} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(limit=100)) for name, command in self.commands.items()]
        rows += [(name, command.help) for name, command in self._lazy.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
