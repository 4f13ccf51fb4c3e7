"""Taking edits back: byte for byte, or not at all with the reason; and after a crash at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from rosecache.config import Config
from rosecache.model import Release
from rosecache.query.lists import get_collage_releases, get_playlist, list_playlists
from rosecache.query.releases import get_release, list_releases
from rosecache.query.tracks import list_tracks
from rosecache.update import update_cache
from rosefs.library import covers, imports, lists, listtext, releases, singles
from rosefs.library.errors import NotFoundError, TrashError, UndoError
from rosefs.library.journal import Journal
from rosefs.library.lists import COLLAGES, PLAYLISTS
from rosefs.library.undo import Undone, recover, undo
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.library import check_cache, snapshot


def release_named(c: Config, name: str) -> Release:
    (found,) = [release for release in list_releases(c) if release.source_path.name == name]
    return found


@pytest.fixture
def full(library: Config, journal: Journal, tmp_path: Path) -> Config:
    """The library with a collage, a playlist with a cover, embedded pictures, and an image to set as cover."""
    ids = [release.id for release in list_releases(library)]
    tracks = [track.id for track in list_tracks(library)]
    lists.create(library, journal, COLLAGES, "mix")
    lists.add(library, journal, COLLAGES, "mix", ids[:2])
    lists.create(library, journal, PLAYLISTS, "run")
    lists.add(library, journal, PLAYLISTS, "run", [*tracks, tracks[0]])
    (tmp_path / "image.png").write_bytes(PICTURE)
    lists.set_cover(library, journal, "run", tmp_path / "image.png")
    (tmp_path / "image.png").write_bytes(PICTURE + b"another")
    make_release(library.music_source_dir, "pictured", picture=PICTURE, album="Pictured")
    make_release(tmp_path / "elsewhere", "imported", tracks=1, album="Imported")
    update_cache(library)
    return library


EDITS: dict[str, Callable[[Config, Journal, Path], object]] = {
    "delete a release": lambda c, j, tmp: releases.delete_release(c, j, release_named(c, "loona")),
    "toggle new": lambda c, j, tmp: releases.toggle_new(c, j, release_named(c, "loona")),
    "replace a cover": lambda c, j, tmp: covers.set_cover(c, j, release_named(c, "loona"), tmp / "image.png"),
    "set a first cover": lambda c, j, tmp: covers.set_cover(
        c, j, release_named(c, "blackpink"), tmp / "image.png"
    ),
    "delete a cover": lambda c, j, tmp: covers.delete_cover(c, j, release_named(c, "loona")),
    "extract covers": lambda c, j, tmp: covers.extract_covers(c, j),
    "import": lambda c, j, tmp: imports.import_release(c, j, tmp / "elsewhere/imported"),
    "import by moving": lambda c, j, tmp: imports.import_release(c, j, tmp / "elsewhere/imported", move=True),
    "make a single": lambda c, j, tmp: singles.create_single(c, j, list_tracks(c)[0]),
    "create": lambda c, j, tmp: lists.create(c, j, PLAYLISTS, "new"),
    "rename": lambda c, j, tmp: lists.rename(c, j, PLAYLISTS, "run", "walk"),
    "delete": lambda c, j, tmp: lists.delete(c, j, PLAYLISTS, "run"),
    "add": lambda c, j, tmp: lists.add(c, j, COLLAGES, "mix", [release_named(c, "pictured").id]),
    "remove": lambda c, j, tmp: lists.remove(c, j, PLAYLISTS, "run", list_tracks(c)[0].id),
    "move": lambda c, j, tmp: lists.move(c, j, PLAYLISTS, "run", list_tracks(c)[1].id, 2, 99),
    "edit": lambda c, j, tmp: listtext.apply_text(c, j, listtext.edit_text(c, COLLAGES, "mix"), ""),
    "set a playlist's cover": lambda c, j, tmp: lists.set_cover(c, j, "run", tmp / "image.png"),
    "delete a playlist's cover": lambda c, j, tmp: lists.delete_cover(c, j, "run"),
}


@pytest.fixture
def linked(full: Config, tmp_path: Path) -> Config:
    """The same library, reached through a link, and one of its releases and its lists through further ones."""
    source = full.music_source_dir
    for name in ("loona", "!playlists", "!collages"):
        (source / name).rename(tmp_path / f"other {name}")
        (source / name).symlink_to(tmp_path / f"other {name}")
    (tmp_path / "link").symlink_to(source)
    c = replace(full, music_source_dir=tmp_path / "link", follow_links_to=(tmp_path,))
    update_cache(c)
    return c


@pytest.mark.parametrize("name", ["delete a release", "delete a cover", "delete a playlist's cover"])
def test_the_cache_follows_through_links(linked: Config, journal: Journal, tmp_path: Path, name: str) -> None:
    def shown() -> tuple[Release | None, Path | None]:
        playlist = get_playlist(linked, "run")
        assert playlist is not None
        return get_release(linked, loona), playlist.cover_path

    loona = release_named(linked, "loona").id
    before = shown()
    EDITS[name](linked, journal, tmp_path)
    assert shown() != before
    undo(linked, journal)
    assert shown() == before


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_is_taken_back_and_done_again(
    full: Config, journal: Journal, tmp_path: Path, name: str
) -> None:
    before = snapshot(full.music_source_dir)
    EDITS[name](full, journal, tmp_path)
    after = snapshot(full.music_source_dir)
    assert after != before
    entry = journal.history(1)[0]

    assert undo(full, journal).entry.id == entry.id
    assert snapshot(full.music_source_dir) == before
    check_cache(full)

    taken_back = journal.history(1)[0]
    assert taken_back.undoes == (entry.id,)
    assert journal.find(entry.id).undone
    undo(full, journal, taken_back.id)
    again = snapshot(full.music_source_dir)
    # A moved directory has got its ids by now: what is imported again is not what was imported first.
    assert again.keys() == after.keys() if "import" in name else again == after
    check_cache(full)
    assert not journal.find(entry.id).undone
    assert undo(full, journal).entry.id == entry.id
    assert snapshot(full.music_source_dir) == before


def _edit_a_file(release: Path) -> None:
    set_tags(next(release.glob("*.opus")), title="Changed")


def _add_a_file(release: Path) -> None:
    (release / "notes.txt").write_text("mine")


def _remove_a_file(release: Path) -> None:
    next(release.glob("*.opus")).unlink()


@pytest.mark.parametrize("change", [_edit_a_file, _add_a_file, _remove_a_file])
@pytest.mark.parametrize("name", ["import", "import by moving", "make a single"])
def test_a_directory_that_was_made_is_not_taken_away_when_its_files_have_changed(
    full: Config, journal: Journal, tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    before = set(full.music_source_dir.iterdir())
    EDITS[name](full, journal, tmp_path)
    (made,) = set(full.music_source_dir.iterdir()) - before
    change(made)
    after = snapshot(full.music_source_dir)
    with pytest.raises(UndoError, match="has changed since"):
        undo(full, journal)
    assert snapshot(full.music_source_dir) == after


def test_the_last_edits_are_taken_back_one_after_the_other(
    full: Config, journal: Journal, tmp_path: Path
) -> None:
    before = snapshot(full.music_source_dir)
    chain = ("toggle new", "replace a cover", "extract covers", "import", "add", "move", "remove", "edit",
             "delete a playlist's cover", "rename", "delete a release")  # fmt: skip
    for name in chain:
        EDITS[name](full, journal, tmp_path)
    for _ in chain:
        undo(full, journal)
    assert snapshot(full.music_source_dir) == before
    check_cache(full)
    assert list_playlists(full) == ["run"]


def test_undoing_everything_ends_with_nothing_to_undo(library: Config, journal: Journal) -> None:
    with pytest.raises(NotFoundError, match="nothing to take back"):
        undo(library, journal)
    lists.create(library, journal, COLLAGES, "mix")
    undo(library, journal)
    with pytest.raises(NotFoundError, match="nothing to take back"):
        undo(library, journal)


def test_an_edit_further_back_can_be_taken_back_alone(library: Config, journal: Journal) -> None:
    releases.delete_release(library, journal, release_named(library, "loona"))
    deleted = journal.history(1)[0]
    lists.create(library, journal, COLLAGES, "mix")
    undo(library, journal, deleted.id)
    assert release_named(library, "loona").source_path.is_dir()
    assert (library.collages_dir / "mix.toml").exists()
    with pytest.raises(UndoError, match="is taken back already"):
        undo(library, journal, deleted.id)


def test_a_deleted_release_comes_back_to_its_collages(full: Config, journal: Journal) -> None:
    mix = [release.id for release in get_collage_releases(full, "mix")]
    releases.delete_release(full, journal, release_named(full, "loona"))
    assert len(get_collage_releases(full, "mix")) == len(mix) - 1
    undo(full, journal)
    assert [release.id for release in get_collage_releases(full, "mix")] == mix


def test_what_was_done_again_is_found_where_it_is_now(
    library: Config, journal: Journal, home_trash: Path
) -> None:
    loona = release_named(library, "loona")
    content = snapshot(loona.source_path)
    releases.delete_release(library, journal, loona)
    deleted = journal.history(1)[0]
    for number in (2, 3):
        undo(library, journal, deleted.id)
        (home_trash / "files" / ("loona" if number == 2 else "loona 2")).write_bytes(b"somebody else's")
        undo(library, journal, journal.history(1)[0].id)
        assert snapshot(home_trash / "files" / f"loona {number}") == content
        assert not journal.find(deleted.id).undone
    undo(library, journal)
    assert snapshot(loona.source_path) == content
    assert journal.find(deleted.id).undone


def test_edits_of_a_group_are_taken_back_and_done_again_as_one(
    c: Config, journal: Journal, place: Path
) -> None:
    before = snapshot(c.music_source_dir)
    for name in ("first", "a", "d"):
        with journal.edit(f"delete {name}", group="rm -r x") as edit:
            edit.trash(place / name)
        with journal.edit(f"something between {name}") as edit:
            edit.create(c.music_source_dir / f"note {name}", b"")
    with journal.edit("delete x", group="rm -r x") as edit:
        edit.trash(place)
    assert not place.exists()
    done = undo(c, journal)
    assert (done.entry.title, done.steps) == ("delete x", 4)
    notes = {f"note {name}": b"" for name in ("first", "a", "d")}
    assert snapshot(c.music_source_dir) == before | notes
    assert [entry.undone for entry in journal.history() if entry.group] == [True] * 4
    undo(c, journal, journal.history(1)[0].id)
    assert snapshot(c.music_source_dir) == notes
    undo(c, journal, done.entry.id)
    assert snapshot(c.music_source_dir) == before | notes


def test_of_a_group_nothing_is_taken_back_if_one_cannot(
    c: Config, journal: Journal, place: Path, home_trash: Path
) -> None:
    for name in ("first", "a"):
        with journal.edit(f"delete {name}", group="rm x/*") as edit:
            edit.trash(place / name)
    (home_trash / "files/first").unlink()
    refused(c, journal, "first is no longer in the trash")


# Refusals ---------------------------------------------------------------------------------------------------


def refused(c: Config, journal: Journal, reason: str) -> None:
    """Checks that the last edit cannot be taken back, and that nothing happens."""
    before, edits = snapshot(c.music_source_dir), journal.history()
    with pytest.raises(UndoError, match=reason):
        undo(c, journal)
    assert snapshot(c.music_source_dir) == before
    assert journal.history() == edits


def test_a_file_that_has_changed_since_is_left_as_it_is(full: Config, journal: Journal) -> None:
    lists.add(full, journal, COLLAGES, "mix", [release_named(full, "pictured").id])
    with open(full.collages_dir / "mix.toml", "a") as file:
        file.write("# mine\n")
    refused(full, journal, r"mix\.toml has changed since; nothing was changed")


def test_a_name_that_is_taken_again_is_not_overwritten(full: Config, journal: Journal) -> None:
    releases.delete_release(full, journal, release_named(full, "loona"))
    make_release(full.music_source_dir, "loona", tracks=1, album="Another")
    refused(full, journal, "something else is at .*loona now")


def test_an_emptied_trash_is_the_reason(full: Config, journal: Journal, home_trash: Path) -> None:
    releases.delete_release(full, journal, release_named(full, "loona"))
    shutil.rmtree(home_trash / "files")
    refused(full, journal, "no longer in the trash")


def test_a_removed_file_is_the_reason(full: Config, journal: Journal) -> None:
    lists.create(full, journal, PLAYLISTS, "new")
    (full.playlists_dir / "new.toml").unlink()
    refused(full, journal, r"new\.toml is gone")


def test_of_several_steps_none_is_taken_back_if_one_cannot(
    full: Config, journal: Journal, home_trash: Path
) -> None:
    lists.delete(full, journal, PLAYLISTS, "run")  # the list itself first, then its cover
    (home_trash / "files/run.toml").unlink()
    refused(full, journal, "no longer in the trash")
    assert (home_trash / "files/run.png").exists()


def test_a_failure_in_the_middle_takes_the_undo_back(
    full: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lists.delete(full, journal, PLAYLISTS, "run")
    before, edits = snapshot(tmp_path / "data"), journal.history()
    import rosefs.library.trash as trashing

    restore, calls = trashing.restore, []

    def fail_on_the_second(trashed: trashing.Trashed) -> None:
        calls.append(trashed)
        if len(calls) == 2:
            raise TrashError(trashed.original, "the disk is on fire")
        restore(trashed)

    monkeypatch.setattr(trashing, "restore", fail_on_the_second)
    with pytest.raises(TrashError, match="on fire"):
        undo(full, journal)
    assert not list(full.playlists_dir.iterdir())
    assert set(snapshot(tmp_path / "data").values()) >= {PICTURE}
    assert snapshot(tmp_path / "data").keys() == before.keys()
    assert [entry.id for entry in journal.history()] == [entry.id for entry in edits]


def test_old_content_that_is_damaged_is_not_put_back(full: Config, journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(PICTURE + os.urandom(100_000))
    covers.set_cover(full, journal, release_named(full, "loona"), tmp_path / "image.png")
    (tmp_path / "image.png").write_bytes(PICTURE + os.urandom(100_000))
    covers.set_cover(full, journal, release_named(full, "loona"), tmp_path / "image.png")
    (kept,) = journal.directory.glob("*.old")
    kept.write_bytes(os.urandom(kept.stat().st_size))
    before = snapshot(full.music_source_dir)
    with pytest.raises(OSError, match="content kept for it is damaged"):
        undo(full, journal)
    assert snapshot(full.music_source_dir) == before


# Crashes ----------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from rosefs.library import files, hands, journal, trash

place, state, action, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
calls = []

def killed(function, last):
    def call(*arguments, **options):
        calls.append(function)
        if moment == "before" and len(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if moment == "after" and len(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

with journal.Journal(state).edit("killed", group="group") as edit:
    edit.rename(place / "first", place / "second")
    if action == "replace":
        os.rename = killed(os.rename, 1)
        edit.replace(place / "a", b"new content")
    elif action == "tree":
        hands.copy_tree = killed(hands.copy_tree, 1)
        edit.create_tree(place / "t", place / "d", place / ".in-progress.t", lambda done, total: None)
    elif action == "trash":
        trash.rename_new = killed(trash.rename_new, 1)
        edit.trash(place / "d")
    elif action == "restore":
        trash.rename_new = killed(trash.rename_new, 2)
        edit.restore(edit.trash(place / "d"))
    elif action == "create":
        hands.rename_new = killed(hands.rename_new, 1)
        edit.create(place / "c", b"made")
    else:
        hands.rename_new = killed(hands.rename_new, 1)
        edit.rename(place / "d", place / "e")
"""


@pytest.fixture
def place(c: Config) -> Path:
    place = c.music_source_dir / "x"
    (place / "d").mkdir(parents=True)
    (place / "d" / "inner").write_bytes(b"inner")
    (place / "a").write_bytes(b"old content")
    (place / "first").write_bytes(b"first")
    return place


def kill_during(action: str, moment: str, place: Path, journal: Journal) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(journal.state_dir), action, moment], check=False
    )
    assert ran.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("action", ["rename", "create", "replace", "tree", "trash", "restore"])
def test_a_kill_between_the_two_halves_is_judged_by_the_disk(
    c: Config, journal: Journal, place: Path, home_trash: Path, action: str, moment: str
) -> None:
    before = snapshot(place)
    kill_during(action, moment, place, journal)
    (entry,) = journal.history()
    assert not entry.finished
    assert undo(c, journal).entry.id == entry.id
    left = {
        name: data for name, data in snapshot(place).items() if not name.startswith(".in-progress.rosefs.")
    }
    assert left == before
    infos = {path.stem for path in (home_trash / "info").glob("*")}
    assert infos == {path.name for path in (home_trash / "files").glob("*")}
    assert journal.find(entry.id).undone


def test_recovery_takes_back_what_was_cut_off_and_nothing_else(
    c: Config, journal: Journal, place: Path
) -> None:
    with journal.edit("whole", group="group") as edit:  # what was done of a gesture before stays done
        edit.create(place / "kept", b"")
    before = snapshot(place)
    kill_during("trash", "after", place, journal)
    (outcome,) = recover(c, journal)
    assert isinstance(outcome, Undone)
    assert outcome.steps == 2
    assert snapshot(place) == before
    assert recover(c, journal) == []


def test_a_directory_of_the_name_of_one_that_was_not_finished_is_somebody_elses(
    c: Config, journal: Journal, place: Path
) -> None:
    kill_during("tree", "after", place, journal)
    (place / "t").mkdir()
    (place / "t" / "theirs").write_bytes(b"theirs")
    (outcome,) = recover(c, journal)
    assert isinstance(outcome, Undone)
    assert (place / "t" / "theirs").read_bytes() == b"theirs"
    assert not (place / ".in-progress.t").exists()
    assert (place / "first").exists()


def test_only_edits_that_were_cut_off_are_abandoned(c: Config, journal: Journal, place: Path) -> None:
    with journal.edit("whole") as edit:
        edit.create(place / "kept", b"")
        assert journal.abandoned() == []
    assert journal.abandoned() == []
    kill_during("trash", "after", place, journal)
    assert journal.abandoned() == [journal.history()[0].id]
    undo(c, journal)
    assert recover(c, journal) == []


def test_recovery_says_what_has_changed_too_much(c: Config, journal: Journal, place: Path) -> None:
    kill_during("trash", "after", place, journal)
    (place / "second").write_bytes(b"somebody else's")
    (outcome,) = recover(c, journal)
    assert isinstance(outcome, UndoError)
    assert "second has changed since" in str(outcome)


def test_an_edit_in_the_making_is_nobody_elses_to_take_back(c: Config, journal: Journal, place: Path) -> None:
    with journal.edit("busy") as edit:
        edit.rename(place / "first", place / "second")
        with pytest.raises(UndoError, match="is being done right now"):
            undo(c, journal)
        assert recover(c, journal) == []
    assert (place / "second").exists()
    undo(c, journal)
    assert (place / "first").exists()
