"""What arguments mean: ids, paths in the music directory, paths in a mount; and which names are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.database import connect
from rosecache.model import Release, Track
from rosecache.query.releases import list_releases
from rosecache.query.tracks import get_tracks_of_release
from rosecache.update import update_cache
from rosefs.library.errors import InvalidNameError, NotFoundError
from rosefs.library.resolve import check_name, resolve_release, resolve_track
from tests.support.audio import make_release


@pytest.fixture
def loona(library: Config) -> Release:
    (found,) = [release for release in list_releases(library) if release.source_path.name == "loona"]
    return found


@pytest.fixture
def track(library: Config, loona: Release) -> Track:
    return get_tracks_of_release(library, loona)[0]


def test_an_id_in_any_case(library: Config, loona: Release, track: Track) -> None:
    assert resolve_release(library, loona.id) == loona
    assert resolve_release(library, loona.id.upper()) == loona
    assert resolve_track(library, track.id) == track


def test_a_path_in_the_music_directory(
    library: Config, loona: Release, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    (loona.source_path / "Scans").mkdir()
    for path in ("", "01.opus", "cover.png", "Scans", "nothing/here"):
        assert resolve_release(library, str(loona.source_path / path)) == loona
    assert resolve_track(library, str(track.source_path)) == track
    monkeypatch.chdir(loona.source_path)
    assert resolve_release(library, ".") == loona
    assert resolve_track(library, "01.opus") == track
    monkeypatch.chdir(library.music_source_dir)
    assert resolve_release(library, "loona/") == loona
    assert resolve_track(library, "blackpink/../loona/./01.opus") == track


def test_a_path_over_links(library: Config, loona: Release, track: Track, tmp_path: Path) -> None:
    (tmp_path / "music").symlink_to(library.music_source_dir)
    (tmp_path / "favourite.opus").symlink_to(track.source_path)
    assert resolve_release(library, str(tmp_path / "music/loona")) == loona
    assert resolve_track(library, str(tmp_path / "music/loona/01.opus")) == track
    assert resolve_track(library, str(tmp_path / "favourite.opus")) == track


def test_a_path_that_is_not_utf8(c: Config) -> None:
    name = os.fsdecode(b"caf\xe9")
    make_release(c.music_source_dir, name, tracks=1)
    update_cache(c)
    path = c.music_source_dir / name
    assert resolve_release(c, str(path)).source_path == path
    assert resolve_track(c, str(path / "01.opus")).source_path == path / "01.opus"


@pytest.mark.parametrize("text", ["", "nothing", "/", "\0", "loona\0", "/etc/passwd", "x" * 10_000])
def test_what_means_nothing_is_an_error_that_says_what_would(library: Config, text: str) -> None:
    with pytest.raises(NotFoundError, match="by its id, or by a path"):
        resolve_release(library, text)
    with pytest.raises(NotFoundError, match="by its id, or by the path of its file"):
        resolve_track(library, text)


def test_a_release_is_no_track(library: Config, loona: Release) -> None:
    with pytest.raises(NotFoundError, match="it is a release"):
        resolve_track(library, str(loona.source_path))
    with pytest.raises(NotFoundError):
        resolve_track(library, loona.id)


def test_the_cost_does_not_grow_with_the_library(library: Config, loona: Release, track: Track) -> None:
    with connect(library) as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        try:
            resolve_release(library, str(loona.source_path))
            resolve_track(library, str(track.source_path))
        finally:
            connection.set_trace_callback(None)
        plans = [
            row["detail"]
            for statement in statements
            if statement.lstrip().startswith("SELECT")
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert plans
    assert [plan for plan in plans if plan.startswith(("SCAN r", "SCAN t"))] == []


# Paths in a mount: extended attributes as the mount shows them -----------------------------------------------


@pytest.fixture
def view(tmp_path: Path, loona: Release, track: Track) -> Path:
    """A directory like that of a release in a mount, with its track, its cover and what is not its own."""
    release = tmp_path / "mnt/Artists/LOONA/2018. Hash"
    release.mkdir(parents=True)
    os.setxattr(release, "user.rosefs.id", loona.id.encode())
    (release / "01. Track.opus").touch()
    os.setxattr(release / "01. Track.opus", "user.rosefs.id", track.id.encode())
    os.setxattr(release / "01. Track.opus", "user.rosefs.release_id", loona.id.encode())
    (release / "cover.png").touch()
    return release


def test_a_path_in_a_mount(library: Config, view: Path, loona: Release, track: Track) -> None:
    for path in (view, view / "01. Track.opus", view / "cover.png", view / "not there"):
        assert resolve_release(library, str(path)) == loona
    assert resolve_track(library, str(view / "01. Track.opus")) == track


def test_a_view_itself_is_no_release(library: Config, view: Path) -> None:
    with pytest.raises(NotFoundError):
        resolve_release(library, str(view.parent))
    with pytest.raises(NotFoundError):
        resolve_track(library, str(view / "cover.png"))


def test_a_path_of_another_library_means_nothing(library: Config, view: Path) -> None:
    os.setxattr(view, "user.rosefs.id", b"018b268e-ef68-7180-a01e-19bc3fdf970e")
    with pytest.raises(NotFoundError):
        resolve_release(library, str(view))


# Names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Road Trip", "R&B / Soul".replace("/", "+"), "가" * 83, "a..b", "x.toml", "!", "[2]"]
)
def test_names_that_can_be_used(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"), ("  ", "empty"), ("../x", "slash"), ("a/b", "slash"), ("/", "slash"),
        (".", "dot"), ("..", "dot"), (".hidden", "dot"), ("a\0b", "control character"),
        ("a\nb", "control character"), ("a\x7f", "control character"), ("a\x9bb", "control character"),
        ("x" * 251, "longer than 250 bytes"), ("가" * 84, "longer than 250 bytes"),
        ("caf\udce9", "not UTF-8"),
    ],
)  # fmt: skip
def test_names_that_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(InvalidNameError, match=reason) as raised:
        check_name(name)
    assert raised.value.name == name
