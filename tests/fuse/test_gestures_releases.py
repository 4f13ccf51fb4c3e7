"""Releases as a whole: marking them as new or not, several with one name, and those that somebody is reading."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

import rosecache
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.fuse.conftest import Workbench, audio_of, everything, run, wait_for
from tests.support.audio import make_release, set_tags
from tests.support.library import snapshot

pytestmark = pytest.mark.usefixtures("need_fuse")

OLD = "LOONA - 2018. Hash"
NEW = "{NEW} " + OLD
SQUARE = "BLACKPINK - 2016. Square"


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


# Equal names --------------------------------------------------------------------------------------------


def test_of_releases_with_one_name_those_that_are_named_are_removed(bench: Workbench) -> None:
    for number in range(4):
        make_release(
            bench.source, f"live {number}", tracks=1, album=f"Live {number}", artist="A", date="2020"
        )
        rosecache.update_cache(bench.c)
    for path in bench.source.glob("live */01.opus"):
        set_tags(path, album="Live")
    rosecache.update_cache(bench.c)
    name, releases = "{NEW} A - 2020. Live", bench.top / "Releases"
    names = [name, *(f"{name} [{number}]" for number in (2, 3, 4))]
    wait_for(lambda: set(names) <= set(os.listdir(releases)))
    sources = {each: os.getxattr(releases / each, "user.rosefs.source_path") for each in names}
    assert len(set(sources.values())) == 4
    run("rm", "-r", releases / names[0], releases / names[2])
    left = {sources[names[1]], sources[names[3]]}
    # The same once more, while the names are as they were seen, finds nothing to remove.
    for name in (names[0], names[2]):
        with pytest.raises(FileNotFoundError):
            shutil.rmtree(releases / name)
    assert {os.fsencode(path) for path in bench.source.glob("live *")} == left
    assert [name for name in names if name in os.listdir(releases)] == [names[1], names[3]]
    bench.clock.advance(11)
    wait_for(lambda: names[0] in os.listdir(releases))  # the numbers have closed up
    again = [path for path in releases.iterdir() if "Live" in path.name]
    assert {os.getxattr(path, "user.rosefs.source_path") for path in again} == left
    bench.check()


# Reading on ---------------------------------------------------------------------------------------------


def test_whoever_reads_a_release_goes_on_whatever_becomes_of_it(bench: Workbench) -> None:
    track = bench.release / "02. Track 2.flac"
    content = track.read_bytes()
    third = len(content) // 3
    with track.open("rb", buffering=0) as reader:
        assert reader.read(10) == content[:10]
        # Retagged: the release gets another name, and so does another track of it.
        set_tags(bench.release / "01. Track 1.flac", title="Hi High", album="Butterfly")
        assert os.pread(reader.fileno(), third, third) == content[third : 2 * third]
        # Renamed in the source, by another program.
        (bench.source / "loona").rename(bench.source / "moved")
        rosecache.update_cache(bench.c)
        wait_for(lambda: any((bench.source / "moved").glob(".rose.*.toml")))
        assert os.pread(reader.fileno(), 100, 50) == content[50:150]
        # Marked, and with that renamed again.
        (release,) = (bench.top / "Releases - New").glob("*LOONA*")
        run("mv", release, bench.top / "Releases/")
        # Removed, put back, and removed again.
        (release,) = (bench.top / "Releases").glob("*LOONA*")
        assert len(list(release.glob("*.flac"))) == 2
        run("rm", "-r", release)
        undo(bench.c, Journal(bench.state_dir))
        wait_for(lambda: release.name in os.listdir(bench.top / "Releases"))
        assert len(list(release.glob("*.flac"))) == 2
        run("rm", "-r", release)
        assert not (bench.source / "moved").exists()
        assert reader.read() == content[10:]
        os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(reader.fileno(), len(content), 0) == content
    bench.check()


def test_a_directory_that_another_is_renamed_over_is_not_empty_for_who_uses_it(bench: Workbench) -> None:
    """The kernel takes what is renamed over for removed, and remembers it as long as a file in it is open."""
    for old, new in (
        (f"Releases - New/{NEW}", f"Releases/{NEW}"),
        (f"Collages/Both/2. {NEW.replace(OLD, SQUARE)}", f"Collages/Both/1. {OLD}"),
    ):
        names = os.listdir(bench.top / new)
        with (bench.top / new / "01. Track 1.flac").open("rb", buffering=0) as reader:
            content = reader.read()
            os.rename(bench.top / old, bench.top / new)
            (release,) = [path for path in (bench.top / new).parent.iterdir() if OLD in path.name]
            assert sorted(os.listdir(release)) == sorted(names)
            assert (release / "01. Track 1.flac").read_bytes() == content
            reader.seek(0)
            assert reader.read() == content
    bench.check()


def test_what_comes_back_under_its_name_is_not_empty_for_who_uses_it(bench: Workbench) -> None:
    release = bench.top / "Collages/Both" / f"1. {NEW}"
    names = sorted(os.listdir(release))
    with (release / "01. Track 1.flac").open("rb"):
        run("rm", "-r", release)
        run("cp", "-r", bench.release, bench.top / "Collages/Both/")
        bench.clock.advance(100)  # and what was copied is forgotten
        (again,) = [path for path in (bench.top / "Collages/Both").iterdir() if OLD in path.name]
        assert sorted(os.listdir(again)) == names
    bench.check()


def test_a_loose_track(bench: Workbench) -> None:
    before = snapshot(bench.source)
    for path in sorted(bench.release.glob("*.flac")):
        set_tags(path, releasetype="loosetrack")
    (release,) = (bench.top / "Loose Tracks").glob("*Hash*")
    assert release.name not in os.listdir(bench.top / "Releases")
    set_tags(release / "01. Track 1.flac", title="Hi High")
    assert "01. Hi High.flac" in os.listdir(release)
    run("rm", "-r", release)
    assert release.name not in os.listdir(bench.top / "Loose Tracks")
    assert "loona" in bench.in_trash()
    assert {path for path in before if not path.startswith("loona/")} == snapshot(bench.source).keys()
    bench.check()


def test_everything_in_a_view_goes_to_the_trash_with_all_tracks_too(bench: Workbench) -> None:
    audio = audio_of(bench.source)
    run("sh", "-c", 'rm -r "$1"/*', "sh", bench.top / "Releases")
    assert os.listdir(bench.top / "Releases") == []
    assert audio_of(bench.source) == {}
    assert len([name for name in bench.in_trash() if name.endswith((".flac", ".mp3"))]) == len(audio)
    bench.clock.advance(11)
    assert os.listdir(bench.top / "Releases") == ["!All Tracks"]
    assert os.listdir(bench.top / "Releases/!All Tracks") == []
