"""What changes in the source is seen in a mount without mounting anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rosecache.config import Config
from tests.end_to_end.conftest import eventually, is_audio, output_of
from tests.support.audio import FORMATS, make_release, set_tags
from tests.support.commands import Rosefs
from tests.support.mounts import Mounted


@dataclass(frozen=True)
class Living:
    """A small mounted library that may be changed."""

    rosefs: Rosefs
    mount: Mounted

    @property
    def source(self) -> Path:
        return self.rosefs.c.music_source_dir

    @property
    def releases(self) -> Path:
        return self.mount.path / "Releases"

    def update(self) -> None:
        """Brings the cache up to date, in another process than the one that serves the mount."""
        self.rosefs.run("cache", "update")


@pytest.fixture
def living(c: Config, tmp_path: Path, binding: str, need_fuse: None) -> Iterator[Living]:
    for number, format in enumerate(FORMATS):
        make_release(
            c.music_source_dir,
            f"R{number}",
            format=format,
            artist=f"Artist {number}",
            album=f"Album {number}",
        )
    rosefs = Rosefs.set_up(c, tmp_path / "config.toml")
    rosefs.run("cache", "update")
    with rosefs.mount(tmp_path / "mnt", binding) as mount:
        yield Living(rosefs, mount)


def names(directory: Path) -> set[str]:
    """Returns what a directory lists, each of which can be found too."""
    return {path.name for path in directory.iterdir() if path.lstat()}


def becomes(expected: set[str], directory: Path) -> None:
    """Waits until the kernel has let go of what it knew, which it may keep for a while."""
    eventually(
        lambda: listed(directory) == expected, lambda: f"expected {expected}, found {listed(directory)}"
    )


def is_gone(path: Path) -> None:
    """Waits until a name leads nowhere."""
    eventually(lambda: not path.exists(), lambda: f"{path} is still there")


def listed(directory: Path) -> set[str] | None:
    """Returns what a directory lists; None if it is gone, or goes at this moment."""
    try:
        return names(directory)
    except FileNotFoundError:
        return None


def title(number: int) -> str:
    return f"{{NEW}} Artist {number} - 2020. Album {number}"


@pytest.mark.parametrize("format", FORMATS)
def test_a_retag_in_the_source_is_seen_in_names_and_content(living: Living, format: str) -> None:
    number = FORMATS.index(format)
    release = living.releases / title(number)
    before = names(release)
    assert f"01. Track 1.{format}" in before
    source = living.source / f"R{number}" / f"01.{format}"
    set_tags(source, title="Another name, which needs more bytes than the old one did")
    living.update()
    renamed = f"01. Another name, which needs more bytes than the old one did.{format}"
    becomes((before - {f"01. Track 1.{format}"}) | {renamed}, release)
    eventually(
        lambda: (release / renamed).read_bytes() == source.read_bytes(), lambda: "the old content stays"
    )
    assert (release / renamed).stat().st_size == source.stat().st_size
    # The old name is bound to the same track for a while: a player's list keeps working.
    assert (release / f"01. Track 1.{format}").read_bytes() == source.read_bytes()


def test_what_rules_change_is_seen_and_one_undo_takes_it_back(living: Living) -> None:
    genres, artists = living.mount.path / "Genres", living.mount.path / "Artists"
    before = names(genres), names(artists)
    said = living.rosefs.run(
        "rules", "run", "genre:^K-Pop$", "replace:Dance", "new/replace:false", "artist:^Artist 1$/replace:Other",
        "--ignore", "releasetitle:Album 0", "--yes",
    )  # fmt: skip
    assert said.endswith(f"changed {2 * (len(FORMATS) - 1)} tracks\n")
    becomes({"K-Pop", "Dance", "Pop"} | (before[0] - {"K-Pop", "Pop"}), genres)
    becomes((before[1] - {"Artist 1"}) | {"Other"}, artists)
    becomes({title(0), "!All Tracks"}, living.mount.path / "Releases - New")
    assert "Other - 2020. Album 1" in names(genres / "Dance")
    living.rosefs.run("undo")
    becomes(before[0], genres)
    becomes(before[1], artists)
    becomes(
        {title(number) for number in range(len(FORMATS))} | {"!All Tracks"},
        living.mount.path / "Releases - New",
    )


def test_a_new_release_appears_and_a_deleted_one_goes_in_every_view(living: Living) -> None:
    make_release(living.source, "R9", artist="Artist 9", album="Album 9", genre="Jazz")
    shutil.rmtree(living.source / "R0")
    assert "Artist 0" in names(living.mount.path / "Artists")
    assert "Jazz" not in names(living.mount.path / "Genres")
    living.update()
    becomes({title(number) for number in (1, 2, 3, 4, 9)} | {"!All Tracks"}, living.releases)
    becomes({f"Artist {number}" for number in (1, 2, 3, 4, 9)}, living.mount.path / "Artists")
    becomes({title(9), "!All Tracks"}, living.mount.path / "Genres" / "Jazz")
    is_gone(living.releases / title(0))
    is_gone(living.mount.path / "Artists" / "Artist 0" / title(0))


def test_a_track_that_plays_goes_on_while_its_file_is_replaced(living: Living) -> None:
    source = living.source / "R4" / "01.flac"
    old = source.read_bytes()
    track = living.releases / title(4) / "01. Track 1.flac"
    with track.open("rb") as playing:
        head = playing.read(100)
        replacement = source.with_name(".in-progress.copy")
        shutil.copyfile(source, replacement)
        source.unlink()
        replacement.rename(source)
        set_tags(source, comment="longer " * 2000)
        living.update()
        eventually(lambda: track.read_bytes() == source.read_bytes(), lambda: "the old content stays")
        assert head + playing.read() == old
    assert source.read_bytes() != old


def test_walking_while_the_library_changes_meets_no_error(living: Living) -> None:
    for round_ in range(5):
        set_tags(living.source / "R1" / "01.m4a", album=f"Album 1 again {round_}")
        set_tags(living.source / "R1" / "02.m4a", album=f"Album 1 again {round_}")
        living.update()
        output_of("find", living.mount.path, "-ls")
    listing = {path for path in living.releases.rglob("*") if is_audio(path)}
    assert len(listing) == 2 * 2 * len(FORMATS)
    assert all(os.access(path, os.R_OK) for path in listing)
