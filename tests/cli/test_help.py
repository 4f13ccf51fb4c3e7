"""Help: quick to come, complete, and the same as the documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import rosefs
from rosecache import Config, update_cache
from rosefs.cli.main import COMMANDS, cli
from tests.cli.conftest import Cli
from tests.support.audio import make_release
from tests.support.commands import Rosefs

REPOSITORY = Path(__file__).parents[2]
HEAVY = {
    "trio",
    "watchfiles",
    "mutagen",
    "jinja2",
    "rich",
    "pyfuse3",
    "llfuse",
    "msgspec",
    "sqlite3",
    "tomlkit",
    "rosecache",
}

Path_ = tuple[str, ...]


def commands(command: click.Command = cli, path: Path_ = ()) -> Iterator[tuple[Path_, click.Command]]:
    """Yields every command with the words that call it, groups too."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


ALL = dict(commands())


def imported_by(*args: str | Path) -> set[str]:
    """Returns the packages that a command line has imported when it ends."""
    program = (
        "import sys; from rosefs.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print('\\n', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", program, *map(str, args)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(ran.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("args", [("--help",), ("-h",), ("--version",), ()], ids=" ".join)
def test_help_imports_none_of_the_libraries_that_commands_need(args: tuple[str, ...]) -> None:
    assert imported_by(*args).isdisjoint(HEAVY)


def test_listing_imports_neither_fuse_nor_what_reads_tags_and_renders_names(rosefs: Cli) -> None:
    rosefs("cache", "update")
    imported = imported_by("-c", rosefs.config, "releases", "list")
    assert "sqlite3" in imported
    assert imported.isdisjoint({"trio", "mutagen", "jinja2", "rich", "pyfuse3", "llfuse"})


def test_the_status_is_shown_without_what_updates_and_mounts_need(rosefs: Cli) -> None:
    imported = imported_by("-c", rosefs.config, "status")
    assert imported.isdisjoint({"trio", "watchfiles", "mutagen", "jinja2", "rich", "pyfuse3", "llfuse"})


def test_a_mount_answers_before_it_imports_what_reads_tags_renders_names_and_edits(
    c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(c.music_source_dir, "R")
    update_cache(c)
    rosefs = Rosefs.set_up(c, tmp_path / "config.toml")
    with rosefs.config_path.open("a") as file:
        file.write('[watch]\nmode = "off"\n')
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # every import is a line in the log
    with rosefs.mount(tmp_path / "mnt", "pyfuse3", watch=True) as mounted:
        assert "Releases" in os.listdir(mounted.path)
    imported = {line.rpartition("|")[2].strip() for line in mounted.log_path.read_text().splitlines()}
    assert "rosefs.vfs.filesystem" in imported
    assert imported.isdisjoint(
        {
            "watchfiles",
            "mutagen.id3",
            "jinja2",
            "rich",
            "tomlkit",
            "uuid6",
            "rosefs.cli.browse",
            "rosefs.watch",
        }
    )


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    listed = re.findall(r"^  (\w+)  +\S", shown.output.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(COMMANDS)


def test_version() -> None:
    shown = CliRunner().invoke(cli, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"rosefs {rosefs.__version__}\n")


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: Path_) -> None:
    shown = CliRunner().invoke(cli, [*path, "--help"])
    assert shown.exit_code == 0
    assert ALL[path].help
    options = [option for option in ALL[path].params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_option_is_documented(path: Path_) -> None:
    text = (REPOSITORY / "docs/commands.md").read_text(encoding="utf-8")
    words = [word for option in ALL[path].params for word in (*option.opts, *option.secondary_opts)]
    options = [word for word in words if word.startswith("-")]
    missing = [word for word in (*path, *options) if not re.search(rf"(?<![\w-]){word}(?![\w-])", text)]
    assert missing == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["releases", "nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option '--nonsense'"),
        (["releases", "show"], "Missing argument 'NAME-OR-ID-OR-PATH'"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_shows_the_usage(args: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    usage, error = result.stderr.splitlines()
    assert usage.startswith("Usage: ")
    assert error.startswith(f"rosefs: error: {said}")
