"""What is told of a change by its bytes alone: never more than a whole reading of the new file tells."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from rosecache.errors import TagWriteError
from rosecache.tags import IdWrite, containers, plans, read_file, write_ids
from rosecache.tags.containers import Kind, kind_of
from rosecache.tags.patches import Patch, read_at
from rosecache.tags.plain_checks import Check
from rosecache.tags.reading import BROKEN_FILE_ERRORS
from tests.support.audio import FORMATS, make_track
from tests.support.breaking import mutated
from tests.support.idwrites import RELEASE, TRACK, put_ids
from tests.support.variants import VARIANTS

USUAL = (*FORMATS, "ID3v2.3")
ALL_ERRORS: tuple[type[Exception], ...] = (TagWriteError, *BROKEN_FILE_ERRORS)
ROUNDS = 40 * int(os.environ.get("REPEAT", "1"))


def make(kind: str, directory: Path) -> Path:
    """Makes a file as most programs leave them: with padding, and no cover in comments."""
    if kind in FORMATS:
        return make_track(directory / f"01.{kind}", comment="kept", title="Ein Lied für 夜")
    (name,) = (name for name in VARIANTS if name.endswith(kind))
    return VARIANTS[name](directory)


class Seen:
    """Notes what is told by bytes of one file, and when the whole of it is read instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[bool] = []
        self.arguments: list[tuple[Check, bytes, bytes, plans.Plan]] = []
        self.readings = 0
        real, read = plans._is_plainly_right, plans.expect_as_planned

        def telling(plan: plans.Plan, kind: Kind, file: io.BufferedReader, proposed: list[Patch]) -> bool:
            self.told.append(real(plan, kind, file, proposed))
            if len(plan.patches) == 1:
                patch = plan.patches[0]
                whole = next(
                    each for each in proposed if each.offset <= patch.offset and patch.end <= each.end
                )
                old = read_at(file, whole.offset, whole.length)
                self.arguments.append((kind.is_plainly_right, old, whole.data, plan))
            return self.told[-1]

        def reading(*arguments: object) -> None:
            self.readings += 1
            read(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(plans, "_is_plainly_right", telling)
        monkeypatch.setattr(plans, "expect_as_planned", reading)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


@pytest.mark.parametrize("kind", USUAL)
def test_most_files_are_read_once(kind: str, seen: Seen, tmp_path: Path) -> None:
    path = make(kind, tmp_path)
    reading = read_file(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containers, "kind_of", _unread)
        assert write_ids(tmp_path, [IdWrite(path, TRACK, RELEASE, reading)]) == []
    assert (seen.told, seen.readings) == ([True], 0)
    assert read_file(path).raw.values.items() > reading.raw.values.items()
    put_ids(path, RELEASE, TRACK)  # other ones, in their place
    assert seen.told == [True, True]


def _unread(suffix: str, file: io.BufferedReader) -> Kind:
    kind = kind_of(suffix, file)

    def read(_file: object) -> None:
        raise AssertionError("read again")

    return Kind(kind.name, read, kind.others, kind.plan, kind.is_plainly_right)  # type: ignore[arg-type]


def test_a_file_that_changed_since_is_read_again(tmp_path: Path) -> None:
    path = make("flac", tmp_path)
    reading = read_file(path)
    make_track(path, title="Another")
    assert write_ids(tmp_path, [IdWrite(path, TRACK, RELEASE, reading)]) == []
    assert read_file(path).tags.tracktitle == "Another"


@pytest.mark.parametrize("kind", USUAL)
def test_every_wrong_byte_is_noticed(kind: str, seen: Seen, tmp_path: Path) -> None:
    put_ids(make(kind, tmp_path))
    ((check, old, new, plan),) = seen.arguments
    ids = {name: text for name, text in plan.request.texts.items() if text is not None}
    assert check(old, new, ids, plan.raw)
    chance = random.Random(kind)
    for at in range(len(new)):
        wrong = bytearray(new)
        wrong[at] ^= 1 << chance.randrange(8)
        assert not check(old, bytes(wrong), ids, plan.raw), at


@pytest.mark.parametrize("kind", USUAL)
def test_wrong_ids_and_other_tags_than_were_read_are_noticed(kind: str, seen: Seen, tmp_path: Path) -> None:
    put_ids(make(kind, tmp_path))
    ((check, old, new, plan),) = seen.arguments
    ids = {name: text for name, text in plan.request.texts.items() if text is not None}
    first, second = ids
    assert not check(old, new, {first: TRACK, second: TRACK}, plan.raw)
    assert not check(old, new, {first: TRACK}, plan.raw)
    assert not check(old, old, ids, plan.raw)
    other = read_file(make_track(tmp_path / f"other{next(tmp_path.iterdir()).suffix}", edition="more")).raw
    assert not check(old, new, ids, other)


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_is_told_that_a_whole_reading_does_not_tell(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files of every kind, whole and damaged by chance."""
    real = plans._is_plainly_right
    wrong: list[tuple[str, bytes]] = []

    def comparing(plan: plans.Plan, kind: Kind, file: io.BufferedReader, proposed: list[Patch]) -> bool:
        if not real(plan, kind, file, proposed):
            return False
        preview = io.BufferedReader(plans._Preview(file.fileno(), plan.status.st_size, plan.patches))
        try:
            plans.expect_as_planned(plan, kind, preview)
        except ALL_ERRORS as error:
            wrong.append((str(error), path.read_bytes()))
        return True

    monkeypatch.setattr(plans, "_is_plainly_right", comparing)
    path = VARIANTS[name](tmp_path)
    whole = path.read_bytes()
    chance = random.Random(name)
    for _ in range(ROUNDS):
        write_ids(tmp_path, [IdWrite(path, TRACK, RELEASE)])
        path.write_bytes(mutated(whole, chance))
    assert wrong == []
