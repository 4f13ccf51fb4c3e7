"""What tests of the tree share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from tests.support.audio import make_release
from tests.support.browsing import Browser
from tests.support.editing import Closing


@pytest.fixture
def library(c: Config) -> Config:
    """Three releases that are not new, in the cache: of LOONA, BLACKPINK, and a loose track of neither."""
    source = c.music_source_dir
    make_release(
        source, "loona", tracks=2, cover=True, artist="LOONA", album="Hash", date="2018", genre="K-Pop",
        label="BlockBerry", descriptor="Lush",
    )  # fmt: skip
    make_release(
        source, "blackpink", tracks=1, format="mp3", artist="BLACKPINK", album="Square", date="2016",
        genre="K-Pop;Hip Hop", label="YG", releasetype="single",
    )  # fmt: skip
    make_release(
        source, "loose", tracks=1, artist="Nobody", album="Demo", label=None, releasetype="loosetrack"
    )
    update_cache(c)
    for datafile in source.glob("*/.rose.*.toml"):
        datafile.write_text('new = false\nadded_at = "2023-10-25T12:00:00-04:00"\n')
    update_cache(c)
    return c


@pytest.fixture
def browser(library: Config) -> Browser:
    """The tree of the library, with the settings that everybody has."""
    return Browser(library)


@pytest.fixture(autouse=True)
def _home_trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def closing() -> Iterator[Closing]:
    """Closes in the end what is added to it."""
    closing = Closing()
    yield closing
    closing.close()
