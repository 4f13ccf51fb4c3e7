"""New names in a release's directory: saving by temporary file, new files, covers, and removing files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import rosecache
from rosecache.tags import read_ids, read_tags
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.fuse.conftest import Workbench, audio_of, run, wait_for
from tests.support.audio import PICTURE, make_track, set_tags
from tests.support.library import cached_ids, snapshot
from tests.support.sounds import decoded_md5

pytestmark = pytest.mark.usefixtures("need_fuse")


def track(bench: Workbench, number: int = 1) -> Path:
    return bench.release / f"{number:02}. Track {number}.flac"


def mp3(bench: Workbench, number: int = 1) -> Path:
    return bench.mp3_release / f"{number:02}. Track {number}.mp3"


# Saving by a temporary file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["flac", "mp3"])
def test_ffmpeg_to_a_temporary_file_that_is_moved_over_the_track(bench: Workbench, format: str) -> None:
    old, name = (track(bench), "loona/01.flac") if format == "flac" else (mp3(bench), "blackpink/01.mp3")
    audio, ids = audio_of(bench.source), cached_ids(bench.c)
    temporary = old.with_name(f"tmp.{format}")
    run(
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-i",
        old,
        "-c",
        "copy",
        "-metadata",
        "title=By ffmpeg",
        temporary,
    )
    assert temporary.name in os.listdir(old.parent)
    run("mv", temporary, old)
    assert old.with_name(f"01. By ffmpeg.{format}").exists()
    assert temporary.name not in os.listdir(old.parent)
    assert cached_ids(bench.c) == ids
    assert read_tags(bench.source / name).tracktitle == "By ffmpeg"
    assert read_ids(bench.source / name)[0] == ids[name]
    after = audio_of(bench.source)
    assert {path: after[path] for path in audio if path != name} == {
        path: audio[path] for path in audio if path != name
    }
    bench.check()


def test_a_file_without_ids_that_replaces_a_track_gets_those_of_the_track(
    bench: Workbench, tmp_path: Path
) -> None:
    ids = cached_ids(bench.c)
    new = make_track(tmp_path / "new.mp3", title="New", artist="BLACKPINK", album="Square", date="2016")
    shutil.copyfile(new, bench.mp3_release / "save.tmp")
    os.rename(bench.mp3_release / "save.tmp", mp3(bench))
    assert cached_ids(bench.c) == ids
    assert read_ids(bench.source / "blackpink/01.mp3")[0] == ids["blackpink/01.mp3"]
    assert "01. New.mp3" in os.listdir(bench.mp3_release)
    assert (bench.mp3_release / "01. New.mp3").read_bytes() == (
        bench.source / "blackpink/01.mp3"
    ).read_bytes()
    bench.check()


def test_rsync_of_a_retagged_track_over_it(bench: Workbench, tmp_path: Path) -> None:
    audio, ids = audio_of(bench.source), cached_ids(bench.c)
    copy = tmp_path / track(bench).name
    shutil.copyfile(track(bench), copy)
    set_tags(copy, title="By rsync")
    os.utime(copy, (1_000_000_000, 1_000_000_000))
    run("rsync", "-a", copy, f"{bench.release}/")
    assert (bench.release / "01. By rsync.flac").stat().st_mtime == 1_000_000_000
    assert (bench.source / "loona/01.flac").read_bytes() == copy.read_bytes()
    assert cached_ids(bench.c) == ids
    assert audio_of(bench.source) == audio
    bench.check()


def test_an_atomic_save_of_an_extra_file(bench: Workbench) -> None:
    new = bench.release / "rip.log.new"
    new.write_text("all new\n")
    assert (bench.source / "loona/rip.log.new").read_text() == "all new\n"
    os.rename(new, bench.release / "rip.log")
    assert (bench.release / "rip.log").read_text() == "all new\n"
    assert (bench.source / "loona/rip.log").read_text() == "all new\n"
    assert not (bench.source / "loona/rip.log.new").exists()
    assert not new.exists()
    bench.check()


def test_an_open_reader_of_a_track_that_is_replaced_reads_on(bench: Workbench) -> None:
    content = track(bench).read_bytes()
    with track(bench).open("rb", buffering=0) as reader:
        assert reader.read(100) == content[:100]
        (bench.release / "tmp").write_bytes(content[:-1] + b"x")
        os.rename(bench.release / "tmp", track(bench))
        assert reader.read() == content[100:]
    assert track(bench).read_bytes() != content


# New files --------------------------------------------------------------------------------------------------


def test_a_new_file_stays_as_a_file_of_the_source(bench: Workbench, tmp_path: Path) -> None:
    booklet = tmp_path / "booklet.pdf"
    booklet.write_bytes(b"%PDF" * 100_000)
    run("cp", booklet, bench.release)
    assert (bench.source / "loona/booklet.pdf").read_bytes() == booklet.read_bytes()
    assert "booklet.pdf" in os.listdir(bench.release)
    assert "booklet.pdf" in os.listdir(bench.top / "Artists/LOONA" / bench.release.name)
    assert (bench.release / "booklet.pdf").read_bytes() == booklet.read_bytes()
    assert bench.journal() == ["write booklet.pdf of LOONA - 2018. Hash"]
    run("mv", bench.release / "booklet.pdf", bench.release / "scans.pdf")
    assert (bench.source / "loona/scans.pdf").read_bytes() == booklet.read_bytes()
    assert "scans.pdf" in os.listdir(bench.release)
    assert "booklet.pdf" not in os.listdir(bench.release)
    bench.check()


def test_touch_makes_an_empty_file(bench: Workbench) -> None:
    run("touch", bench.release / "empty")
    assert (bench.release / "empty").stat().st_size == 0
    wait_for(lambda: (bench.source / "loona/empty").exists())


def test_a_new_file_never_replaces_one_that_is_shown_under_another_name(bench: Workbench) -> None:
    before = snapshot(bench.source)
    (bench.release / "01.flac").write_bytes(b"no audio")
    after = snapshot(bench.source)
    assert after == before | {"loona/01 [2].flac": b"no audio"}


def test_new_audio_is_shown_at_once_and_gets_its_id_when_it_was_left_alone(
    bench: Workbench, tmp_path: Path
) -> None:
    new = make_track(tmp_path / "new.mp3", title="Bonus", artist="BLACKPINK", album="Square", tracknumber="4")
    run("cp", new, bench.mp3_release / "bonus.mp3")
    assert "bonus.mp3" in os.listdir(bench.mp3_release)
    assert (bench.mp3_release / "bonus.mp3").read_bytes() == new.read_bytes()
    assert (bench.source / "blackpink/bonus.mp3").read_bytes() == new.read_bytes()
    wait_for(lambda: "04. Bonus.mp3" in os.listdir(bench.mp3_release))
    assert "bonus.mp3" not in os.listdir(bench.mp3_release)
    assert decoded_md5(bench.mp3_release / "04. Bonus.mp3") == decoded_md5(new)
    assert read_ids(bench.source / "blackpink/bonus.mp3")[0] is not None
    bench.check()


# Covers -----------------------------------------------------------------------------------------------------


def test_a_new_cover_takes_the_place_of_the_old_one(bench: Workbench, tmp_path: Path) -> None:
    image = tmp_path / "image.jpg"
    image.write_bytes(b"\xff\xd8\xff\xe0" + b"picture" * 100)
    run("cp", image, bench.release / "cover.jpg")
    assert (bench.release / "cover.jpg").read_bytes() == image.read_bytes()
    assert [name for name in os.listdir(bench.release) if name.startswith("cover")] == ["cover.jpg"]
    assert bench.in_trash() == ["cover.png"]
    assert sorted(os.listdir(bench.source / "loona"))[-4:] == ["01.flac", "02.flac", "cover.jpg", "rip.log"]
    bench.check()


def test_a_first_cover(bench: Workbench, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(PICTURE)
    run("install", "-m", "644", image, bench.mp3_release / "cover.png")
    assert (bench.source / "blackpink/cover.png").read_bytes() == PICTURE
    (release,) = rosecache.filter_releases(bench.c, release_artist_filter="BLACKPINK")
    assert release.cover_image_path == bench.source / "blackpink/cover.png"


def test_removing_the_cover(bench: Workbench) -> None:
    run("rm", bench.release / "cover.png")
    assert bench.in_trash() == ["cover.png"]
    assert "cover.png" not in os.listdir(bench.release)
    assert not (bench.source / "loona/cover.png").exists()
    bench.check()


# Removing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["release", "all tracks"])
def test_removing_a_track_puts_it_into_the_trash(bench: Workbench, place: str) -> None:
    audio = audio_of(bench.source)
    (shown,) = (bench.top / "Artists/BLACKPINK/!All Tracks").glob("*Track 2*")
    run("rm", mp3(bench, 2) if place == "release" else shown)
    assert bench.in_trash() == ["02.mp3"]
    assert mp3(bench, 2).name not in os.listdir(bench.mp3_release)
    del audio["blackpink/02.mp3"]
    assert audio_of(bench.source) == audio
    assert bench.journal() == ["delete 02.mp3 of BLACKPINK - 2016. Square"]
    assert len(os.listdir(bench.top / "Playlists/Mix")) == 3 + 1
    bench.check()


def test_of_tracks_with_one_name_the_one_that_is_named_is_removed(bench: Workbench) -> None:
    audio = audio_of(bench.source)
    for number in (1, 2, 3):
        set_tags(mp3(bench, number), title="Same", tracknumber="1")
    names = ["01. Same.mp3", "01. Same [2].mp3", "01. Same [3].mp3"]
    assert [name for name in names if name in os.listdir(bench.mp3_release)] == names
    sources = [
        Path(os.fsdecode(os.getxattr(bench.mp3_release / name, "user.rosefs.source_path"))) for name in names
    ]
    run("rm", bench.mp3_release / names[0])
    with pytest.raises(FileNotFoundError):
        os.unlink(bench.mp3_release / names[0])
    run("rm", bench.mp3_release / names[2])
    assert [path.exists() for path in sources] == [False, True, False]
    bench.clock.advance(11)
    wait_for(lambda: names[0] in os.listdir(bench.mp3_release))
    assert audio_of(bench.source).items() <= audio.items()
    assert sources[1].exists()
    bench.check()


def test_a_name_just_written_can_be_removed(bench: Workbench) -> None:
    before = snapshot(bench.source)
    with (bench.release / "note").open("w+b", buffering=0) as file:
        file.write(b"never mind")
        os.unlink(bench.release / "note")
        assert "note" not in os.listdir(bench.release)
        assert snapshot(bench.source) == before
        file.write(b"!")
        file.seek(0)
        assert file.read() == b"never mind!"
        assert os.fstat(file.fileno()).st_size == 11
    wait_for(lambda: snapshot(bench.source) == before)
    assert bench.in_trash() == []


def test_removing_a_release_puts_everything_into_the_trash(bench: Workbench) -> None:
    names, before = os.listdir(bench.source / "loona"), snapshot(bench.source / "loona")
    run("rm", "-r", bench.release)
    assert bench.release.name not in os.listdir(bench.top / "Releases")
    assert not (bench.source / "loona").exists()
    trashed = {path.name for path in (bench.trash / "files").rglob("*")}
    assert trashed == {"loona", *names}
    assert sorted(path.name for path in bench.source.iterdir()) == ["!collages", "!playlists", "blackpink"]
    bench.check()
    undo(bench.c, Journal(bench.state_dir))
    assert snapshot(bench.source / "loona") == before


def test_a_release_with_tracks_cannot_be_removed_as_a_directory(bench: Workbench) -> None:
    before = snapshot(bench.source)
    with pytest.raises(OSError, match="not empty"):
        os.rmdir(bench.release)
    assert snapshot(bench.source) == before
    for path in bench.release.glob("*.flac"):
        path.unlink()
    assert bench.release.name in os.listdir(bench.top / "Releases")
    run("rmdir", bench.release)
    assert not (bench.source / "loona").exists()
    assert "loona" in bench.in_trash()
    bench.check()


def test_a_datafile_is_only_hidden_for_a_moment(bench: Workbench) -> None:
    (datafile,) = bench.release.glob(".rose.*.toml")
    run("rm", datafile)
    assert datafile.name not in os.listdir(bench.release)
    assert (bench.source / "loona" / datafile.name).exists()
    bench.clock.advance(11)
    wait_for(lambda: datafile.name in os.listdir(bench.release))


def test_the_last_track_is_back_soon_after_undo(bench: Workbench) -> None:
    audio = audio_of(bench.source)
    run("rm", *bench.release.glob("*.flac"))
    assert list(bench.release.glob("*.flac")) == []
    journal = Journal(bench.state_dir)
    while any(not entry.undone and not entry.undoes for entry in journal.history()):
        undo(bench.c, journal)  # once, or twice if the machine was slow between the two
    bench.clock.advance(0.6)
    wait_for(lambda: len(list(bench.release.glob("*.flac"))) == 2)
    assert audio_of(bench.source) == audio
    bench.check()


def test_a_release_all_of_whose_files_are_made_again_is_there_with_all_of_them(bench: Workbench) -> None:
    """What ``tar x`` does over what is there: each file is removed, and then made."""
    names = ["01. Track 1.flac", "02. Track 2.flac", "cover.png", "rip.log"]
    content = {name: (bench.release / name).read_bytes() for name in names}
    for path in sorted(bench.release.iterdir()):
        path.unlink()
    for name in ("rip.log", "cover.png", "02. Track 2.flac", "01. Track 1.flac"):
        (bench.release / name).write_bytes(content[name])
        assert name in os.listdir(bench.release)
    assert {path.name: path.read_bytes() for path in bench.release.iterdir() if path.name in names} == content
    bench.clock.advance(11)
    assert len(list(bench.release.glob("*.flac"))) == 2
    run("rm", "-r", bench.release)
    assert not bench.release.exists()
    assert not (bench.source / "loona").exists()
    bench.check()
