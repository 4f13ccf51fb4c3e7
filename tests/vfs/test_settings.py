"""The settings of the mount: what a configuration file can say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rosecache.errors import ConfigError
from rosefs.settings import VIEW_NAMES, HookSettings, Settings, VfsSettings, WatchSettings


def test_everything_is_shown_by_default() -> None:
    assert VfsSettings.from_mapping({}).named_views == tuple(VIEW_NAMES.items())


def test_a_file_configures_cache_and_mount(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        """
        music_source_dir = "/music"
        stored_metadata_rules = [{ matcher = "x", actions = [] }]
        [vfs]
        mount_dir = "~/mnt"
        views = ["artists", { view = "genres", name = "By Genre" }]
        labels_whitelist = ["YG Entertainment"]
        [watch]
        mode = "polling"
        [[hooks]]
        on = ["playlist"]
        run = ["mpc", "update"]
        [[hooks]]
        run = ["true"]
        timeout = 5
        """
    )
    settings = Settings.load(path)
    assert settings.cache.music_source_dir == Path("/music")
    assert settings.vfs.mount_dir == Path("~/mnt").expanduser()
    assert settings.vfs.named_views == (("artists", "Artists"), ("genres", "By Genre"))
    assert settings.vfs.labels_whitelist == ("YG Entertainment",)
    assert settings.watch == WatchSettings(mode="polling", poll_seconds=10.0)
    assert settings.hooks == (
        HookSettings(on=("playlist",), run=("mpc", "update"), timeout=60.0),
        HookSettings(on=("release", "collage", "playlist"), run=("true",), timeout=5.0),
    )


@pytest.mark.parametrize(
    ("values", "key", "reason"),
    [
        ({"wievs": []}, "vfs.wievs", "unknown key; did you mean views?"),
        ({"show_extra_files": "no"}, "vfs.show_extra_files", "expected true or false"),
        ({"views": []}, "vfs.views", "at least one"),
        ({"views": ["album"]}, "vfs.views[0]", "expected one of 'artists', 'collages'"),
        ({"views": ["artists", "artists"]}, "vfs.views[1]", "view artists is repeated"),
        (
            {"views": ["artists", {"view": "genres", "name": "Artists"}]},
            "vfs.views[1]",
            "name Artists is repeated",
        ),
        ({"views": [{"view": "genres", "name": "a/b"}]}, "vfs.views[0].name", "such as 'a_b'"),
        ({"views": [{"view": "genres", "name": ""}]}, "vfs.views[0].name", "expected a name"),
        ({"genres_whitelist": [], "genres_blacklist": []}, "vfs.genres_blacklist", "not both"),
    ],
)
def test_an_error_names_the_key_and_what_was_expected(values: dict[str, Any], key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        VfsSettings.from_mapping(values)
    assert raised.value.key == key
    assert reason in raised.value.reason


def test_a_value_in_the_place_of_the_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="vfs: expected a table"):
        Settings.from_mapping({"music_source_dir": "/music", "vfs": True})


def test_the_state_directory_can_be_set_and_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert Settings.from_mapping({"music_source_dir": "/music"}).state_dir == Path("/state/rosefs")
    settings = Settings.from_mapping({"music_source_dir": "/music", "state_dir": "~/x/../rosefs"})
    assert settings.state_dir == Path("~/rosefs").expanduser()
    for wrong in (1, "", ["x"]):
        with pytest.raises(ConfigError, match="state_dir: expected a path as text"):
            Settings.from_mapping({"music_source_dir": "/music", "state_dir": wrong})
