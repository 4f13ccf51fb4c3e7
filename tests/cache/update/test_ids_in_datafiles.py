"""``write_ids_to_tags = false``: the datafile's table keeps ids as tags would, also when the setting changes."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosecache.tags import read_tags
from rosecache.update import assign, update_cache
from tests.support.audio import make_release, make_track, set_tags
from tests.support.library import cached_ids, check_cache, ids_on_disk, release_id_on_disk


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


@pytest.fixture
def untagged(c: Config) -> Config:
    return msgspec.structs.replace(c, write_ids_to_tags=False)


def table(directory: Path) -> dict[str, str]:
    text = (directory / f".rose.{release_id_on_disk(directory)}.toml").read_text()
    found: dict[str, str] = tomllib.loads(text).get("tracks", {})
    return found


def rebuild(c: Config) -> dict[str, str]:
    shutil.rmtree(c.cache_dir)
    update_cache(c)
    return cached_ids(c)


@pytest.mark.parametrize("loss", ["broken", "away"])
def test_a_file_that_is_broken_or_away_for_a_while_keeps_its_id(untagged: Config, loss: str) -> None:
    c = untagged
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    ids = cached_ids(c)
    path = directory / "02.opus"
    saved = path.read_bytes()
    if loss == "broken":
        path.write_bytes(b"")
    else:
        path.unlink()
    make_track(directory / "03.opus")
    update_cache(c)
    assert "R/02.opus" not in cached_ids(c)
    path.write_bytes(saved)
    update_cache(c)
    assert cached_ids(c).items() >= ids.items()
    assert rebuild(c).items() >= ids.items()


def test_renamed_and_swapped_files_keep_their_ids(untagged: Config) -> None:
    c = untagged
    directory = make_release(c.music_source_dir, "R", tracks=3)
    update_cache(c)
    ids = cached_ids(c)
    (directory / "01.opus").rename(directory / "x")
    (directory / "02.opus").rename(directory / "01.opus")
    (directory / "x").rename(directory / "02.opus")
    (directory / "03.opus").rename(directory / "04.opus")
    update_cache(c)
    expected = {"R/01.opus": ids["R/02.opus"], "R/02.opus": ids["R/01.opus"], "R/04.opus": ids["R/03.opus"]}
    assert cached_ids(c) == expected
    assert rebuild(c) == expected


def test_a_copy_gets_an_id_of_its_own(untagged: Config) -> None:
    c = untagged
    directory = make_release(c.music_source_dir, "R", tracks=1)
    update_cache(c)
    ids = cached_ids(c)
    shutil.copy2(directory / "01.opus", directory / "00 copy.opus")
    update_cache(c)
    found = cached_ids(c)
    assert found["R/01.opus"] == ids["R/01.opus"] != found["R/00 copy.opus"]
    assert rebuild(c) == found


def test_a_copied_release_gets_ids_of_its_own(untagged: Config) -> None:
    c = untagged
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    ids = cached_ids(c)
    shutil.copytree(directory, c.music_source_dir / "A copy")
    update_cache(c)
    found = cached_ids(c)
    assert found.items() >= ids.items()
    assert len(set(found.values())) == 4
    assert rebuild(c) == found


def test_ids_that_tags_have_already_are_used_and_not_repeated(c: Config, untagged: Config) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=3)
    update_cache(c)
    ids = cached_ids(c)
    update_cache(untagged)
    set_tags(directory / "03.opus", title="Retagged")
    update_cache(untagged)
    assert cached_ids(c) == ids
    assert table(directory) == {}
    (directory / "01.opus").rename(directory / "x.opus")
    update_cache(untagged)
    assert cached_ids(c)["R/x.opus"] == ids["R/01.opus"]
    assert table(directory) == {}


def test_ids_go_into_the_tags_when_the_setting_is_switched_on(c: Config, untagged: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    make_release(c.music_source_dir, "Other", format="mp3")
    update_cache(untagged)
    ids = cached_ids(c)
    assert update_cache(c).problems == []
    assert ids_on_disk(c.music_source_dir) == ids
    assert read_tags(directory / "01.opus").release_id == release_id_on_disk(directory)
    assert table(directory) == {}
    check_cache(c)
    assert update_cache(c).changed == 0


def test_an_old_table_does_not_contradict_tags_that_were_written_since(c: Config, untagged: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(untagged)
    update_cache(c)
    one, two = ids_on_disk(directory).values()
    (directory / "01.opus").rename(directory / "x")
    (directory / "02.opus").rename(directory / "01.opus")
    (directory / "x").rename(directory / "02.opus")
    update_cache(c)
    update_cache(untagged)
    assert cached_ids(c) == {"R/01.opus": two, "R/02.opus": one}
    assert rebuild(untagged) == {"R/01.opus": two, "R/02.opus": one}


def test_what_the_table_holds_is_read_as_ids_or_not_at_all(untagged: Config) -> None:
    c = untagged
    directory = make_release(c.music_source_dir, "R")
    identifier = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8"
    (directory / ".rose.018b268e-ef68-7180-a01e-19bc3fdf970e.toml").write_text(
        f'[tracks]\n"01.opus" = "{identifier.upper()}"\n"02.opus" = "../../etc/passwd"\n'
    )
    update_cache(c)
    ids = cached_ids(c)
    assert ids["R/01.opus"] == identifier
    assert len(ids["R/02.opus"]) == 36
    assert rebuild(c) == ids
