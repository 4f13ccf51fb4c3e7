"""Writing tags when something is in the way: the file stays as it was, with a reason; and values that cannot be."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import zlib
from pathlib import Path
from typing import Any

import pytest

from rosecache.errors import TagWriteError
from rosecache.model import ArtistMapping, PartialDate
from rosecache.tags import TEMPORARY_PREFIX, TagChanges, read_tags, recover, write_tags
from tests.support.audio import FORMATS, make_track
from tests.support.dying import is_killed
from tests.support.permissions import run_as_user
from tests.support.rawtags import other_tags
from tests.support.sounds import decoded_md5
from tests.support.tagedits import FULL, NOTHING, artists, putting, refused
from tests.support.variants import VARIANTS, id3_frame, id3_tag, with_id3

NEW = TagChanges(tracktitle="A new title")

WRITE_PROGRAM = """
import sys
from pathlib import Path
from typing import Any
from rosecache.errors import TagWriteError
from rosecache.tags import TagChanges, write_tags
try:
    write_tags(Path(sys.argv[1]), TagChanges(tracktitle="A new title"))
except TagWriteError as error:
    print(error.reason)
"""


@pytest.fixture(params=["flac", "mp3, no tag"], ids=["with room", "without room"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return VARIANTS[request.param](tmp_path)


@pytest.mark.parametrize("halfway", [False, True], ids=["before the call", "halfway through a write"])
@pytest.mark.parametrize("kind", ["mp3, ID3v2.3", "m4a, moov first", "ogg vorbis", "ogg opus", "flac"])
def test_killed_while_writing(kind: str, halfway: bool, tmp_path: Path) -> None:
    original = VARIANTS[kind](tmp_path)
    before = read_tags(original), original.read_bytes()
    audio = decoded_md5(original)
    release = tmp_path / "release"
    release.mkdir()
    path = release / original.name

    def write() -> bool:
        write_tags(path, putting(FULL))
        return True

    call = 0
    outcomes: list[str] = []
    while not outcomes or outcomes[-1] != "finished":
        call += 1
        shutil.copy2(original, path)
        killed = is_killed(write, call, halfway=halfway)
        assert recover(release) == []
        assert os.listdir(release) == [path.name]
        is_old = path.read_bytes() == before[1]
        assert is_old or read_tags(path) == FULL
        outcomes.append("finished" if not killed else "old" if is_old else "new")
    assert set(outcomes) == {"old", "new", "finished"}
    assert decoded_md5(path) == audio


def test_recovery_leaves_what_a_living_process_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.fsync

    def recover_in_between(fd: int) -> None:
        assert recover(path.parent) == []
        seen.append(any(name.startswith(TEMPORARY_PREFIX) for name in os.listdir(path.parent)))
        real(fd)

    monkeypatch.setattr(os, "fsync", recover_in_between)
    write_tags(path, NEW)
    assert seen[0]
    assert read_tags(path).tracktitle == NEW.tracktitle


def test_file_that_another_program_writes_to(path: Path) -> None:
    with path.open("r+b"):
        assert refused(path, NEW) == "another program is writing to it"
    write_tags(path, NEW)


def test_file_that_another_program_reads_keeps_its_content_for_it(path: Path) -> None:
    before = path.read_bytes()
    with path.open("rb") as file:
        write_tags(path, NEW)
        assert file.read() == before


def test_other_names_of_a_file_keep_its_content(path: Path) -> None:
    other = path.with_name("shared" + path.suffix)
    other.hardlink_to(path)
    before = path.read_bytes()
    write_tags(path, NEW)
    assert other.read_bytes() == before
    assert read_tags(path).tracktitle == NEW.tracktitle


def test_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    outside = make_track(tmp_path / "outside" / "01.flac")
    link = tmp_path / "01.flac"
    link.symlink_to(outside)
    assert "symbolic link" in refused(link, NEW)
    assert link.is_symlink()


def test_what_is_no_file(tmp_path: Path) -> None:
    directory = tmp_path / "01.flac"
    directory.mkdir()
    with pytest.raises(TagWriteError, match="not a regular file"):
        write_tags(directory, NEW)
    with pytest.raises(TagWriteError, match=os.strerror(errno.ENOENT)):
        write_tags(tmp_path / "02.flac", NEW)


@pytest.mark.parametrize("format", FORMATS)
def test_broken_file(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"01.{format}"
    path.write_bytes(b"this is no audio" * 64)
    assert refused(path, NEW)


def test_read_only_file(path: Path) -> None:
    path.chmod(0o444)
    before = path.read_bytes()
    assert run_as_user(WRITE_PROGRAM, str(path)) == f"{os.strerror(errno.EACCES)}\n"
    assert path.read_bytes() == before


def test_read_only_directory(path: Path) -> None:
    before = path.read_bytes()
    path.parent.chmod(0o555)
    try:
        assert run_as_user(WRITE_PROGRAM, str(path)) == f"{os.strerror(errno.EACCES)}\n"
    finally:
        path.parent.chmod(0o755)
    assert path.read_bytes() == before


def test_no_room_on_the_disk(path: Path) -> None:
    """A limit on file sizes fails a write as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        reason = refused(path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert reason == os.strerror(errno.EFBIG)


def test_file_that_changes_before_the_rename(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = path.read_bytes() + b"edited"
    real = os.fsync

    def interfering(fd: int) -> None:
        real(fd)
        path.write_bytes(edited)

    monkeypatch.setattr(os, "fsync", interfering)
    with pytest.raises(TagWriteError, match="another program has changed it meanwhile"):
        write_tags(path, NEW)
    assert path.read_bytes() == edited
    assert os.listdir(path.parent) == [path.name]


def test_file_that_another_program_opens_before_the_rename(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    real = os.fsync
    with contextlib.ExitStack() as opened:

        def interfering(fd: int) -> None:
            real(fd)
            opened.enter_context(path.open("r+b"))

        monkeypatch.setattr(os, "fsync", interfering)
        with pytest.raises(TagWriteError, match="another program is writing to it"):
            write_tags(path, NEW)
    assert path.read_bytes() == before


@pytest.mark.usefixtures("need_root")
def test_owner_stays(path: Path) -> None:
    os.chown(path, 1234, 5678)
    write_tags(path, NEW)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


def test_tag_that_is_protected_is_left_alone(tmp_path: Path) -> None:
    extended = b"\0\0\0\x0a\x80\0\0\0\0\0\0\0\0\1"
    frame = id3_frame(3, b"TIT2", b"\0Title")
    path = with_id3(tmp_path, id3_tag(3, extended + frame, flags=0x40))
    assert "checksum" in refused(path, NEW)


def test_a_field_that_is_stored_in_a_form_we_do_not_edit_is_refused(tmp_path: Path) -> None:
    """Mutagen reads compressed user text, so an old value would win over the new one."""
    content = b"\0EDITION\0Old"
    packed = len(content).to_bytes(4, "big") + zlib.compress(content)
    path = with_id3(tmp_path, id3_tag(3, id3_frame(3, b"TXXX", packed, flags=0x80)))
    assert read_tags(path).edition == "Old"
    assert refused(path, TagChanges(edition="New")).startswith("edition: 'New' would not be read back")
    assert refused(path, TagChanges(edition=None)).endswith("in a form in which it cannot be removed")
    before = other_tags(path)
    write_tags(path, NEW)
    assert before[0] in other_tags(path)


WRONG = [
    (TagChanges(releasetype="nonsense"), "releasetype: 'nonsense' is none of album, single"),
    (TagChanges(tracknumber="1/2"), "tracknumber: '1/2' is no single number"),
    (TagChanges(genres=("A;B",)), "genres: 'A;B' holds what separates"),
    (TagChanges(genres=("A", r"B\\PARENTS:\\C")), r"genres: 'B\\\\PARENTS:\\\\C' holds what separates"),
    (TagChanges(descriptors=("A / B",)), "descriptors: 'A / B' holds what separates"),
    (TagChanges(labels=("A vs. B",)), "labels: 'A vs. B' holds what separates"),
    (TagChanges(tracktitle="a\0b"), r"tracktitle: 'a\x00b' holds a character that is no text"),
    (TagChanges(edition="a\ud800"), r"edition: 'a\ud800' holds a character that is no text"),
    (TagChanges(releasedate=PartialDate(2020, 13, 1)), "releasedate: PartialDate(year=2020, month=13"),
    (TagChanges(originaldate=PartialDate(2020, 1)), "originaldate: PartialDate(year=2020, month=1, day=None)"),
    (TagChanges(id="018b6514"), "id: '018b6514' is no UUID"),
    (TagChanges(release_id="../../etc"), "release_id: '../../etc' is no UUID"),
    (
        TagChanges(trackartists=ArtistMapping(main=artists("A feat. B"))),
        "trackartists: 'A feat. B' holds what separates",
    ),
    (
        TagChanges(releaseartists=ArtistMapping(guest=artists("A;B"))),
        "releaseartists: 'A;B' holds what separates",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"), WRONG, ids=[reason.split(" ")[0] + str(n) for n, (_, reason) in enumerate(WRONG)]
)
def test_values_that_cannot_be_written(changes: TagChanges, reason: str, tmp_path: Path) -> None:
    assert refused(make_track(tmp_path / "01.opus"), changes).startswith(reason)


@pytest.mark.parametrize("number", ["A1", "0", "65536", "-1", "1.5", "٣"])
@pytest.mark.parametrize("field", ["tracknumber", "discnumber"])
def test_numbers_that_mp4_cannot_hold(number: str, field: str, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {field: number}
    reason = refused(make_track(tmp_path / "01.m4a"), TagChanges(**wrong))
    assert (
        reason == f"{field}: {number!r} is not a whole number from 1 to 65535, and .m4a files hold no other"
    )


def test_one_wrong_value_keeps_all_from_being_written(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    refused(path, TagChanges(tracktitle="New", releasetype="nonsense"))
    assert read_tags(path).tracktitle != "New"
    assert read_tags(path) != NOTHING
