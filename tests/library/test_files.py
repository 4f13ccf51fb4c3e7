"""What edits do to single files: whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosefs.library import files
from rosefs.library.files import (
    Piece,
    can_reflink,
    common_ends,
    copy_tree,
    digest_if_file,
    digest_of,
    new_version,
    rename_new,
)


def test_renaming_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "d").mkdir()
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "c", tmp_path / "d")  # rename(2) would replace an empty directory
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c", "d"]


def test_renaming_where_the_kernel_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_RENAME_NOREPLACE", 1 << 30)  # a flag that every file system refuses
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")
    rename_new(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"a"


@pytest.mark.parametrize("content", [b"", b"new", "copy", "pieces"])
def test_a_new_version_is_beside_the_file_until_it_is_renamed(tmp_path: Path, content: bytes | str) -> None:
    (tmp_path / "other").write_bytes(b"0123456789")
    given: files.Content
    match content:
        case "copy":
            given, expected = tmp_path / "other", b"0123456789"
        case "pieces":
            other = tmp_path / "other"
            given, expected = (Piece(other, 2, 3), b"--", Piece(other, 9, 1), Piece(other, 0, 0)), b"234--9"
        case _:
            assert isinstance(content, bytes)
            given, expected = content, content
    with new_version(tmp_path / "file", given) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.read_bytes() == expected
        os.rename(temporary, tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


def test_a_new_version_that_is_not_renamed_goes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_version(tmp_path / "file", tmp_path / "nothing"):
        pass
    with new_version(tmp_path / "file", b"x"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_new_version_keeps_mode_and_attributes(tmp_path: Path) -> None:
    old = tmp_path / "file"
    old.write_bytes(b"old")
    old.chmod(0o640)
    os.setxattr(old, "user.note", b"mine")
    with new_version(old, b"new") as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o640
        assert os.getxattr(temporary, "user.note") == b"mine"


@given(st.binary(max_size=40), st.binary(max_size=10), st.binary(max_size=10), st.binary(max_size=40))
def test_common_ends_tell_what_two_files_share(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, a: bytes, b: bytes, end: bytes
) -> None:
    directory = tmp_path_factory.getbasetemp()
    old, new = start + a + end, start + b + end
    (directory / "old").write_bytes(old)
    (directory / "new").write_bytes(new)
    prefix, suffix = common_ends(directory / "old", directory / "new")
    assert prefix + suffix <= min(len(old), len(new))
    assert old[:prefix] == new[:prefix]
    assert old[len(old) - suffix :] == new[len(new) - suffix :]
    assert prefix >= len(start)
    assert prefix + suffix >= min(len(start + end), len(old), len(new))


def test_common_ends_of_files_longer_than_a_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 16)
    body = bytes(range(200))
    (tmp_path / "old").write_bytes(b"HEAD" + body)
    (tmp_path / "new").write_bytes(b"HEADER" + body)
    assert common_ends(tmp_path / "old", tmp_path / "new") == (4, 200)


def test_a_digest_is_of_content_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"else")
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b") != digest_of(tmp_path / "c")
    (tmp_path / "link").symlink_to("a")
    assert digest_if_file(tmp_path / "link") is None
    assert digest_if_file(tmp_path) is None
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        digest_of(tmp_path / "pipe")  # and does not wait for a writer


def test_a_tree_is_copied_with_times_and_tells_how_far_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "Disc 1").mkdir(parents=True)
    (source / "Disc 1/01.mp3").write_bytes(b"x" * 3000)
    (source / "rip.log").write_bytes(b"log")
    (source / "linked.log").symlink_to("rip.log")
    (source / "discs").symlink_to("Disc 1")
    os.utime(source / "Disc 1/01.mp3", ns=(1, 1_600_000_000_000_000_000))
    os.utime(source / "Disc 1", ns=(1, 1_500_000_000_000_000_000))
    (source / "rip.log").chmod(0o444)
    (tmp_path / "target").mkdir()
    seen: list[tuple[int, int]] = []
    copy_tree(source, tmp_path / "target", lambda done, total: seen.append((done, total)))
    target = tmp_path / "target"
    assert (target / "Disc 1/01.mp3").read_bytes() == b"x" * 3000
    assert (target / "Disc 1/01.mp3").stat().st_mtime_ns == 1_600_000_000_000_000_000
    assert (target / "Disc 1").stat().st_mtime_ns == 1_500_000_000_000_000_000
    assert not (target / "linked.log").is_symlink()
    assert (target / "linked.log").read_bytes() == b"log"
    assert os.readlink(target / "discs") == "Disc 1"
    assert (
        stat.S_IMODE((target / "rip.log").stat().st_mode) == 0o644
    )  # ids are to be written into what is ours
    assert seen[0] == (0, 3006)
    assert seen[-1] == (3006, 3006)
    assert seen == sorted(seen)


def test_what_cannot_be_read_is_an_error_and_not_left_out(tmp_path: Path, permissions_count: None) -> None:
    (tmp_path / "source/closed").mkdir(parents=True)
    (tmp_path / "source/closed").chmod(0)
    (tmp_path / "target").mkdir()
    try:
        with pytest.raises(OSError, match="Permission denied") as raised:
            copy_tree(tmp_path / "source", tmp_path / "target", lambda done, total: None)
    finally:
        (tmp_path / "source/closed").chmod(0o700)
    assert raised.value.errno == errno.EACCES


def test_whether_copies_share_their_space_is_told_as_cp_finds_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(4096))
    before = tmp_path.stat().st_mtime_ns
    can = can_reflink(tmp_path)
    assert (os.listdir(tmp_path), tmp_path.stat().st_mtime_ns) == (["a"], before)
    ran = subprocess.run(
        ["cp", "--reflink=always", tmp_path / "a", tmp_path / "b"], check=False, stderr=subprocess.DEVNULL
    )
    assert can in (None, ran.returncode == 0)


def test_where_nobody_can_write_nobody_can_tell_whether_copies_share_their_space() -> None:
    assert can_reflink(Path("/proc")) is None
