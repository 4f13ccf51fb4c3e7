"""What the options of ``rosefs`` itself decide: which configuration is read, and how much is said.

Everything of weight is imported when it is asked for, since this module is imported for ``rosefs --help`` too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rosefs.settings import Settings


@dataclass(slots=True)
class State:
    """The options of ``rosefs`` itself.

    Attributes:
        config_path: The configuration file asked for; None for the usual one, if there is one.
        verbosity: How often ``-v`` was given.
    """

    config_path: Path | None = None
    verbosity: int = 0

    @property
    def used_config_path(self) -> Path:
        """The configuration file asked for, or else the usual one, which need not exist."""
        if self.config_path is not None:
            return self.config_path
        import platformdirs

        return platformdirs.user_config_path("rosefs") / "config.toml"

    @property
    def has_configuration(self) -> bool:
        """Whether a configuration file was asked for, or the usual one exists."""
        return self.config_path is not None or self.used_config_path.exists()

    def resolved(self, config_path: Path | None = None) -> State:
        """Returns the same with another configuration file, if given; its path holds in any directory."""
        path = config_path or self.config_path
        return State(path if path is None else Path(os.path.abspath(path)), self.verbosity)

    def settings(self, *, source: Path | None = None) -> Settings:
        """Reads the configuration.

        Args:
            source: The music directory, in place of the configured one. With it, no file is needed.

        Raises:
            ConfigError: There is no configuration, or it is wrong.
        """
        from rosecache.config import read_toml
        from rosecache.errors import ConfigError
        from rosefs.settings import Settings

        path = self.used_config_path
        values: dict[str, Any] = {}
        if self.has_configuration:
            values = read_toml(path)
        elif source is None:
            raise ConfigError(
                "there is no such configuration file; run 'rosefs config init' to start one, "
                "or name another by 'rosefs --config PATH'",
                path=path,
            )
        if source is not None:
            values["music_source_dir"] = os.path.abspath(source)
        return Settings.from_mapping(values, path=path)


pass_state = click.make_pass_decorator(State, ensure=True)
