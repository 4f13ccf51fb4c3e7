"""The TOML files of collages and playlists: whatever form, place or company they have, nothing of theirs is lost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rosecache import datafiles
from rosecache.changes import changes_since, current_position
from rosecache.config import Config
from rosecache.errors import SourceDirectoryError
from rosecache.query.lists import get_collage_releases, list_collages
from rosecache.update import lists, update_cache, update_cache_for_collages
from tests.support.audio import make_release, set_tags
from tests.support.library import UPDATE_PROGRAM, exact_snapshot, make_list, release_id_on_disk

NOBODY = "018b268e-ef68-7180-a01e-19bc3fdf970e"


@pytest.fixture
def member(c: Config) -> str:
    """The id of a release that the cache knows."""
    directory = make_release(c.music_source_dir, "R", artist="A")
    update_cache(c)
    c.collages_dir.mkdir()
    return release_id_on_disk(directory)


FORMS = {
    "inline": 'releases = [{uuid = "M"}, {uuid = "N", stars = 5}] # mine\n',
    "inline over lines": 'releases = [\n  {uuid = "M"}, # first\n  # second\n  {uuid = "N"},\n]\n',
    "comments between": '# top\n\n[[releases]]\nuuid = "M"\n\n# second\n[[releases]]\nuuid = "N"\n\n# end\n',
    "tables between": '[[releases]]\nuuid = "M"\n[other]\nx = 1\n[[releases]]\nuuid = "N"\n[more]\ny = 2\n',
    "tables inside": '[[releases]]\nuuid = "M"\n[releases.notes]\nx = 1\n[[releases]]\nuuid = "N"\n',
    "twice": '[[releases]]\nuuid = "M"\n[[releases]]\nuuid = "M"\n[[releases]]\nuuid = "N"\n',
    "no line end": '[[releases]]\nuuid = "N"\n[[releases]]\nuuid = "M"',
    "CRLF": '# top\r\n[[releases]]\r\nuuid = "M"\r\n\r\n[[releases]]\r\nuuid = "N"\r\nnote = """a\r\nb"""\r\n',
    "mixed line ends": '[[releases]]\r\nuuid = "M"\n[[releases]]\nuuid = "N"\r\n',
    "flags": '[[releases]]\nuuid = "M"\nmissing = true\ndescription_meta = "x {MISSING}"\n'
    '[[releases]]\nuuid = "N"\ndescription_meta = 5\nmissing = "yes"\n',
    "nothing": "",
    "other keys": "x = 1979-05-27T07:32:00Z\n[a.b]\nc = [1, 2]\n",
}


@pytest.mark.parametrize("capitals", [False, True], ids=["lower case", "upper case"])
@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_a_list_is_brought_up_to_date_once(
    c: Config, member: str, form: str, capitals: bool
) -> None:
    path = c.collages_dir / "C.toml"
    shown = member.upper() if capitals else member
    text = FORMS[form].replace('"M"', f'"{shown}"').replace('"N"', f'"{NOBODY}"')
    path.write_bytes(text.encode())
    before = tomllib.loads(text)
    assert update_cache(c).problems == []
    after = tomllib.loads(path.read_bytes().decode())
    for entry in before.get("releases", []):
        known = entry["uuid"] == shown
        entry["description_meta"] = "[2020] A - Album" if known else entry.get("description_meta", "")
        entry.pop("missing", None)
        if not known:
            entry["missing"] = True
            entry["description_meta"] = f"{entry['description_meta']} {{MISSING}}".lstrip()
    assert after == before
    assert all(line in path.read_text() for line in text.splitlines() if line.startswith("#"))
    if "\r\n" in text and "\n" not in text.replace("\r\n", ""):
        assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    rests(c, path)


def rests(c: Config, *paths: Path) -> None:
    """Checks that two more updates, one of them forced, leave files and change feed alone."""
    before = [(path.stat().st_ino, path.stat().st_ctime_ns) for path in paths]
    position = current_position(c)
    for force in (False, True):
        assert update_cache(c, force=force).problems == []
    assert [(path.stat().st_ino, path.stat().st_ctime_ns) for path in paths] == before
    assert changes_since(c, position).changes == ()


def test_a_list_that_is_a_link_is_read_and_not_written(c: Config, member: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "dotfiles" / "C.toml"
    make_list(elsewhere, "releases", member)
    before = elsewhere.read_bytes()
    path = c.collages_dir / "C.toml"
    path.symlink_to(elsewhere)
    update_cache(c)
    assert path.is_symlink()
    assert elsewhere.read_bytes() == before
    assert [release.id for release in get_collage_releases(c, "C")] == [member]
    rests(c, path, elsewhere)


@pytest.mark.parametrize("permitted", [False, True])
def test_lists_in_a_linked_directory_are_written_to_if_that_is_permitted(
    c: Config, member: str, tmp_path: Path, permitted: bool
) -> None:
    elsewhere = tmp_path / "dotfiles"
    (elsewhere / "lists").mkdir(parents=True)
    make_list(elsewhere / "lists" / "C.toml", "releases", member)
    (elsewhere / "lists" / ".in-progress.rosefs.toml.x.toml").touch()
    before = exact_snapshot(elsewhere)
    c.collages_dir.rmdir()
    c.collages_dir.symlink_to(elsewhere / "lists")
    if permitted:
        c = msgspec.structs.replace(c, follow_links_to=(elsewhere,))
    update_cache(c)
    assert (exact_snapshot(elsewhere) == before) is not permitted
    assert ("[2020] A - Album" in (elsewhere / "lists" / "C.toml").read_text()) is permitted
    rests(c, elsewhere / "lists" / "C.toml")


def test_mode_and_owner_of_a_list_are_kept(c: Config, member: str) -> None:
    path = c.collages_dir / "C.toml"
    make_list(path, "releases", member)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    update_cache(c)
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)


def test_an_editor_that_saves_meanwhile_loses_nothing(
    c: Config, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds no lock, and saves between our reading of the file and our writing."""
    path = c.collages_dir / "C.toml"
    make_list(path, "releases", member)
    refresh = lists.describe_members
    saved: list[bool] = []

    def disturbed(*arguments: object) -> object:
        if not saved:
            saved.append(True)
            make_list(path, "releases", NOBODY, member, member)
        return refresh(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lists, "describe_members", disturbed)
    assert update_cache(c).problems == []
    found = tomllib.loads(path.read_text())["releases"]
    assert [entry["uuid"] for entry in found] == [NOBODY, member, member]
    assert [entry.get("missing") for entry in found] == [True, None, None]
    assert len(get_collage_releases(c, "C")) == 2
    rests(c, path)


def test_an_editor_that_saves_right_after_us_is_noticed(
    c: Config, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = c.collages_dir / "C.toml"
    make_list(path, "releases", member)
    write = datafiles.write_atomically

    def disturbed(target: Path, content: bytes) -> None:
        write(target, content)
        make_list(path, "releases", NOBODY, member, member)

    monkeypatch.setattr(datafiles, "write_atomically", disturbed)
    update_cache_for_collages(c)
    monkeypatch.undo()
    update_cache(c)
    assert len(get_collage_releases(c, "C")) == 2
    rests(c, path)


@pytest.fixture
def read_only(c: Config, member: str) -> Iterator[Path]:
    c.collages_dir.chmod(0o555)
    yield c.collages_dir
    c.collages_dir.chmod(0o755)


def test_a_list_that_cannot_be_written_is_shown_all_the_same(c: Config, member: str, read_only: Path) -> None:
    read_only.chmod(0o755)
    make_list(read_only / "C.toml", "releases", NOBODY, member)
    read_only.chmod(0o555)
    text = (read_only / "C.toml").read_text()
    assert f"{read_only / 'C.toml'}: cannot be written: Permission denied" in update_as_user(c)
    assert (list_collages(c), len(get_collage_releases(c, "C"))) == (["C"], 1)
    position = current_position(c)
    assert "Permission denied" not in update_as_user(c), "nothing changed since, so nothing is tried"
    assert changes_since(c, position).changes == ()
    assert (read_only / "C.toml").read_text() == text


def update_as_user(c: Config) -> str:
    """Runs an update in a process that permissions stop, as they do not stop root, and returns its words."""
    setpriv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*setpriv, sys.executable, "-c", UPDATE_PROGRAM, str(c.music_source_dir), str(c.cache_dir)],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip


def test_a_list_that_vanishes_while_lists_are_found_takes_no_other_with_it(
    c: Config, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B", "C"):
        make_list(c.collages_dir / f"{name}.toml", "releases", member)
    (c.collages_dir / "circle.toml").symlink_to("circle.toml")
    update_cache(c)
    file_of = lists._found_file

    def vanishing(entry: os.DirEntry[str]) -> object:
        if entry.name == "B.toml":
            os.unlink(entry.path)
        return file_of(entry)

    monkeypatch.setattr(lists, "_found_file", vanishing)
    report = update_cache(c)
    assert report.evicted == 1
    assert sorted(list_collages(c)) == ["A", "C"]


def test_no_list_is_evicted_or_flagged_where_the_library_is_away_or_not_read_yet(
    c: Config, member: str
) -> None:
    path = c.collages_dir / "C.toml"
    make_list(path, "releases", member)
    update_cache(c)
    away = c.music_source_dir.rename(c.music_source_dir.with_name("away"))
    with pytest.raises(SourceDirectoryError):
        update_cache_for_collages(c)
    assert list(list_collages(c)) == ["C"]
    away.rename(c.music_source_dir)
    text = path.read_text()
    for database in c.cache_dir.glob("rosecache.*"):
        database.unlink()
    update_cache_for_collages(c)
    assert path.read_text() == text
    update_cache(c)
    assert len(get_collage_releases(c, "C")) == 1
    assert path.read_text() == text


def test_what_a_killed_process_was_writing_is_cleaned_up(c: Config, member: str) -> None:
    make_list(c.collages_dir / "C.toml", "releases", member)
    left = [directory / ".in-progress.rosefs.toml.0123456789ab.toml" for directory in (
        c.collages_dir, c.music_source_dir / "R",
    )]  # fmt: skip
    for path in left:
        path.write_text("half")
    update_cache(c)
    assert not any(path.exists() for path in left)
    rests(c)


def test_a_playlist_of_a_track_that_was_retagged_is_fed_once(c: Config, member: str) -> None:
    path = c.collages_dir / "C.toml"
    make_list(path, "releases", member)
    update_cache(c)
    position = current_position(c)
    set_tags(c.music_source_dir / "R" / "01.opus", album="New")
    update_cache(c)
    assert [(change.kind, change.change) for change in changes_since(c, position).changes] == [
        ("release", "changed"), ("collage", "changed"),
    ]  # fmt: skip
    rests(c, path)
