"""The unit that ``rosefs config systemd`` prints: systemd reads from it the words that were meant."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit

from rosecache.config import Config
from tests.cli.conftest import Cli

ODD = "m n$t %h \"q\" 'a' \\x #;é"


class Unit(configparser.ConfigParser):
    """A parser that keeps the case of keys."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def words_of(line: str) -> list[str]:
    """Takes a command line apart as systemd.service(5) and systemd.syntax(7) say."""
    words = re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', line)
    plain = [re.sub(r"\\(.)", r"\1", quoted) or bare for quoted, bare in words]
    assert not [word for word in plain if re.search(r"(?<!%)%(?:%%)*(?!%)|(?<!\$)\$(?:\$\$)*(?!\$)", word)]
    return [word.replace("%%", "%").replace("$$", "$") for word in plain]


def unit_of(rosefs: Cli) -> tuple[str, configparser.SectionProxy]:
    text = rosefs("config", "systemd").stdout
    parser = Unit(interpolation=None, delimiters="=", comment_prefixes="#")
    parser.read_string(text)
    return text, parser["Service"]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The program, in a directory of the name that the test asks for."""
    path = tmp_path / getattr(request, "param", "bin") / "rosefs"
    path.parent.mkdir()
    path.symlink_to("/bin/true")
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


def configure(rosefs: Cli, c: Config, mount_dir: Path, name: str) -> Path:
    path = rosefs.config.with_name(name)
    path.write_text(
        tomlkit.dumps({"music_source_dir": str(c.music_source_dir), "vfs": {"mount_dir": str(mount_dir)}})
    )
    rosefs.config = path
    return path


@pytest.mark.parametrize("program", ["bin", "p q$r %h é", ODD], indirect=True)
def test_systemd_reads_what_was_meant(c: Config, rosefs: Cli, tmp_path: Path, program: Path) -> None:
    mount_dir = tmp_path / ODD
    config = configure(rosefs, c, mount_dir, f"{ODD}.toml")
    text, service = unit_of(rosefs)
    start, stop = words_of(service["ExecStart"]), words_of(service["ExecStop"].removeprefix("-"))
    env = ["/usr/bin/env"] if start[0] == "/usr/bin/env" else []
    assert start == [*env, str(program), "--config", str(config), "mount", "--foreground"]
    assert stop == [*env, str(program), "--config", str(config), "unmount", str(mount_dir)]
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    if (verify := shutil.which("systemd-analyze")) is not None:
        (tmp_path / "units").mkdir()
        (tmp_path / "units/rosefs.service").write_text(text)
        ran = subprocess.run(
            [verify, "verify", "--user", "rosefs.service"], cwd=tmp_path / "units", capture_output=True, text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, "")


def test_the_program_is_the_interpreter_where_it_was_called_so(
    c: Config, rosefs: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/rosefs/__main__.py"])
    configure(rosefs, c, tmp_path / "mnt", "c.toml")
    _, service = unit_of(rosefs)
    assert words_of(service["ExecStart"])[:3] == [sys.executable, "-m", "rosefs"]


def test_nothing_takes_the_rights_of_fusermount3(c: Config, rosefs: Cli, tmp_path: Path) -> None:
    configure(rosefs, c, tmp_path / "mnt", "c.toml")
    _, service = unit_of(rosefs)
    assert set(service) == {
        "Type",
        "ExecStart",
        "ExecReload",
        "ExecStop",
        "TimeoutStartSec",
        "Restart",
        "RestartSec",
    }


def test_a_configuration_that_does_not_say_where_to_mount_is_an_error(rosefs: Cli) -> None:
    assert rosefs.error("config", "systemd") == (
        f"{rosefs.config}: vfs.mount_dir: say here where to mount, for the unit to know"
    )
