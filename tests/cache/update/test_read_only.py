"""A library that is read-only: all of it is shown, and nothing at all is written to it."""

from __future__ import annotations

import os
import shutil

import msgspec
import pytest

from rosecache import get_collage_releases, get_release, list_releases
from rosecache.config import Config
from rosecache.database import database_path
from rosecache.update import update_cache
from tests.support.audio import make_release, set_tags
from tests.support.library import (
    cached_ids,
    exact_snapshot,
    ids_on_disk,
    make_list,
    release_id_on_disk,
    snapshot,
)


@pytest.fixture
def looking(c: Config) -> Config:
    """The same library, to look at only."""
    return msgspec.structs.replace(c, read_only=True)


@pytest.mark.parametrize("ids_in_tags", [True, False], ids=["ids in tags", "ids in datafiles"])
def test_nothing_is_written_whatever_there_is_to_write(c: Config, looking: Config, ids_in_tags: bool) -> None:
    c = msgspec.structs.replace(c, write_ids_to_tags=ids_in_tags)
    looking = msgspec.structs.replace(looking, write_ids_to_tags=ids_in_tags, rename_source_files=True)
    source = c.music_source_dir
    known = make_release(source, "known", tracks=2)
    update_cache(c)
    identifier = release_id_on_disk(known)
    (known / f".rose.{identifier}.toml").write_text("new = false\n")  # says too little
    shutil.copytree(known, source / "a copy")
    shutil.copy(known / "01.opus", known / "copied.opus")
    make_release(source, "new", tracks=2, cover=True)
    (source / "known/.in-progress.rosefs.1.left-over").write_bytes(b"x")
    make_list(c.collages_dir / "Both.toml", "releases", identifier, "018b268e-ef68-7180-a01e-19bc3fdf970e")
    (c.collages_dir / ".in-progress.rosefs.2.left-over").write_bytes(b"x")

    before = exact_snapshot(source)
    assert update_cache(looking).problems == []
    set_tags(source / "new/01.opus", title="Another")
    os.utime(source / "new/01.opus", ns=(0, 0))
    retagged = exact_snapshot(source)
    assert update_cache(looking).problems == []
    assert update_cache(looking, force=True).problems == []
    assert exact_snapshot(source) == retagged
    assert retagged.keys() == before.keys()

    assert {str(release.source_path.name) for release in list_releases(looking)} == {
        "known", "a copy", "new",
    }  # fmt: skip
    assert len(cached_ids(looking)) == 3 + 2 + 2
    release = get_release(looking, identifier)
    assert release is not None
    assert not release.new
    assert [release.id for release in get_collage_releases(looking, "Both")] == [identifier]


def test_ids_that_are_there_are_kept_and_others_are_the_same_every_time(c: Config, looking: Config) -> None:
    make_release(c.music_source_dir, "known", tracks=2)
    update_cache(c)
    make_release(c.music_source_dir, "new", tracks=2)
    update_cache(looking)
    found = cached_ids(looking)
    on_disk = ids_on_disk(c.music_source_dir)
    assert {path: found[path] for path in found if path.startswith("known/")} == {
        path: identifier for path, identifier in on_disk.items() if identifier is not None
    }
    releases = {release.id for release in list_releases(looking)}
    shutil.rmtree(c.cache_dir)
    update_cache(looking)
    assert cached_ids(looking) == found
    assert {release.id for release in list_releases(looking)} == releases


def test_its_cache_is_not_the_one_of_a_library_that_can_be_written(c: Config, looking: Config) -> None:
    make_release(c.music_source_dir, "new")
    assert database_path(c) != database_path(looking)
    update_cache(looking)
    derived = cached_ids(looking)
    assert snapshot(c.music_source_dir).keys() == {"new/01.opus", "new/02.opus"}
    update_cache(c)
    assert cached_ids(c) == ids_on_disk(c.music_source_dir)
    assert not set(cached_ids(c).values()) & set(derived.values())
