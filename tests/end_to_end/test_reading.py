"""What programs read through a mount is what is in the source, however they read it."""

from __future__ import annotations

import mmap
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mutagen
import pytest

from tests.end_to_end.conftest import RELEASES, TRACKS, Big, is_audio, releases_shown
from tests.support.audio import FORMATS
from tests.support.bulk import plan
from tests.support.mounts import Mounted

ABSENT = ("folder.jpg", ".directory", ".hidden", "._cover.png", "AlbumArt.jpg", ".Trash-1000", "desktop.ini")
"""What players and file managers ask every directory for."""
HEAD_BYTES = 4096


def tracks_shown(release: Path) -> list[Path]:
    return sorted(path for path in release.iterdir() if is_audio(path))


def source_of(path: Path) -> Path:
    """Returns what a mount says that a file's source is."""
    return Path(os.fsdecode(os.getxattr(path, "user.rosefs.source_path")))


def test_every_track_is_byte_for_byte_its_source(big: Big, big_mount: Mounted) -> None:
    planned = {release.directory: list(release.files) for release in plan(big.plan)}
    tracks = 0
    for release in releases_shown(big_mount):
        shown = tracks_shown(release)
        sources = [source_of(track) for track in shown]
        for track, source in zip(shown, sources, strict=True):
            content = source.read_bytes()
            with track.open("rb") as file:
                assert file.read() == content, track
                assert os.fstat(file.fileno()).st_size == len(content), track
        # Independent of what the mount says of itself: one whole release of the plan, in order.
        relative = [str(source.relative_to(big.source)).split("/", 1) for source in sources]
        (directory,) = {first for first, _ in relative}
        assert [rest for _, rest in relative] == planned.pop(directory)
        tracks += len(shown)
    assert (tracks, planned) == (RELEASES * TRACKS, {})


def test_all_tracks_and_playlists_hold_the_same_files(big: Big, big_mount: Mounted) -> None:
    shelved = list((big_mount.path / "Releases" / "!All Tracks").iterdir())
    loose = list((big_mount.path / "Loose Tracks" / "!All Tracks").iterdir())
    assert len(shelved) + len(loose) == RELEASES * TRACKS
    members = [path for path in (big_mount.path / "Playlists").rglob("*") if is_audio(path)]
    assert len(members) == 3 * 20
    for path in [*shelved[::50], *members]:
        assert path.read_bytes() == source_of(path).read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_mutagen_reads_the_same_tags_through_a_memory_map(
    small: Big, small_mount: Mounted, format: str
) -> None:
    tracks = list((small_mount.path / "Releases").glob(f"*/*.{format}"))
    assert tracks
    for track in tracks[:9]:
        with track.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert mapped[:] == source_of(track).read_bytes()
        through_mount, direct = mutagen.File(track), mutagen.File(source_of(track))
        assert through_mount.tags == direct.tags
        assert through_mount.info.length == direct.info.length > 0


def test_any_part_of_a_file_can_be_read(small: Big, small_mount: Mounted) -> None:
    track = next(path for path in (small_mount.path / "Releases").glob("*/*.flac"))
    content = source_of(track).read_bytes()
    size = len(content)
    with track.open("rb") as file:
        for offset, length in [
            (size - 10, 100),
            (0, 1),
            (4095, 2),
            (size // 2, 5000),
            (size, 10),
            (size + 9, 1),
        ]:
            assert os.pread(file.fileno(), length, offset) == content[offset : offset + length]


def test_a_file_managers_view_of_every_directory_meets_no_error(small: Big, small_mount: Mounted) -> None:
    directories = 0
    for here, below, files in os.walk(small_mount.path, onerror=_fail):
        directories += 1
        for name in ABSENT:
            assert not os.path.lexists(os.path.join(here, name))
        for name in (*below, *files):
            path = os.path.join(here, name)
            status = os.stat(path)
            for attribute in os.listxattr(path):
                assert os.getxattr(path, attribute)
            if name in files:
                with open(path, "rb") as file:
                    assert len(file.read(HEAD_BYTES)) == min(HEAD_BYTES, status.st_size)
    assert directories > small.plan.releases


def test_many_readers_at_once_read_what_is_there(small: Big, small_mount: Mounted) -> None:
    tracks = list((small_mount.path / "Releases" / "!All Tracks").iterdir())
    assert tracks
    start = threading.Barrier(8)

    def read_all(reader: int) -> list[bytes]:
        start.wait(60)
        return [track.read_bytes() for track in tracks[reader:] + tracks[:reader]]

    expected = [source_of(track).read_bytes() for track in tracks]
    with ThreadPoolExecutor(8) as readers:
        for reader, contents in enumerate(readers.map(read_all, range(8))):
            assert contents == expected[reader:] + expected[:reader]


def test_two_mounts_of_one_library_show_the_same(
    big: Big, big_mount: Mounted, binding: str, tmp_path: Path
) -> None:
    with big.rosefs.mount(tmp_path / "second", binding) as second:
        for view in ("Releases", "Collages", "Playlists"):
            assert os.listdir(second.path / view) == os.listdir(big_mount.path / view)
        for release in list(releases_shown(second))[::100]:
            first = big_mount.path / release.relative_to(second.path)
            for track, other in zip(tracks_shown(release), tracks_shown(first), strict=True):
                assert track.name == other.name
                assert track.read_bytes() == other.read_bytes()
                assert track.stat().st_ino == other.stat().st_ino


def _fail(error: OSError) -> None:
    raise error
