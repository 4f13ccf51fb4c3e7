"""The settings of the mount: what a configuration file can say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rosecache.errors import ConfigError
from rosefs.settings import (
    VIEW_NAMES,
    HookSettings,
    Settings,
    SmartSettings,
    StoredRuleSettings,
    VfsSettings,
    WatchSettings,
)


def test_everything_is_shown_by_default() -> None:
    assert VfsSettings.from_mapping({}).named_views == tuple(VIEW_NAMES.items())


def test_a_file_configures_cache_and_mount(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        """
        music_source_dir = "/music"
        stored_metadata_rules = [{ matcher = "label:SM", actions = ["replace:S.M."] }]
        [[smart]]
        name = "Sad"
        matcher = "descriptor:Sad"
        kind = "playlist"
        sort = "-added_at"
        limit = 50
        [[smart]]
        name = "Sad"
        matcher = "descriptor:Sad"
        kind = "collage"
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
    assert settings.stored_metadata_rules == (
        StoredRuleSettings(matcher="label:SM", actions=("replace:S.M.",), ignore=()),
    )
    assert settings.smart == (
        SmartSettings(name="Sad", matcher="descriptor:Sad", kind="playlist", sort="-added_at", limit=50),
        SmartSettings(name="Sad", matcher="descriptor:Sad", kind="collage", sort="", limit=None),
    )
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


SAD = {"name": "Sad", "matcher": "descriptor:Sad", "kind": "collage"}


@pytest.mark.parametrize(
    ("values", "key", "reason"),
    [
        ({"smart": {}}, "smart", "expected a list of tables: [[smart]]"),
        ({"smart": ["Sad"]}, "smart[0]", "expected a table"),
        ({"smart": [SAD, {"name": "x", "kind": "search"}]}, "smart[1].matcher", "missing"),
        ({"smart": [{**SAD, "kind": "genre"}]}, "smart[0].kind", "expected one of 'collage', 'playlist'"),
        ({"smart": [{**SAD, "name": "a/b"}]}, "smart[0].name", "such as 'a_b'"),
        ({"smart": [SAD, {**SAD, "matcher": "x:y"}]}, "smart[1].name", "there is another collage 'Sad'"),
        ({"smart": [{**SAD, "limit": 0}]}, "smart[0].limit", "expected a number of at least 1"),
        ({"smart": [{**SAD, "limit": "1"}]}, "smart[0].limit", "expected a whole number"),
        ({"stored_metadata_rules": {}}, "stored_metadata_rules", "expected a list of tables"),
        (
            {"stored_metadata_rules": [{"matcher": "x:y", "actions": []}]},
            "stored_metadata_rules[0].actions",
            "expected at least one action",
        ),
        (
            {"stored_metadata_rules": [{"matcher": "x:y", "actions": ["delete"], "ignores": []}]},
            "stored_metadata_rules[0].ignores",
            "unknown key",
        ),
    ],
)
def test_an_error_names_the_table_of_rules(values: dict[str, Any], key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Settings.from_mapping({"music_source_dir": "/music", **values})
    assert raised.value.key == key
    assert reason in raised.value.reason
