"""Files that are broken: read, written to, and updated, by processes whose computing and memory are measured."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from scripts.torturelib.task import Task
from tests.support import targets
from tests.support.breaking import BROKEN_TOML, WHOLE_TOML, heavy_files, mutated, write_cases
from tests.support.probing import MOST_SECONDS, MOST_SECONDS_TO_WRITE, Measured, Probe
from tests.support.variants import VARIANTS


def run(task: Task) -> None:
    """Damages audio and TOML files by chance, and reads and writes what is left of them."""
    with Probe() as probe:
        _heavy(task, probe)
        whole = _whole(task.directory)
        number = 0
        while task.has_time():
            number += 1
            chance = task.chance("case", number)
            _audio(task, probe, whole, chance, number)
            _toml(task, probe, chance, number)


def _heavy(task: Task, probe: Probe) -> None:
    """Tries the files that are known to be hard: those with far too much in them."""
    for name, path in write_cases(task.directory, heavy_files()):
        _judge(task, f"{name}, read", probe.measure(targets.read_audio, path))
        _judge(task, f"{name}, written", probe.measure(targets.write_audio, path), MOST_SECONDS_TO_WRITE)
        task.count("files with far too much in their tags, read and written")
    for name, content in BROKEN_TOML.items():
        path = task.directory / "heavy.toml"
        path.write_bytes(content)
        _try_toml(task, probe, path, name)


def _whole(directory: Path) -> Mapping[str, tuple[str, bytes]]:
    """Makes a file of each kind, and returns suffix and content by name."""
    whole = {}
    for number, (name, build) in enumerate(VARIANTS.items()):
        below = directory / f"whole-{number}"
        below.mkdir()
        path = build(below)
        whole[name] = (path.suffix, path.read_bytes())
    return whole


def _audio(
    task: Task, probe: Probe, whole: Mapping[str, tuple[str, bytes]], chance: random.Random, number: int
) -> None:
    name = chance.choice(sorted(whole))
    suffix, content = whole[name]
    if chance.random() < 0.05:
        suffix = chance.choice(sorted(whole.values()))[0]  # a name that says something else
    path = task.directory / f"{number}{suffix}"
    path.write_bytes(mutated(content, chance))
    read = probe.measure(targets.read_audio, path)
    written = probe.measure(targets.write_audio, path)
    is_well = _judge(task, f"{path}: a mutated {name}, read", read)
    is_well &= _judge(task, f"{path}: a mutated {name}, written", written, MOST_SECONDS_TO_WRITE)
    task.count("damaged audio files read" if read.result is None else "damaged audio files refused")
    task.count("damaged audio files written to", int(written.result is True))
    if is_well:
        path.unlink()


def _toml(task: Task, probe: Probe, chance: random.Random, number: int) -> None:
    path = task.directory / f"{number}.toml"
    path.write_bytes(mutated(WHOLE_TOML[chance.choice(sorted(WHOLE_TOML))], chance))
    if _try_toml(task, probe, path, "mutated"):
        path.unlink()


def _try_toml(task: Task, probe: Probe, path: Path, name: str) -> bool:
    measured = {
        "datafile": probe.measure(targets.datafile, path),
        "collage": probe.measure(targets.member_list, path, "releases"),
        "playlist": probe.measure(targets.member_list, path, "tracks"),
    }
    task.count("TOML files, each read and written as a datafile, a collage and a playlist")
    # That of a user is trusted to be of a reasonable size.
    configuration = probe.measure(targets.configuration, path).problem
    if configuration:
        task.fail(f"{path}: {name}, as a configuration: {configuration}")
    judged = [
        _judge(task, f"{path}: {name}, as a {kind}", each, MOST_SECONDS_TO_WRITE)
        for kind, each in measured.items()
    ]
    return all(judged) and not configuration


def _judge(task: Task, what: str, measured: Measured, seconds: float = MOST_SECONDS) -> bool:
    """Notes what is wrong with a case, and what the costliest of all cost; says whether it is well."""
    kind = "read" if seconds == MOST_SECONDS else "written"
    task.most(
        f"milliseconds of computing, at most, for one file that is {kind}", round(measured.seconds * 1000)
    )
    task.most("MB of memory, at most", round(measured.memory / 1e6))
    complaints = measured.complaints(seconds=seconds)
    for complaint in complaints:
        task.fail(f"{what}: {complaint}")
    return not complaints
