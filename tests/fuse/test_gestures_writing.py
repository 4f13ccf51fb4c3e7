"""Writing to files of a release through the mount, in place: the last close saves, a failure changes nothing."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import signal
from pathlib import Path

import pytest
from mutagen.flac import FLAC
from mutagen.id3 import ID3

from rosecache.tags import read_ids, read_tags
from tests.fuse.conftest import Workbench, audio_of, run, wait_for
from tests.support.audio import PICTURE, set_tags
from tests.support.library import cached_ids, snapshot

pytestmark = pytest.mark.usefixtures("need_fuse")


def track(bench: Workbench, number: int = 1) -> Path:
    return bench.release / f"{number:02}. Track {number}.flac"


def mp3(bench: Workbench, number: int = 1) -> Path:
    return bench.mp3_release / f"{number:02}. Track {number}.mp3"


# Taggers ----------------------------------------------------------------------------------------------------


def test_a_tagger_in_place_changes_tags_and_name_and_nothing_else(bench: Workbench) -> None:
    audio, ids = audio_of(bench.source), cached_ids(bench.c)
    set_tags(track(bench), title="Another")
    assert sorted(path.name for path in bench.release.glob("*.flac")) == [
        "01. Another.flac",
        "02. Track 2.flac",
    ]
    assert read_tags(bench.source / "loona/01.flac").tracktitle == "Another"
    assert audio_of(bench.source) == audio
    assert cached_ids(bench.c) == ids
    assert bench.journal() == ["write 01.flac of LOONA - 2018. Hash"]
    bench.check()


def test_the_name_before_a_retag_still_works(bench: Workbench) -> None:
    old = track(bench)
    set_tags(old, title="Another")
    assert old.read_bytes() == (bench.source / "loona/01.flac").read_bytes()
    set_tags(old, title="Third")
    assert (bench.release / "01. Third.flac").exists()


def test_metaflac_in_place_and_by_temporary_file(bench: Workbench) -> None:
    ids = cached_ids(bench.c)
    run("metaflac", "--remove-tag=TITLE", "--set-tag=TITLE=Short", track(bench))
    run("metaflac", "--set-tag=COMMENT=" + "long " * 10_000, bench.release / "01. Short.flac")
    assert FLAC(bench.source / "loona/01.flac")["title"] == ["Short"]
    assert (bench.release / "01. Short.flac").read_bytes() == (bench.source / "loona/01.flac").read_bytes()
    assert cached_ids(bench.c) == ids
    bench.check()


def test_a_track_keeps_its_id_when_a_tagger_drops_it(bench: Workbench) -> None:
    ids = cached_ids(bench.c)
    tags = ID3(mp3(bench))
    tags.delall("TXXX")
    tags.save(mp3(bench))
    assert cached_ids(bench.c) == ids
    assert read_ids(bench.source / "blackpink/01.mp3")[0] == ids["blackpink/01.mp3"]
    assert mp3(bench).read_bytes() == (bench.source / "blackpink/01.mp3").read_bytes()
    bench.check()


def test_a_track_copied_over_another_takes_that_ones_place(bench: Workbench) -> None:
    ids, audio = cached_ids(bench.c), audio_of(bench.source)
    run("cp", mp3(bench, 2), mp3(bench, 1))
    assert cached_ids(bench.c) == ids
    names = sorted(path.name for path in bench.mp3_release.glob("*.mp3"))
    assert names == ["02. Track 2 [2].mp3", "02. Track 2.mp3", "03. Track 3.mp3"]
    assert audio_of(bench.source) == audio | {"blackpink/01.mp3": audio["blackpink/02.mp3"]}
    bench.check()


# Other programs ---------------------------------------------------------------------------------------------


def test_sed_in_place_on_an_extra_file_and_on_the_datafile(bench: Workbench) -> None:
    run("sed", "-i", "s/log/record/", bench.release / "rip.log")
    assert (bench.source / "loona/rip.log").read_text() == "a record\n"
    assert (bench.release / "rip.log").read_text() == "a record\n"
    (datafile,) = bench.release.glob(".rose.*.toml")
    run("sed", "-i", "s/^new = true/new = false/", datafile)
    assert "new = false" in (bench.source / "loona" / datafile.name).read_text()
    release = bench.top / "Releases/LOONA - 2018. Hash"
    assert release.is_dir()
    assert sorted(path.name for path in release.glob(".*")) == [datafile.name]
    bench.check()


def test_the_datafile_can_be_edited(bench: Workbench) -> None:
    (datafile,) = bench.release.glob(".rose.*.toml")
    text = datafile.read_text()
    datafile.write_text(text.replace("new = true", "new = false"))
    assert (bench.top / "Releases/LOONA - 2018. Hash").is_dir()
    bench.check()


def test_dd_into_the_middle(bench: Workbench) -> None:
    run("sh", "-c", f"printf LOG | dd of='{bench.release}/rip.log' bs=1 seek=2 conv=notrunc status=none")
    assert (bench.source / "loona/rip.log").read_text() == "a LOG\n"
    assert (bench.release / "rip.log").read_text() == "a LOG\n"


def test_dd_into_the_middle_of_a_track(bench: Workbench) -> None:
    content, ids = track(bench).read_bytes(), cached_ids(bench.c)
    middle = len(content) // 2
    run("sh", "-c", f"printf XYZ | dd of='{track(bench)}' bs=1 seek={middle} conv=notrunc status=none")
    expected = content[:middle] + b"XYZ" + content[middle + 3 :]
    assert (bench.source / "loona/01.flac").read_bytes() == track(bench).read_bytes() == expected
    assert cached_ids(bench.c) == ids
    bench.check()


@pytest.mark.parametrize("size", [0, 3, 5000])
def test_truncate_by_descriptor_and_by_path(bench: Workbench, size: int) -> None:
    (bench.release / "rip.log").read_bytes()
    run("truncate", "-s", str(size), bench.release / "rip.log")
    assert (bench.source / "loona/rip.log").stat().st_size == size
    os.truncate(bench.release / "rip.log", size + 1)
    assert (bench.source / "loona/rip.log").read_bytes() == b"a log\n"[:size].ljust(size + 1, b"\0")
    assert (bench.release / "rip.log").read_bytes() == b"a log\n"[:size].ljust(size + 1, b"\0")


def test_a_shell_rewrites_and_appends(bench: Workbench) -> None:
    log = bench.release / "rip.log"
    run("sh", "-c", f"echo new > '{log}'; echo more >> '{log}'; cat '{log}'")
    assert (bench.source / "loona/rip.log").read_text() == "new\nmore\n"


def test_a_shell_empties_a_file(bench: Workbench) -> None:
    run("sh", "-c", f": > '{bench.release}/rip.log'")
    assert (bench.release / "rip.log").stat().st_size == 0
    wait_for(lambda: (bench.source / "loona/rip.log").read_bytes() == b"")


def test_a_memory_map_that_is_written_to(bench: Workbench) -> None:
    with (bench.release / "rip.log").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[2:5] = b"MAP"
        mapped.flush()
        assert (bench.release / "rip.log").read_bytes() == b"a MAP\n"
    wait_for(lambda: (bench.source / "loona/rip.log").read_bytes() == b"a MAP\n")


def test_copies_keep_times_and_modes(bench: Workbench, tmp_path: Path) -> None:
    log = tmp_path / "other.log"
    log.write_text("another log, of another time\n")
    log.chmod(0o600)
    os.utime(log, (1_000_000_000, 1_000_000_000))
    run("cp", "-p", log, bench.release / "rip.log")
    saved = (bench.source / "loona/rip.log").stat()
    assert (saved.st_mtime, saved.st_mode & 0o777) == (1_000_000_000, 0o600)
    assert (bench.release / "rip.log").stat().st_mtime == 1_000_000_000
    run("touch", "-d", "@1100000000", bench.release / "rip.log")
    assert (bench.source / "loona/rip.log").stat().st_mtime == 1_100_000_000
    assert (bench.release / "rip.log").stat().st_mtime == 1_100_000_000
    run("install", "-m", "644", log, bench.release / "rip.log")
    assert (bench.source / "loona/rip.log").stat().st_mode & 0o777 == 0o644
    bench.check()


# Names that another file gets -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [1, 2])
def test_a_name_that_is_removed_or_given_away_while_the_file_is_open_is_free_for_another(
    bench: Workbench, names: int
) -> None:
    """Two files of one name after the other, as editors and backup programs make them, are two files."""
    path, elsewhere = bench.release / "rip.log", bench.release / "rip.log~"
    with path.open("r+b", buffering=0) as old, path.open("rb", buffering=0) as reader:
        old.write(b"one")
        if names == 1:
            path.unlink()
        else:
            path.rename(elsewhere)
        with path.open("xb", buffering=0) as new:
            old.write(b" more")
            new.write(b"another file")
        assert os.pread(old.fileno(), 100, 0) == os.pread(reader.fileno(), 100, 0) == b"one more"
    assert path.read_bytes() == (bench.source / "loona/rip.log").read_bytes() == b"another file"
    assert elsewhere.exists() == (names == 2)
    if names == 2:
        assert elsewhere.read_bytes() == (bench.source / "loona/rip.log~").read_bytes() == b"one more"
    bench.check()


def test_an_empty_file_that_is_removed_right_after_its_close_stays_away(bench: Workbench) -> None:
    before = snapshot(bench.source)
    for number in range(10):
        path = bench.release / f".{number}.swp"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        path.unlink()
        assert not path.exists()
    bench.check()
    assert snapshot(bench.source) == before


# Saving -----------------------------------------------------------------------------------------------------


def test_nothing_is_replaced_before_the_close(bench: Workbench) -> None:
    before = snapshot(bench.source)
    with (bench.release / "rip.log").open("r+b", buffering=0) as file:
        file.write(b"x")
        assert (bench.release / "rip.log").read_bytes() == b"x log\n"
        now = snapshot(bench.source)
        spools = [name for name in now if name.startswith("loona/.in-progress.rosefs.spool.")]
        assert len(spools) == 1
        assert {name: content for name, content in now.items() if name not in spools} == before
    assert snapshot(bench.source) == before | {"loona/rip.log": b"x log\n"}


def test_a_reader_sees_what_is_written_and_reads_on_after_the_save(bench: Workbench) -> None:
    with (bench.release / "rip.log").open("rb", buffering=0) as reader:
        assert reader.read(1) == b"a"
        (bench.release / "rip.log").write_bytes(b"b long log\n")
        assert reader.read() == b" long log\n"


def test_owner_mode_and_attributes_of_the_source_stay(bench: Workbench) -> None:
    source = bench.source / "loona/rip.log"
    source.chmod(0o640)
    os.setxattr(source, "user.mine", b"yes")
    (bench.release / "rip.log").write_text("new")
    assert source.stat().st_mode & 0o777 == 0o640
    assert os.getxattr(source, "user.mine") == b"yes"


def test_what_is_no_audio_any_more_is_the_users_edit(bench: Workbench) -> None:
    track(bench).write_bytes(b"no audio")
    assert (bench.source / "loona/01.flac").read_bytes() == b"no audio"
    assert "01.flac" in os.listdir(bench.release)


def test_a_kill_leaves_the_old_file_and_the_next_update_cleans_up(bench: Workbench) -> None:
    before = snapshot(bench.source)
    file = (bench.release / "rip.log").open("r+b", buffering=0)
    file.write(b"half")
    bench.mount.process.send_signal(signal.SIGKILL)
    bench.mount.process.wait()
    with pytest.raises(OSError, match=r"not connected|aborted|Input/output"):
        file.close()
    assert snapshot(bench.source) != before
    bench.check()
    assert snapshot(bench.source) == before


def test_a_file_changed_by_another_program_in_between_is_not_overwritten(bench: Workbench) -> None:
    file = (bench.release / "rip.log").open("r+b", buffering=0)
    file.write(b"mine")
    (bench.source / "loona/rip.log").write_text("theirs")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        file.close()
    assert caught.value.errno == errno.EBUSY
    assert (bench.source / "loona/rip.log").read_text() == "theirs"
    wait_for(lambda: (bench.release / "rip.log").read_text() == "theirs")
    bench.check()


def test_a_picture_over_the_cover(bench: Workbench, tmp_path: Path) -> None:
    picture = tmp_path / "new.png"
    picture.write_bytes(PICTURE + b"\0" * 100)
    run("cp", picture, bench.release / "cover.png")
    assert (bench.source / "loona/cover.png").read_bytes() == picture.read_bytes()
    shutil.copyfile(bench.source / "loona/cover.png", tmp_path / "back.png")
    bench.check()
