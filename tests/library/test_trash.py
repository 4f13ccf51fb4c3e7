"""The trash: where things go, what is written of them, and that nothing is lost where none can be had.

The words in quotation marks are those of the freedesktop.org Trash specification 1.0.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from urllib.parse import unquote

import pytest

from rosefs.library.errors import TrashError
from rosefs.library.trash import mount_point_of, problem_of, restore, trash, trash_of

DELETED_AT = 1_700_000_000.0


def info_of(info_path: Path) -> dict[str, str]:
    header, *lines = info_path.read_text().splitlines()
    assert header == "[Trash Info]"
    return dict(line.split("=", 1) for line in lines)


def everything_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "01.mp3"
    path.write_bytes(b"music")
    return path


def test_a_file_goes_to_the_home_trash_with_its_place_and_date(
    file: Path, home_trash: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Seoul")
    trashed = trash(file, clock=lambda: DELETED_AT)
    assert not file.exists()
    assert (home_trash / "files" / "01.mp3").read_bytes() == b"music"
    assert trashed.files_path == home_trash / "files" / "01.mp3"
    assert trashed.info_path == home_trash / "info" / "01.mp3.trashinfo"
    assert info_of(trashed.info_path)["Path"] == str(file)
    # "The date and time are to be in the YYYY-MM-DDThh:mm:ss format … The time zone should be the user's."
    assert info_of(trashed.info_path)["DeletionDate"] in ("2023-11-15T07:13:20", "2023-11-14T22:13:20")


def test_the_trash_is_for_its_owner_alone(file: Path, home_trash: Path) -> None:
    trash(file)
    for directory in (home_trash, home_trash / "files", home_trash / "info"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("variable", ["", "relative/path"])
def test_the_home_trash_without_a_usable_variable(
    file: Path, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", variable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert trash(file).files_path == tmp_path / "home/.local/share/Trash/files/01.mp3"


def test_special_characters_and_undecodable_bytes_are_escaped(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/50% \xe9\xff\n#?.mp3"))
    path.write_bytes(b"music")
    trashed = trash(path)
    shown = info_of(trashed.info_path)["Path"]
    assert shown.isascii()
    assert shown.endswith("/50%25%20%E9%FF%0A%23%3F.mp3")
    assert unquote(shown, errors="surrogateescape") == str(path)
    restore(trashed)
    assert path.read_bytes() == b"music"


def test_a_directory_goes_as_one(tmp_path: Path, home_trash: Path) -> None:
    (tmp_path / "release/Disc 1").mkdir(parents=True)
    (tmp_path / "release/Disc 1/01.mp3").write_bytes(b"music")
    trashed = trash(tmp_path / "release")
    assert (home_trash / "files/release/Disc 1/01.mp3").read_bytes() == b"music"
    restore(trashed)
    assert (tmp_path / "release/Disc 1/01.mp3").read_bytes() == b"music"
    assert everything_below(home_trash) == {"files", "info"}


def test_a_link_is_deleted_itself_and_not_followed(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    trashed = trash(link)
    assert file.exists()
    assert os.readlink(trashed.files_path) == str(file)
    file.unlink()
    restore(trashed)  # it leads nowhere now, and is a link all the same
    assert link.is_symlink()


def test_the_directories_above_may_be_links(tmp_path: Path, file: Path) -> None:
    (tmp_path / "way").symlink_to(tmp_path)
    assert trash(tmp_path / "way" / "01.mp3").original == file


def test_equal_names_get_numbers(tmp_path: Path, file: Path, home_trash: Path) -> None:
    trash(file)
    (home_trash / "files" / "01 2.mp3").write_bytes(b"a file that has lost its info")
    file.write_bytes(b"second")
    trashed = trash(file)
    assert trashed.files_path.name == "01 3.mp3"
    assert (home_trash / "files" / "01.mp3").read_bytes() == b"music"
    assert sorted(os.listdir(home_trash / "info")) == ["01 3.mp3.trashinfo", "01.mp3.trashinfo"]


@pytest.mark.parametrize("name", ["가" * 85, "x" * 250 + ".flac", "y." + "z" * 250])
def test_the_longest_names_fit_with_what_the_trash_appends(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        (tmp_path / name).write_bytes(b"music")
        trashed = trash(tmp_path / name)
        assert len(os.fsencode(trashed.info_path.name)) <= 255
        trashed.files_path.name.encode()  # no character was cut in half
        assert trashed.files_path.read_bytes() == b"music"


def test_what_is_not_there_cannot_be_deleted(tmp_path: Path, home_trash: Path) -> None:
    with pytest.raises(TrashError, match="No such file") as raised:
        trash(tmp_path / "nothing")
    assert raised.value.errno == errno.ENOENT
    assert not home_trash.exists()


def test_a_failed_move_leaves_no_info(file: Path, home_trash: Path, permissions_count: None) -> None:
    (file.parent / "locked").mkdir()
    locked = file.rename(file.parent / "locked" / "01.mp3")
    locked.parent.chmod(0o500)
    try:
        with pytest.raises(TrashError, match="Permission denied") as raised:
            trash(locked)
    finally:
        locked.parent.chmod(0o700)
    assert raised.value.errno == errno.EACCES
    assert locked.read_bytes() == b"music"
    assert everything_below(home_trash) == {"files", "info"}


def test_a_refused_announcement_deletes_nothing(file: Path, home_trash: Path) -> None:
    def refuse(trashed: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TrashError, match="No space left"):
        trash(file, announce=refuse)
    assert file.exists()
    assert everything_below(home_trash) == {"files", "info"}


# Restoring --------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_by_restoring(file: Path) -> None:
    trashed = trash(file)
    file.write_bytes(b"new")
    with pytest.raises(TrashError, match="something else is there") as raised:
        restore(trashed)
    assert raised.value.errno == errno.EEXIST
    assert (file.read_bytes(), trashed.files_path.read_bytes()) == (b"new", b"music")
    assert problem_of(trashed) is None


def test_an_emptied_trash_cannot_give_back(file: Path) -> None:
    trashed = trash(file)
    trashed.files_path.unlink()
    with pytest.raises(TrashError, match="no longer in the trash"):
        restore(trashed)


def test_another_file_in_the_old_place_in_the_trash_is_not_taken_for_it(file: Path, tmp_path: Path) -> None:
    first = trash(file, clock=lambda: DELETED_AT)
    first.files_path.unlink()
    first.info_path.unlink()
    file.write_bytes(b"another")
    second = trash(file, clock=lambda: DELETED_AT + 1)
    assert second.files_path == first.files_path
    with pytest.raises(TrashError, match="no longer in the trash"):
        restore(first)
    restore(second)
    assert file.read_bytes() == b"another"


def test_restoring_needs_the_directory(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release/01.mp3").write_bytes(b"music")
    trashed = trash(tmp_path / "release/01.mp3")
    (tmp_path / "release").rmdir()
    with pytest.raises(TrashError, match="No such file"):
        restore(trashed)
    assert trashed.files_path.exists()
    assert trashed.info_path.exists()


# Another volume ---------------------------------------------------------------------------------------------


@pytest.fixture
def far(volume: Path) -> Path:
    """A file on another volume than the home trash."""
    path = volume / "music" / "a b.mp3"
    path.parent.mkdir()
    path.write_bytes(b"music")
    return path


def test_a_volume_has_a_trash_of_its_own(volume: Path, far: Path, home_trash: Path) -> None:
    trashed = trash(far)
    own = volume / f".Trash-{os.getuid()}"
    assert trashed.files_path == own / "files" / "a b.mp3"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    # "for trash directories … on other mounted resources, paths are relative to $topdir"
    assert info_of(trashed.info_path)["Path"] == "music/a%20b.mp3"
    assert not home_trash.exists()
    restore(trashed)
    assert far.read_bytes() == b"music"


def test_the_trash_can_be_told_beforehand_and_is_not_made(
    file: Path, volume: Path, far: Path, home_trash: Path
) -> None:
    for path in (file, far):
        told = trash_of(path.parent)
        assert not told.exists()
        assert trash(path).files_path.parent.parent == told
        assert trash_of(path.parent) == told  # also when it is there


def test_that_there_can_be_no_trash_can_be_told_beforehand(volume: Path, far: Path) -> None:
    (volume / "elsewhere").mkdir()
    (volume / f".Trash-{os.getuid()}").symlink_to(volume / "elsewhere")
    with pytest.raises(TrashError, match=r"no trash can be used.*\.Trash-\d+: cannot be made"):
        trash_of(far.parent)


def test_an_administrators_trash_comes_first(volume: Path, far: Path) -> None:
    (volume / ".Trash").mkdir()
    (volume / ".Trash").chmod(0o1777)
    assert trash_of(far.parent) == volume / ".Trash" / str(os.getuid())
    trashed = trash(far)
    assert trashed.files_path == volume / ".Trash" / str(os.getuid()) / "files" / "a b.mp3"
    assert info_of(trashed.info_path)["Path"] == "music/a%20b.mp3"


@pytest.mark.parametrize("flaw", ["not sticky", "a link", "a file"])
def test_an_administrators_trash_that_is_not_safe_is_not_used(volume: Path, far: Path, flaw: str) -> None:
    shared = volume / ".Trash"
    if flaw == "a link":
        (volume / "elsewhere").mkdir()
        (volume / "elsewhere").chmod(0o1777)
        shared.symlink_to(volume / "elsewhere")
    elif flaw == "a file":
        shared.write_bytes(b"")
    else:
        shared.mkdir()
        shared.chmod(0o777)
    assert trash(far).files_path == volume / f".Trash-{os.getuid()}" / "files" / "a b.mp3"


def test_a_link_in_the_place_of_the_own_trash_is_refused(volume: Path, far: Path, tmp_path: Path) -> None:
    (volume / "elsewhere").mkdir()
    (volume / f".Trash-{os.getuid()}").symlink_to(volume / "elsewhere")
    with pytest.raises(TrashError, match=r"no trash can be used.*not a directory of your own"):
        trash(far)
    assert far.read_bytes() == b"music"
    assert os.listdir(volume / "elsewhere") == []


def test_where_no_trash_can_be_had_nothing_is_deleted(volume: Path, far: Path, home_trash: Path) -> None:
    (volume / f".Trash-{os.getuid()}").write_bytes(b"somebody's file")
    with pytest.raises(TrashError, match="no trash can be used for it, so it was not deleted") as raised:
        trash(far)
    assert raised.value.errno == errno.EPERM
    assert str(home_trash) in raised.value.reason  # every place that was tried is named
    assert far.read_bytes() == b"music"


def test_a_mounted_file_system_is_not_deleted(volume: Path, far: Path) -> None:
    with pytest.raises(TrashError, match="unmount it first"):
        trash(volume)
    assert far.exists()


def test_the_mount_point_is_that_of_the_volume(volume: Path, tmp_path: Path) -> None:
    (volume / "a/b").mkdir(parents=True)
    (tmp_path / "volume-like").mkdir()
    assert mount_point_of(volume / "a/b") == volume
    assert mount_point_of(volume) == volume
    assert mount_point_of(tmp_path / "volume-like") != volume
    assert mount_point_of(Path("/")) == Path("/")
