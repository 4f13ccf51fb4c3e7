"""Coverage-guided fuzzing: inputs that reach new code are kept and changed further, by libFuzzer through atheris.

Each target runs in a process of its own (``fuzzed.py``), since libFuzzer takes its process over.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from scripts.torturelib.task import Task
from tests.support import targets
from tests.support.audio import FORMATS, make_track
from tests.support.breaking import HOSTILE_TEXTS, WHOLE_TOML

_LONGEST_SECONDS = 5
_MOST_MB = 400
"""Atheris, what it notes of the code, and the inputs that it keeps are in the same process."""

_TEMPLATES = (
    "{{ releaseartists | artistsfmt }} - {% if releasedate %}{{ releasedate.year }}. {% endif %}{{ releasetitle }}",
    "{% set ns = namespace(x='a' * 3) %}{% for g in genres %}{% set ns.x = ns.x ~ g %}{% endfor %}{{ ns.x }}",
    "{{ '%02d' | format(disctotal) }}{{ range(3) | map('string') | join(', ') }}{{ '{:>5}'.format(id[:2] + 'x') }}",
    "{{ labels | map('upper') | sort | first | default('none') | center(9) | replace('a', 'b') | truncate(10) }}",
)
_RULES = (
    "artist:^X$:i\nreplace:Y",
    "tracktitle,genre:a::b\nsed:(a)//b:\\1\nsplit:;\ndelete",
    "releasedate:2020\ntracktitle/add:x",
)


def run(task: Task) -> None:
    """Feeds readers of tags, TOML, rules, templates and artists with input that finds its way through the code."""
    if importlib.util.find_spec("atheris") is None:
        task.fail("atheris is missing; to install it: .venv/bin/python -m pip install -e '.[torture]'")
        return
    for name in TARGETS:
        _fuzz(task, name, int(task.seconds / len(TARGETS)))


def _fuzz(task: Task, name: str, seconds: int) -> None:
    corpus = task.directory / name
    corpus.mkdir()
    for number, seed in enumerate(_seeds(task.directory, name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    ran = subprocess.run(
        [
            sys.executable, "-m", "scripts.torturelib.fuzzed", name, str(corpus),
            f"-max_total_time={max(1, seconds)}", f"-seed={task.seed % 2**31 or 1}", f"-timeout={_LONGEST_SECONDS}",
            f"-rss_limit_mb={_MOST_MB}", "-max_len=20000", "-print_final_stats=1",
            f"-artifact_prefix={task.directory}/{name}-",
        ],
        capture_output=True, text=True, errors="replace", check=False,
        env={**os.environ, "TMPDIR": str(task.directory)},  # libFuzzer ends the process without a chance to clean up
    )  # fmt: skip
    done = re.search(r"stat::number_of_executed_units:\s*(\d+)|Done (\d+) runs", ran.stderr)
    task.count(f"inputs made for: {name}", int(next(filter(None, done.groups()))) if done else 0)
    covered = re.findall(r"cov: (\d+)", ran.stderr)
    task.count(f"branches reached by: {name}", int(covered[-1]) if covered else 0)
    if ran.returncode != 0 or not done:
        task.fail(f"{name}: {ran.stdout[-3000:]}{ran.stderr[-1500:]}")


def _seeds(directory: Path, name: str) -> list[bytes]:
    if name.startswith("tags of "):
        suffix = name.removeprefix("tags of ")
        return [make_track(directory / f"seed.{suffix}").read_bytes()[:20_000]]
    if name in ("datafile", "list"):
        return list(WHOLE_TOML.values())
    texts = {"rule": _RULES, "template": _TEMPLATES}.get(name, HOSTILE_TEXTS)
    return [text.encode() for text in texts]


# What is fuzzed -----------------------------------------------------------------------------------------


def _by_text(target: Callable[[str], object], data: bytes) -> None:
    target(data.decode("utf-8", "replace"))


def _by_file(suffix: str, target: Callable[[Path], object], data: bytes) -> None:
    path = Path(f"input.{suffix}")
    path.write_bytes(data)
    target(path.absolute())


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    **{f"tags of {suffix}": partial(_by_file, suffix, targets.read_audio) for suffix in FORMATS},
    "artist field": partial(_by_text, targets.artist_field),
    "file name": partial(_by_text, targets.file_names),
    "rule": partial(_by_text, targets.rule),
    "template": partial(_by_text, targets.template),
    "datafile": partial(_by_file, "toml", targets.datafile),
    "list": partial(_by_file, "toml", lambda path: targets.member_list(path, "releases")),
}
"""What is fuzzed, by its name in the report; given bytes."""
