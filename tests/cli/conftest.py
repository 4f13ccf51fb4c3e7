"""What the tests of commands get: a library with a configuration file, and a way to call commands on it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rosecache.config import Config
from rosefs.cli.logs import COMMANDS_LOGGER, PACKAGES
from rosefs.cli.main import cli


class Cli:
    """Calls ``rosefs`` with a configuration file, in this process and without a terminal."""

    def __init__(self, config: Path) -> None:
        self.config = config

    def __call__(self, *args: str | Path, status: int = 0) -> Result:
        """Runs a command line and returns what came of it, once its exit status is as expected."""
        result = CliRunner().invoke(cli, ["--config", str(self.config), *map(str, args)])
        assert result.exit_code == status, result.output
        return result

    def lines(self, *args: str | Path) -> list[list[str]]:
        """Returns the output's lines, taken apart at the tabs."""
        return [line.split("\t") for line in self(*args).stdout.splitlines()]

    def json(self, *args: str | Path) -> Any:
        """Returns the output with ``--json``."""
        return json.loads(self(*args, "--json").stdout)

    def error(self, *args: str | Path, status: int = 1) -> str:
        """Returns the error of a command that fails, without the program's name."""
        result = self(*args, status=status)
        assert result.stdout == ""
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("rosefs: error: ")]
        return line.removeprefix("rosefs: error: ")


@pytest.fixture
def rosefs(c: Config, tmp_path: Path) -> Cli:
    """The commands, on the library of ``c``."""
    config = tmp_path / "config.toml"
    config.write_text(
        f"music_source_dir = '{c.music_source_dir}'\ncache_dir = '{c.cache_dir}'\nmax_proc = 2\n"
        f"state_dir = '{tmp_path / 'state'}'\n",
        encoding="utf-8",
    )
    return Cli(config)


@pytest.fixture
def mountpoint(tmp_path: Path) -> Path:
    """An empty directory whose name needs quoting."""
    directory = tmp_path / "my mnt"
    directory.mkdir()
    return directory


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (*PACKAGES, COMMANDS_LOGGER)]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers = handlers
