"""The start of the process: a mount has the C library's allocator, and is otherwise as it was called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

SCRIPT = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
from rosefs.cli import main, start

def show():
    print(json.dumps({{
        "pid": os.getpid(), "arguments": sys.argv[1:], "called": Path("/proc/self/comm").read_text().strip(),
        "starts": Path("/proc/self/environ").read_text().split("\\0"), "passes_on": dict(os.environ),
        "words": Path("/proc/self/cmdline").read_text().split("\\0"),
    }}))

main.main = show
start.main()
"""

EARLIER = ("PYTHONMALLOC", "PYTHONDEVMODE")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "rosefs"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


def started(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns what a process says of itself when the command line is about to be read."""
    inherited = {name: value for name, value in os.environ.items() if name not in EARLIER}
    words = [str(word) for word in command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env={**inherited, **(environment or {})})
    said, _ = process.communicate(timeout=60)
    found: dict[str, Any] = json.loads(said)
    assert found["pid"] == process.pid
    return found


def has_allocator(found: Mapping[str, Any]) -> bool:
    return "PYTHONMALLOC=malloc" in found["starts"]


MOUNTS = (("mount", "a", "b"), ("-v", "--config", "mount.toml", "mount"), ("music/here", "there", "-o", "ro"))


@pytest.mark.parametrize("arguments", MOUNTS, ids=" ".join)
def test_a_mount_has_the_allocator_that_gives_memory_back(script: Path, arguments: Sequence[str]) -> None:
    found = started([script, *arguments])
    assert has_allocator(found)
    assert found["arguments"] == list(arguments)
    assert found["called"] == "rosefs"
    assert found["words"] == [sys.executable, str(script), *arguments, ""]


def test_programs_that_a_mount_runs_have_their_own(script: Path) -> None:
    found = started([script, "mount"], {"KEPT": "as it was"})
    changed = {name for name in found["passes_on"] if name.startswith(("PYTHONMALLOC", "_ROSEFS"))}
    assert not changed
    assert found["passes_on"]["KEPT"] == "as it was"


def test_other_commands_start_once(script: Path) -> None:
    assert not has_allocator(started([script, "releases", "list"]))


@pytest.mark.parametrize("chosen", [{"PYTHONMALLOC": "pymalloc"}, {"PYTHONDEVMODE": "1"}], ids=str)
def test_who_chose_an_allocator_keeps_it(script: Path, chosen: Mapping[str, str]) -> None:
    found = started([script, "mount"], chosen)
    assert not has_allocator(found)
    assert chosen.items() <= found["passes_on"].items()


def test_who_has_python_ignore_its_environment_keeps_what_there_is(script: Path) -> None:
    program = f"import sys; sys.path[:] = {sys.path!r}; exec(open({str(script)!r}).read())"
    assert not has_allocator(started([sys.executable, "-E", "-c", program, "mount"]))
