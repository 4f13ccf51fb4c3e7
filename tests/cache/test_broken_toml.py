"""TOML files that are broken, or more than anybody needs: one error with the reason, and the file stays as it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.datafiles import read_members, read_release_datafile
from rosecache.errors import InvalidDatafileError
from tests.support import targets
from tests.support.breaking import BROKEN_TOML, WHOLE_TOML, mutated
from tests.support.probing import MOST_SECONDS_TO_WRITE, Probe


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Probe() as running:
        yield running


def check(probe: Probe, path: Path) -> None:
    for measured in (
        probe.measure(targets.datafile, path),
        probe.measure(targets.member_list, path, "releases"),
        probe.measure(targets.member_list, path, "tracks"),
    ):
        assert measured.complaints(seconds=MOST_SECONDS_TO_WRITE) == []
    assert probe.measure(targets.configuration, path).problem == ""


@pytest.mark.parametrize("kind", BROKEN_TOML)
def test_broken_and_excessive_files(kind: str, probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(BROKEN_TOML[kind])
    check(probe, path)


@pytest.mark.parametrize("kind", WHOLE_TOML)
def test_files_damaged_by_chance(kind: str, probe: Probe, tmp_path: Path) -> None:
    path, chance = tmp_path / "x.toml", random.Random(kind)
    for _ in range(50):
        path.write_bytes(mutated(WHOLE_TOML[kind], chance))
        check(probe, path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("a huge number", "not valid TOML: a number has too many digits"),
        ("a huge number in base 16", "new: expected true or false, not a number"),
        ("deep keys", "dots"),
        ("50 MB", "larger than 1 MiB"),
    ],
)
def test_the_reason_is_told(kind: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(BROKEN_TOML[kind])
    with pytest.raises(InvalidDatafileError, match=reason):
        read_release_datafile(path)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.toml")
    with pytest.raises(InvalidDatafileError, match="not a regular file"):
        read_members(tmp_path / "x.toml", "tracks")
