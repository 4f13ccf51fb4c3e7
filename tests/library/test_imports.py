"""Importing directories: copied or moved, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from rosecache.config import Config
from rosecache.query.releases import list_releases
from rosecache.update import update_cache
from rosefs.library import files, hands
from rosefs.library.errors import ImportRefusedError, InvalidNameError, TrashError
from rosefs.library.imports import import_release
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.support.audio import make_release
from tests.support.disks import fill_disk
from tests.support.library import check_cache, ids_on_disk, snapshot


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A directory of two tracks, one below, with a booklet, outside of the library."""
    album = make_release(tmp_path / "downloads", "An Album", tracks=1, album="An Album")
    make_release(album, "Disc 2", tracks=1, album="An Album", discnumber="2")
    (album / "booklet.pdf").write_bytes(b"%PDF")
    return album


def test_a_directory_is_copied_and_is_a_release(library: Config, journal: Journal, album: Path) -> None:
    before = snapshot(album)
    seen: list[tuple[int, int]] = []
    imported = import_release(
        library, journal, album, progress=lambda done, total: seen.append((done, total))
    )
    assert imported.path == library.music_source_dir / "An Album"
    assert imported.release is not None
    assert imported.release.releasetitle == "An Album"
    assert (imported.path / "booklet.pdf").read_bytes() == b"%PDF"
    assert snapshot(album) == before
    total = sum(map(len, before.values()))
    assert (seen[0], seen[-1]) == ((0, total), (total, total))
    check_cache(library)


def test_a_directory_is_moved(library: Config, journal: Journal, album: Path) -> None:
    inode = album.stat().st_ino
    imported = import_release(library, journal, album, move=True)
    assert not album.exists()
    assert imported.path.stat().st_ino == inode
    assert imported.trashed is None
    check_cache(library)


def test_moving_from_another_volume_copies_and_puts_the_original_into_its_trash(
    library: Config, journal: Journal, album: Path, volume: Path
) -> None:
    make_release(volume, "far", tracks=2, album="Far")
    before = snapshot(volume / "far")
    imported = import_release(library, journal, volume / "far", move=True)
    assert not (volume / "far").exists()
    assert imported.trashed is not None
    assert imported.trashed.files_path == volume / f".Trash-{os.getuid()}" / "files" / "far"
    assert snapshot(imported.trashed.files_path) == before
    assert len(ids_on_disk(imported.path)) == 2
    check_cache(library)


def test_moving_from_a_volume_without_a_trash_changes_nothing(
    library: Config, journal: Journal, volume: Path
) -> None:
    make_release(volume, "far", tracks=1)
    (volume / f".Trash-{os.getuid()}").write_bytes(b"in the way")
    before = snapshot(library.music_source_dir)
    with pytest.raises(TrashError, match="no trash can be used"):
        import_release(library, journal, volume / "far", move=True)
    assert (volume / "far/01.opus").exists()
    assert snapshot(library.music_source_dir) == before
    assert journal.history() == []


def test_equal_names_get_numbers(library: Config, journal: Journal, album: Path) -> None:
    names = [import_release(library, journal, album).path.name for _ in range(3)]
    assert names == ["An Album", "An Album [2]", "An Album [3]"]
    releases = [release for release in list_releases(library) if release.releasetitle == "An Album"]
    assert len({release.id for release in releases}) == 3


def test_the_longest_names_are_cut_for_their_number(library: Config, journal: Journal, album: Path) -> None:
    album = album.rename(album.with_name("가" * 85))
    import_release(library, journal, album)
    second = import_release(library, journal, album).path
    assert second.name == "가" * 83 + " [2]"
    check_cache(library)


def test_a_name_that_is_not_utf8(library: Config, journal: Journal, album: Path) -> None:
    album = album.rename(album.with_name(os.fsdecode(b"caf\xe9")))
    assert os.fsencode(import_release(library, journal, album).path.name) == b"caf\xe9"
    assert os.fsencode(import_release(library, journal, album).path.name) == b"caf\xe9 [2]"


def test_a_name_that_somebody_is_still_copying_is_taken(
    library: Config, journal: Journal, album: Path
) -> None:
    other = library.music_source_dir / ".in-progress.An Album"
    other.mkdir()
    assert import_release(library, journal, album).path.name == "An Album [2]"
    assert list(other.iterdir()) == []


def test_somebody_who_was_faster_keeps_the_name(
    library: Config, journal: Journal, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_tree = files.copy_tree

    def interfere(source: Path, target: Path, progress: files.Progress) -> None:
        copy_tree(source, target, progress)
        if target.name == ".in-progress.An Album":
            make_release(library.music_source_dir, "An Album", tracks=1, album="Faster")

    monkeypatch.setattr(hands, "copy_tree", interfere)
    imported = import_release(library, journal, album)
    assert imported.path.name == "An Album [2]"
    assert len(journal.history()) == 1
    assert not list(library.music_source_dir.glob(".in-progress.*"))
    update_cache(library)
    check_cache(library)
    undo(library, journal)
    assert not imported.path.exists()
    assert len(list((library.music_source_dir / "An Album").glob("*.opus"))) == 1


def test_nothing_is_seen_of_a_release_before_it_is_whole(
    library: Config, journal: Journal, album: Path
) -> None:
    during: list[int] = []

    def look(done: int, total: int) -> None:
        update_cache(library)
        during.append(len(list_releases(library)))
        assert not (library.music_source_dir / "An Album").exists()

    import_release(library, journal, album, progress=look)
    assert set(during) == {3}
    assert len(list_releases(library)) == 4


def test_files_that_carry_ids_of_a_release_without_datafile_are_taken(
    library: Config, journal: Journal, tmp_path: Path, album: Path
) -> None:
    import_release(library, journal, album)
    (taken,) = [release for release in list_releases(library) if release.releasetitle == "An Album"]
    moved = taken.source_path.rename(tmp_path / "Tagged")
    update_cache(library)
    for datafile in moved.glob(".rose.*"):
        datafile.unlink()
    imported = import_release(library, journal, moved)
    assert imported.release is not None
    assert imported.release.id == taken.id


# Refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("move", [False, True])
def test_what_cannot_be_a_release_is_refused(
    library: Config, journal: Journal, tmp_path: Path, move: bool
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.txt").touch()
    (tmp_path / "file.mp3").touch()
    (tmp_path / "link").symlink_to(library.music_source_dir)
    make_release(tmp_path, "piped", tracks=1)
    os.mkfifo(tmp_path / "piped/pipe")
    before = snapshot(tmp_path / "source")
    for directory, reason in (
        (tmp_path / "empty", "no audio files"),
        (tmp_path / "file.mp3", "not a directory"),
        (tmp_path / "nothing", "does not exist"),
        (tmp_path / "piped", "pipe is neither a file nor a directory"),
        (library.music_source_dir / "loona", "in the library already; rosefs cache update"),
        (library.music_source_dir, "in the library already"),
        (tmp_path / "link" / "loona", "in the library already"),
        (library.music_source_dir.parent, "holds the library itself"),
    ):
        with pytest.raises(ImportRefusedError, match=reason):
            import_release(library, journal, directory, move=move)
    assert snapshot(tmp_path / "source") == before
    assert journal.history() == []


@pytest.mark.parametrize("name", ["!collages", "!playlists", ".in-progress.x", ".Trash-1", "Audiobooks"])
def test_names_that_would_hide_it_are_refused(
    tmp_path: Path, c: Config, journal: Journal, album: Path, name: str
) -> None:
    c = replace(c, ignore_release_directories=("Audiobooks",))
    album = album.rename(album.with_name(name))
    with pytest.raises(InvalidNameError, match="rename it first"):
        import_release(c, journal, album)
    assert album.exists()


def test_the_directory_itself_may_be_named_by_a_dot(
    library: Config, journal: Journal, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)
    assert import_release(library, journal, Path(".")).path.name == "An Album"


def test_a_full_disk_leaves_nothing(tmp_path: Path, volume: Path, journal: Journal, album: Path) -> None:
    c = Config(music_source_dir=volume / "source", cache_dir=tmp_path / "cache")
    c.music_source_dir.mkdir()
    fill_disk(volume).write_bytes(b"x" * (3 * 2**20 + 2**19))
    (album / "large").write_bytes(b"x" * 2**20)
    with pytest.raises(OSError, match="No space left") as raised:
        import_release(c, journal, album)
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(c.music_source_dir / ".in-progress.An Album" / "large")
    assert os.listdir(c.music_source_dir) == []
    assert journal.history() == []


def test_a_library_that_cannot_be_written_is_said(
    library: Config, journal: Journal, album: Path, permissions_count: None
) -> None:
    library.music_source_dir.chmod(0o500)
    try:
        for move in (False, True):
            with pytest.raises(OSError, match="Permission denied"):
                import_release(library, journal, album, move=move)
    finally:
        library.music_source_dir.chmod(0o755)
    assert (album / "01.opus").exists()
    assert journal.history() == []
