"""Marking releases as new or as not new, by moving them between two views and by an attribute."""

from __future__ import annotations

import errno
import os

import pytest

from tests.fuse.conftest import Workbench, audio_of, everything, run

pytestmark = pytest.mark.usefixtures("need_fuse")

OLD = "LOONA - 2018. Hash"
NEW = "{NEW} " + OLD


def is_new(bench: Workbench) -> bool:
    (datafile,) = (bench.source / "loona").glob(".rose.*.toml")
    return "new = true" in datafile.read_text()


def test_moving_a_release_out_of_the_new_ones_and_back(bench: Workbench) -> None:
    audio = audio_of(bench.source)
    run("mv", bench.top / "Releases - New" / NEW, bench.top / "Releases/")
    assert not is_new(bench)
    assert NEW not in os.listdir(bench.top / "Releases - New")
    assert OLD in os.listdir(bench.top / "Releases")
    run("ls", bench.top / "Releases" / NEW)  # a name that a program may still have
    run("mv", bench.top / "Releases" / OLD, bench.top / "Releases - New/")
    assert is_new(bench)
    assert NEW in os.listdir(bench.top / "Releases - New")
    assert NEW in os.listdir(bench.top / "Releases")
    assert audio_of(bench.source) == audio
    assert len(bench.journal()) == 2
    bench.check()


@pytest.mark.parametrize("view", ["Releases", "Artists/LOONA", "Collages/Both"])
def test_the_attribute(bench: Workbench, view: str) -> None:
    def release() -> str:
        (name,) = [name for name in os.listdir(bench.top / view) if OLD in name]
        return str(bench.top / view / name)

    run("setfattr", "-n", "user.rosefs.new", "-v", "false", release())
    assert not is_new(bench)
    assert os.getxattr(release(), "user.rosefs.new") == b"false"
    run("setfattr", "-n", "user.rosefs.new", "-v", "true", release())
    assert is_new(bench)
    bench.check()


def test_other_values_and_attributes_are_refused(bench: Workbench) -> None:
    before = everything(bench)
    track = bench.release / "01. Track 1.flac"
    for path, name, value, expected in (
        (bench.release, "user.rosefs.new", b"maybe", errno.EINVAL),
        (bench.release, "user.rosefs.id", b"x", errno.EOPNOTSUPP),
        (bench.release, "user.mine", b"x", errno.EOPNOTSUPP),
        (track, "user.rosefs.new", b"false", errno.EOPNOTSUPP),
        (track, "user.mine", b"x", errno.EOPNOTSUPP),
        (bench.top, "user.rosefs.new", b"false", errno.EOPNOTSUPP),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
            os.setxattr(path, name, value)
        assert caught.value.errno == expected, (path, name)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        os.removexattr(bench.release, "user.rosefs.new")
    assert caught.value.errno == errno.EOPNOTSUPP
    assert everything(bench) == before
