"""A process that is killed while it writes ids, at every single system call that changes something.

Each time a forked process dies right before one such call, or half through a write, and what it left behind is
brought in order by ``recover``: audio as before, tags old or new, nothing left over.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rosecache.tags import IdWrite, read_ids, recover, write_ids
from tests.support.dying import is_killed
from tests.support.rawtags import other_tags
from tests.support.sounds import decoded_md5
from tests.support.variants import VARIANTS

OLD = ("018b6514-6fb7-7cc6-9d23-000000000001", "018b268e-ef68-7180-a01e-000000000001")
NEW = ("f18b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "f18b268e-ef68-7180-a01e-19bc3fdf970e")


def is_killed_writing(release: Path, writes: list[IdWrite], call: int, *, halfway: bool) -> bool:
    """Writes ids in another process that dies at the n-th call; False if it came to its end before that."""
    return is_killed(lambda: write_ids(release, writes) == [], call, halfway=halfway)


def content_of(path: Path, known: dict[bytes, tuple[str, list[bytes]]]) -> tuple[str, list[bytes]]:
    """Returns decoded audio and other tags; most deaths leave the same few files, so each is decoded once."""
    data = path.read_bytes()
    if data not in known:
        known[data] = decoded_md5(path), other_tags(path)
    return known[data]


@pytest.mark.parametrize("halfway", [False, True], ids=["before the call", "halfway through a write"])
@pytest.mark.parametrize("kind", ["mp3, ID3v2.3", "m4a, moov first", "ogg vorbis", "ogg opus", "flac"])
def test_killed_while_writing(kind: str, halfway: bool, tmp_path: Path) -> None:
    original = tmp_path / "original"
    (original / "Disc 2").mkdir(parents=True)
    in_place = VARIANTS[kind](original)
    assert write_ids(original, [IdWrite(in_place, *OLD)]) == []
    tight = f"{kind}, no padding"
    rewritten = VARIANTS[tight if tight in VARIANTS else "mp3, no tag"](original / "Disc 2")
    names = [path.relative_to(original) for path in (in_place, rewritten)]
    known: dict[bytes, tuple[str, list[bytes]]] = {}
    content = [content_of(original / name, known) for name in names]

    call = 0
    outcomes = set()
    while True:
        call += 1
        release = tmp_path / "release"
        shutil.copytree(original, release)
        writes = [IdWrite(release / name, *NEW) for name in names]
        killed = is_killed_writing(release, writes, call, halfway=halfway)
        assert recover(release) == []
        for name, old in zip(names, (OLD, (None, None)), strict=True):
            assert read_ids(release / name) in (old, NEW)
            outcomes.add((name, read_ids(release / name) == NEW))
        assert [content_of(release / name, known) for name in names] == content
        assert sorted(os.listdir(release)) == sorted(os.listdir(original))
        assert sorted(os.listdir(release / "Disc 2")) == sorted(os.listdir(original / "Disc 2"))
        shutil.rmtree(release)
        if not killed:
            break
    # Both outcomes were seen for both files, so the deaths were spread over the whole of the work.
    assert outcomes == {(name, is_new) for name in names for is_new in (False, True)}


def test_recovery_leaves_what_a_living_process_works_on(tmp_path: Path) -> None:
    path = VARIANTS["flac"](tmp_path)
    seen: list[list[str]] = []
    real = os.fsync

    def recover_in_between(fd: int) -> None:
        before = sorted(os.listdir(tmp_path))
        assert recover(tmp_path) == []
        assert sorted(os.listdir(tmp_path)) == before
        seen.append(before)
        real(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", recover_in_between)
        assert write_ids(tmp_path, [IdWrite(path, *NEW)]) == []
    assert any(name.startswith(".in-progress.rosefs.") for names in seen for name in names)
    assert read_ids(path) == NEW


def test_recovery_does_not_undo_what_somebody_else_wrote_since(tmp_path: Path) -> None:
    path = VARIANTS["ogg opus"](tmp_path)
    assert write_ids(tmp_path, [IdWrite(path, *OLD)]) == []
    # The journal, two directory flushes and the file's bytes: killed before the file is flushed.
    for call in range(1, 20):
        assert is_killed_writing(tmp_path, [IdWrite(path, *NEW)], call, halfway=False)
        if read_ids(path) == NEW:
            break
        assert recover(tmp_path) == []
    edited = path.read_bytes().replace(NEW[0].encode(), b"x" * 36).replace(OLD[0].encode(), b"x" * 36)
    path.write_bytes(edited)
    assert recover(tmp_path) == []
    assert path.read_bytes() == edited
    assert os.listdir(tmp_path) == [path.name]
