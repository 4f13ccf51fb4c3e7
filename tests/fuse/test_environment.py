"""What goes wrong around a mount: a clear error each, and all is well again when it is over, without a restart."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from rosefs.library.journal import Journal
from rosefs.library.lists import PLAYLISTS, create
from rosefs.library.undo import undo
from tests.fuse.conftest import Workbench, wait_for, working
from tests.support.permissions import as_user
from tests.support.wrong_clock import WrongClock

pytestmark = pytest.mark.usefixtures("need_fuse")

_DAY = 24 * 3600


def test_when_no_more_files_can_be_opened_programs_are_told_so(tmp_path: Path, binding: str) -> None:
    limit = ["prlimit", "--nofile=110:110"]
    with working(tmp_path, binding, prefix=limit, expects_log=["no more files can be opened"]) as bench:
        tracks = sorted((bench.top / "Releases/!All Tracks").iterdir())
        with ExitStack() as opened:
            assert _open_all(opened, tracks) == errno.EMFILE
            for use in (
                lambda: tracks[0].read_bytes(),
                lambda: (bench.top / "Collages/New").mkdir(),
                lambda: tracks[0].write_bytes(b""),
            ):
                with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
                    use()
                assert caught.value.errno == errno.EMFILE
        (bench.top / "Collages/New").mkdir()
        assert all(track.read_bytes() for track in tracks)
        assert bench.mount.log().count("no more files can be opened") == 1
        bench.check()


def _open_all(opened: ExitStack, tracks: Sequence[Path]) -> int | None:
    """Opens many files, and returns the error that ends it."""
    try:
        for number in range(200):
            opened.enter_context(tracks[number % len(tracks)].open("rb"))
    except OSError as error:
        return error.errno
    return None


def test_a_clock_that_jumps_back_and_forth(tmp_path: Path, binding: str) -> None:
    clock = WrongClock.make(tmp_path)
    with working(tmp_path, binding, prefix=clock.prefix) as bench:
        shown = _times(bench)
        jumps = (0, _DAY, -2 * _DAY, -3000 * _DAY, 0, 400 * _DAY)
        for number, seconds in enumerate(jumps):
            clock.set(seconds)
            (bench.top / f"Collages/List {number}").mkdir()
            os.setxattr(bench.mp3_release, "user.rosefs.new", str(number % 2 == 1).lower().encode())
            (bench.top / f"Collages/List {number}").rmdir()
            (bench.top / f"Playlists/List {number}").mkdir()
            now = _times(bench)
            assert all(now[view] >= shown[view] for view in shown), (seconds, now, shown)
            shown = now
        clock.set(-_DAY)
        create(
            bench.c, Journal(bench.state_dir), PLAYLISTS, "List x"
        )  # by another process, which has the true time
        made = [title for title in bench.journal() if "create playlist" in title]
        assert [title[-6:] for title in made] == [
            *(f"List {number}" for number in range(len(jumps))),
            "List x",
        ]
        undo(bench.c, Journal(bench.state_dir))
        wait_for(lambda: "List x" not in os.listdir(bench.top / "Playlists"))
        bench.check()


def _times(bench: Workbench) -> dict[str, int]:
    """Returns when each view changed last, as is shown."""
    return {view: (bench.top / view).stat().st_mtime_ns for view in ("", *os.listdir(bench.top))}


def test_permissions_that_are_taken_away_and_given_back(tmp_path: Path, binding: str) -> None:
    with working(tmp_path, binding, prefix=as_user(), expects_log=["Permission denied"]) as bench:
        track, directory = bench.release / "01. Track 1.flac", bench.source / "loona"
        content = track.read_bytes()
        other = bench.release / "02. Track 2.flac"
        directory.chmod(0)
        try:
            with pytest.raises(PermissionError):
                other.read_bytes()
            with pytest.raises(PermissionError):
                (bench.release / "new.txt").write_text("x")
            assert os.listdir(bench.release)  # what is known is still shown, and nothing is evicted
        finally:
            directory.chmod(0o755)
        assert (track.read_bytes(), bool(other.read_bytes())) == (content, True)
        (bench.release / "new.txt").write_text("x")
        wait_for(lambda: (directory / "new.txt").exists())
        bench.check()
