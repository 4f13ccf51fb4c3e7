"""Writing tags of many files through the journal: what is changed, what is left, and taking it back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.query.releases import list_releases
from rosecache.query.tracks import get_tracks_of_release
from rosecache.tags import NewVersion, TagChanges, read_tags, tagged_version
from rosecache.update import update_cache
from rosefs.library import retag as retagging
from rosefs.library.editing import Touched, holding
from rosefs.library.journal import Journal
from rosefs.library.retag import ReleaseEdit, TrackEdit, retag
from rosefs.library.undo import recover, undo
from tests.support.audio import make_track, set_tags
from tests.support.disks import fill_disk
from tests.support.library import check_cache, snapshot
from tests.support.variants import VARIANTS


def planned(c: Config, changes: TagChanges, *, new: bool | None = None) -> list[ReleaseEdit]:
    """Returns an edit that changes every track of every release, in order of their directories."""
    return [
        ReleaseEdit(
            release,
            [
                TrackEdit(track.source_path, read_tags(track.source_path), changes)
                for track in get_tracks_of_release(c, release)
            ],
            new=new,
        )
        for release in sorted(list_releases(c), key=lambda release: release.source_path)
    ]


def titles(c: Config) -> set[str]:
    return {release.releasetitle for release in list_releases(c)}


def test_files_and_datafiles_say_what_they_should_and_so_does_the_cache(
    library: Config, journal: Journal
) -> None:
    done = retag(library, journal, planned(library, TagChanges(releasetitle="Same"), new=False))
    assert titles(library) == {"Same"}
    assert not any(release.new for release in list_releases(library))
    assert {read_tags(path).releasetitle for path in library.music_source_dir.rglob("*.opus")} == {"Same"}
    assert done.problems == []
    assert len(done.changed) == 6 + 3
    check_cache(library)


def test_a_run_is_taken_back_as_one_byte_for_byte_and_can_be_done_again(
    library: Config, journal: Journal
) -> None:
    before = snapshot(library.music_source_dir)
    retag(library, journal, planned(library, TagChanges(releasetitle="Same", genres=("Jazz",)), new=False))
    after = snapshot(library.music_source_dir)
    undo(library, journal)
    assert snapshot(library.music_source_dir) == before
    assert titles(library) == {"Hash", "Square", "Demo"}
    undo(library, journal, journal.history(1)[0].id)
    assert snapshot(library.music_source_dir) == after


def test_a_run_over_more_releases_than_edits_are_kept_is_taken_back_as_a_whole(
    library: Config, journal: Journal
) -> None:
    journal = msgspec.structs.replace(journal, max_edits=1)
    before = snapshot(library.music_source_dir)
    retag(library, journal, planned(library, TagChanges(releasetitle="Same")))
    assert len(journal.history()) == 3
    undo(library, journal)
    assert snapshot(library.music_source_dir) == before


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def test_every_kind_of_file_is_taken_back_byte_for_byte(variant: str, c: Config, journal: Journal) -> None:
    (c.music_source_dir / "release").mkdir()
    path = VARIANTS[variant](c.music_source_dir / "release")
    update_cache(c)
    before = path.read_bytes()
    long = tuple(f"descriptor {number}" for number in range(4000))
    for changes in (TagChanges(tracktitle="Another", edition="X"), TagChanges(descriptors=long)):
        (edit,) = planned(c, changes)
        assert retag(c, journal, [edit]).problems == []
    assert path.read_bytes() != before
    undo(c, journal)
    undo(c, journal)
    assert path.read_bytes() == before


def journal_size(journal: Journal) -> int:
    return sum(path.stat().st_size for path in journal.directory.iterdir())


@pytest.mark.parametrize("format", ["mp3", "opus", "ogg", "m4a", "flac"])
def test_the_journal_does_not_hold_the_audio(
    format: str, c: Config, journal: Journal, tmp_path: Path
) -> None:
    """Not of MP3 files either, that have tags at both ends, nor of Ogg, of which every page has a number."""
    path = c.music_source_dir / "release" / f"01.{format}"
    path.parent.mkdir()
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "anoisesrc=duration=30", "-ac", "2",
         "-b:a", "192k", "-write_id3v1", "1", "-metadata", "title=Noise", str(path)],
        check=True,
    )  # fmt: skip
    update_cache(c)
    before = path.read_bytes()
    text = "x" * 70_000  # more than a page of Ogg holds
    retag(c, journal, planned(c, TagChanges(tracktitle="Louder noise", edition=text)))
    assert journal_size(journal) < len(before) / 10
    undo(c, journal)
    assert path.read_bytes() == before
    assert journal_size(journal) < len(before) / 10 + 2 * len(text)
    undo(c, journal, journal.history(1)[0].id)
    assert read_tags(path).tracktitle == "Louder noise"


def test_a_file_that_says_it_already_is_not_touched(library: Config, journal: Journal) -> None:
    before = {path: path.stat().st_mtime_ns for path in library.music_source_dir.rglob("*")}
    edits = planned(library, TagChanges(tracknumber="1", discnumber="1"))
    done = retag(library, journal, [ReleaseEdit(edits[2].release, edits[2].tracks, new=True)])
    assert (done.changed, done.problems) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in library.music_source_dir.rglob("*")} == before
    assert journal.history() == []


def test_what_was_changed_since_the_plan_is_left_and_reported(library: Config, journal: Journal) -> None:
    edits = planned(library, TagChanges(releasetitle="Same"))
    changed = library.music_source_dir / "loona" / "01.opus"
    make_track(changed, title="Mine", album="Mine")
    content = changed.read_bytes()
    done = retag(library, journal, edits)
    assert changed.read_bytes() == content
    assert [(problem.path, "changed by another program" in problem.reason) for problem in done.problems] == [
        (changed, True)
    ]
    assert len(done.changed) == 5


def test_a_file_that_cannot_be_written_is_reported_and_the_others_are(
    library: Config, journal: Journal
) -> None:
    edits = planned(library, TagChanges(releasetitle="Same"), new=False)
    source = library.music_source_dir
    broken, gone = source / "loona" / "02.opus", source / "blackpink" / "01.opus"
    broken.write_bytes(b"OggS nothing")
    gone.unlink()
    next((source / "nobody").glob(".rose.*.toml")).write_text("new = ")
    done = retag(library, journal, edits)
    assert {problem.path.name for problem in done.problems} >= {"02.opus", "01.opus"}
    assert len(done.problems) == 3
    assert len(done.changed) == 4 + 2
    assert broken.read_bytes() == b"OggS nothing"
    before = len(journal.history())
    undo(library, journal)
    assert read_tags(source / "nobody" / "01.opus").releasetitle == "Demo"
    assert len(journal.history()) == before + 1


def test_a_file_that_a_program_has_open_for_writing_is_left(library: Config, journal: Journal) -> None:
    edits = planned(library, TagChanges(releasetitle="Same"))
    path = library.music_source_dir / "loona" / "01.opus"
    with path.open("r+b"):
        done = retag(library, journal, edits)
    assert [problem.path for problem in done.problems] == [path]
    assert read_tags(path).releasetitle == "Hash"


def test_a_file_that_a_program_changes_at_the_last_moment_is_left(
    library: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def interfered(path: Path, changes: TagChanges, **more: Any) -> Iterator[NewVersion | None]:
        with tagged_version(path, changes, **more) as version:
            if path.parent.name == "loona":
                set_tags(path, title="Mine")
            yield version

    monkeypatch.setattr(retagging, "tagged_version", interfered)
    done = retag(library, journal, planned(library, TagChanges(releasetitle="Same")))
    assert [problem.path.parent.name for problem in done.problems] == ["loona", "loona"]
    assert titles(library) == {"Same", "Hash"}
    assert read_tags(library.music_source_dir / "loona" / "01.opus").tracktitle == "Mine"
    undo(library, journal)
    assert titles(library) == {"Square", "Hash", "Demo"}


def test_a_release_that_stays_locked_is_reported_and_the_others_are_changed(
    library: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(c: Config, touched: Touched) -> AbstractContextManager[None]:
        if b"loona" in touched.releases:
            raise LockTimeoutError("release-loona", 30.0, "process 1")
        return holding(c, touched)

    monkeypatch.setattr(retagging, "holding", impatient)  # nobody waits 30 seconds here
    done = retag(library, journal, planned(library, TagChanges(releasetitle="Same")))
    assert [problem.path.name for problem in done.problems] == ["loona"]
    assert titles(library) == {"Same", "Hash"}


def test_parents_of_genres_are_written_where_the_settings_say_so(library: Config, journal: Journal) -> None:
    c = msgspec.structs.replace(library, write_parent_genres=True)
    retag(c, journal, planned(c, TagChanges(genres=("K-Pop",))))
    path = c.music_source_dir / "nobody" / "01.opus"
    assert b"K-Pop\\\\PARENTS:\\\\" in path.read_bytes()
    assert read_tags(path).genres == ("K-Pop",)


def test_a_journal_that_cannot_be_written_changes_nothing(library: Config, volume: Path) -> None:
    fill_disk(volume)
    before = snapshot(library.music_source_dir)
    done = retag(library, Journal(volume), planned(library, TagChanges(releasetitle="Same")))
    assert snapshot(library.music_source_dir) == before
    assert done.changed == []
    assert [problem.path.name for problem in done.problems] == ["blackpink", "loona", "nobody"]
    assert all("journal" in problem.reason for problem in done.problems)


def test_progress_is_told_by_file(library: Config, journal: Journal) -> None:
    told: list[tuple[int, int]] = []
    edits = planned(library, TagChanges(releasetitle="Same"))
    retag(library, journal, edits, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 6) for number in range(1, 7)]


# Crashes ------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, signal, os
from pathlib import Path
from rosecache.config import Config
from rosecache.tags import TagChanges
from rosefs.library.journal import Journal
from rosefs.library.retag import retag
from tests.library.test_retag import planned

source, cache, state, files = sys.argv[1:]

def progress(done, total):
    if done == int(files):
        print("here", flush=True)
        signal.pause()

c = Config(music_source_dir=Path(source), cache_dir=Path(cache), max_proc=2)
retag(c, Journal(Path(state)), planned(c, TagChanges(releasetitle="Same")), progress=progress)
"""
"""Retags a library, and stops when some files are done."""


def killed_after(c: Config, journal: Journal, files: int) -> None:
    """Has a program retag the library, and kills it when some of the six files are done."""
    arguments = [c.music_source_dir, c.cache_dir, journal.state_dir, files]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "here\n"
        program.kill()
    assert program.returncode == -signal.SIGKILL
    assert not journal.history(1)[0].finished


def says(c: Config) -> Sequence[str | None]:
    """Returns the title that each file says, in order of the paths."""
    return [read_tags(path).releasetitle for path in sorted(c.music_source_dir.rglob("*.opus"))]


BEFORE = ["Square", "Square", "Square", "Hash", "Hash", "Demo"]


@pytest.mark.parametrize("files", [1, 2, 4, 5])
def test_undo_takes_back_what_a_killed_program_had_done(
    library: Config, journal: Journal, files: int
) -> None:
    before = snapshot(library.music_source_dir)
    killed_after(library, journal, files)
    assert says(library) == ["Same"] * files + BEFORE[files:]
    undo(library, journal)
    assert snapshot(library.music_source_dir) == before
    check_cache(library)
    assert titles(library) == {"Hash", "Square", "Demo"}


@pytest.mark.parametrize("files", [1, 4])
def test_a_second_run_does_all_that_a_killed_one_had_not(
    library: Config, journal: Journal, files: int
) -> None:
    before = snapshot(library.music_source_dir)
    killed_after(library, journal, files)
    recover(library, journal)  # as every program does that is about to edit
    done = retag(library, journal, planned(library, TagChanges(releasetitle="Same")))
    assert done.problems == []
    assert says(library) == ["Same"] * 6
    check_cache(library)
    undo(library, journal)
    assert says(library) == (["Same"] * 3 if files == 4 else BEFORE[:3]) + BEFORE[3:]
    if files == 4:
        undo(library, journal)  # what the killed one had finished
    assert snapshot(library.music_source_dir) == before
    assert all(entry.undone or entry.undoes for entry in journal.history())
