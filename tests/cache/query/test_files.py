"""Queries for the files of a release that are no tracks."""

from __future__ import annotations

from rosecache.config import Config
from rosecache.model import File
from rosecache.query.files import ReleaseFiles, get_release_files
from rosecache.update.rows import FileRow
from tests.support.rows import release_row, store, track_row


def test_get_release_files(c: Config) -> None:
    store(
        c,
        release_row(
            "r",
            directory=b"Dir",
            tracks=[track_row("t")],
            files=[
                FileRow(b"scans/back\xff.png", "extra", 1, 2, 3),
                FileRow(b"broken.mp3", "broken", 4, 5, 6, "no audio"),
                FileRow(b".rose.r.toml", "datafile", 7, 8, 9),
                FileRow(b"cover.jpg", "cover", 10, 11, 12),
            ],
        ),
        release_row("bare", tracks=[track_row("u")]),
    )
    base = c.music_source_dir / "Dir"
    assert get_release_files(c, "r") == ReleaseFiles(
        cover=File(base / "cover.jpg", size=10, mtime=11),
        datafile=File(base / ".rose.r.toml", size=7, mtime=8),
        extra=(
            File(base / "broken.mp3", size=4, mtime=5),
            File(base / "scans" / "back\udcff.png", size=1, mtime=2),
        ),
    )
    nothing = ReleaseFiles(cover=None, datafile=None, extra=())
    assert get_release_files(c, "bare") == get_release_files(c, "nowhere") == nothing
