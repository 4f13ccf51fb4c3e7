"""The whole configuration file: the cache engine's settings, and those of the mount.

``rosecache.config`` reads the settings that shape the cache; this module adds the table ``[vfs]``, which
decides what a mount shows, ``[watch]``, how the source is followed, ``[[hooks]]``, what is run after a change,
``[[smart]]`` and ``[[stored_metadata_rules]]``, what is listed and changed by rules, and ``state_dir``, where edits
are noted. What rules, matchers and sort keys mean, their texts keep to themselves here: ``rosefs.rules`` reads them.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import msgspec
import platformdirs

from rosecache.config import Config, convert, read_toml
from rosecache.errors import ConfigError
from rosecache.names import safe_name

ViewKey = Literal[
    "releases", "releases_new", "releases_added_on", "releases_released_on", "artists", "genres",
    "descriptors", "labels", "loose_tracks", "collages", "playlists", "search",
]  # fmt: skip
"""The views there are, by the names that templates have them under too."""

VIEW_NAMES: Mapping[ViewKey, str] = {
    "releases": "Releases",
    "releases_new": "Releases - New",
    "releases_added_on": "Releases - Added On",
    "releases_released_on": "Releases - Released On",
    "artists": "Artists",
    "genres": "Genres",
    "descriptors": "Descriptors",
    "labels": "Labels",
    "loose_tracks": "Loose Tracks",
    "collages": "Collages",
    "playlists": "Playlists",
    "search": "Search",
}
"""What the views are called in the mount unless the configuration says otherwise."""

FACETS = ("artists", "genres", "descriptors", "labels")
"""The views whose values can be chosen by a white- or a blacklist."""


class ViewSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One view, and the name of its directory; None means the usual one."""

    view: ViewKey
    name: str | None = None


class VfsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a mount shows: the table ``[vfs]``."""

    mount_dir: Path | None = None
    views: tuple[ViewKey | ViewSetting, ...] = get_args(ViewKey)
    """The views shown, in this order: ``["artists", {view = "genres", name = "By Genre"}]``."""
    show_extra_files: bool = True
    artists_whitelist: tuple[str, ...] | None = None
    artists_blacklist: tuple[str, ...] | None = None
    genres_whitelist: tuple[str, ...] | None = None
    genres_blacklist: tuple[str, ...] | None = None
    descriptors_whitelist: tuple[str, ...] | None = None
    descriptors_blacklist: tuple[str, ...] | None = None
    labels_whitelist: tuple[str, ...] | None = None
    labels_blacklist: tuple[str, ...] | None = None
    hide_genres_with_only_new_releases: bool = False
    hide_descriptors_with_only_new_releases: bool = False
    hide_labels_with_only_new_releases: bool = False

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, path: Path | None = None) -> Self:
        """Makes the settings of the parsed table. Raises ConfigError; the error names the key."""
        settings = convert(values, cls, key="vfs", path=path)
        settings._check(path)
        mount_dir = settings.mount_dir
        if mount_dir is not None:
            mount_dir = Path(os.path.abspath(mount_dir.expanduser()))
        listed = {
            key: tuple(unicodedata.normalize("NFC", value) for value in values)  # as they are read from tags
            for key in (f"{facet}_{kind}list" for facet in FACETS for kind in ("white", "black"))
            if (values := getattr(settings, key)) is not None
        }
        return msgspec.structs.replace(settings, mount_dir=mount_dir, **listed)

    @property
    def named_views(self) -> tuple[tuple[ViewKey, str], ...]:
        """The views shown with the names of their directories, in order."""
        named = [view if isinstance(view, ViewSetting) else ViewSetting(view) for view in self.views]
        return tuple((view.view, VIEW_NAMES[view.view] if view.name is None else view.name) for view in named)

    def only(self, view: ViewKey) -> Self:
        """Returns these settings with one view shown, under the name that it has."""
        names = {**VIEW_NAMES, **dict(self.named_views)}
        return msgspec.structs.replace(self, views=(ViewSetting(view, names[view]),))

    def find_view(self, text: str) -> ViewKey | None:
        """Returns the view that has a name, here or usually, or a key; None if none does."""
        for named in (dict(self.named_views), VIEW_NAMES):
            for view, name in named.items():
                if text.casefold() in (name.casefold(), view):
                    return view
        return None

    def lists(self, facet: str, value: str) -> bool:
        """Tells whether white- and blacklist let a facet's view (``artists`` …) list a value."""
        allowed: tuple[str, ...] | None = getattr(self, f"{facet}_whitelist")
        if allowed is not None:
            return value in allowed
        return value not in (getattr(self, f"{facet}_blacklist") or ())

    def limits(self, facet: str) -> bool:
        """Tells whether :meth:`lists` may leave out values in a view."""
        lists = (getattr(self, f"{facet}_{kind}list", None) for kind in ("white", "black"))
        return any(each is not None for each in lists)

    def hides_only_new(self, facet: str) -> bool:
        """Tells whether a facet's view leaves out the values that only new releases have."""
        return bool(getattr(self, f"hide_{facet}_with_only_new_releases", False))

    def _check(self, path: Path | None) -> None:
        for facet in FACETS:
            if getattr(self, f"{facet}_whitelist") is None or getattr(self, f"{facet}_blacklist") is None:
                continue
            raise ConfigError(
                f"expected either this or {facet}_whitelist, not both",
                key=f"vfs.{facet}_blacklist",
                path=path,
            )
        if not self.views:
            raise ConfigError("expected at least one view", key="vfs.views", path=path)
        seen: set[str] = set()
        for index, (view, name) in enumerate(self.named_views):
            key = f"vfs.views[{index}]"
            if safe_name(name) != name:
                reason = f"expected a name that a directory can have, such as {safe_name(name)!r}"
                raise ConfigError(reason, key=f"{key}.name", path=path)
            for given in (f"view {view}", f"name {name}"):
                if given in seen:
                    raise ConfigError(
                        f"expected each view and name once; the {given} is repeated", key=key, path=path
                    )
                seen.add(given)


WatchMode = Literal["auto", "events", "polling", "off"]
"""How the source is followed."""

ChangeKind = Literal["release", "collage", "playlist"]
"""What the change feed tells of."""


class WatchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How changes of the source are noticed: the table ``[watch]``."""

    mode: WatchMode = "auto"
    """By the system's events, by looking again and again, or not at all. ``auto`` takes events where there are any."""
    poll_seconds: float = 10.0
    """From one look to the next, when polling; longer where a look takes long."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, path: Path | None = None) -> Self:
        """Makes the settings of the parsed table. Raises ConfigError; the error names the key."""
        settings = convert(values, cls, key="watch", path=path)
        _expect_seconds(settings.poll_seconds, "watch.poll_seconds", path)
        return settings


class HookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command to run after changes: one of the tables ``[[hooks]]``."""

    run: tuple[str, ...]
    """The program and its arguments; no shell."""
    on: tuple[ChangeKind, ...] = get_args(ChangeKind)
    timeout: float = 60.0
    """Seconds until it is killed."""

    @classmethod
    def from_list(cls, values: object, *, path: Path | None = None) -> tuple[Self, ...]:
        """Makes the settings of all parsed tables. Raises ConfigError; the error names the key."""
        return tuple(cls._from(table, key, path) for key, table in _tables(values, "hooks", path))

    @classmethod
    def _from(cls, table: Mapping[str, Any], key: str, path: Path | None) -> Self:
        hook = convert(table, cls, key=key, path=path)
        if not hook.run or not hook.run[0]:
            raise ConfigError("expected a program and its arguments", key=f"{key}.run", path=path)
        if any("\0" in argument for argument in hook.run):
            raise ConfigError("no argument can hold a null character", key=f"{key}.run", path=path)
        if not hook.on:
            raise ConfigError("expected at least one kind of change", key=f"{key}.on", path=path)
        _expect_seconds(hook.timeout, f"{key}.timeout", path)
        return hook


SmartKind = Literal["collage", "playlist", "search"]
"""Where what a matcher finds is shown."""


class SmartSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is listed by a matcher: one of the tables ``[[smart]]``."""

    name: str
    """What it is called in the mount; each once among those of its kind."""
    matcher: str
    kind: SmartKind
    sort: str = ""
    """By what it is sorted, see ``rosefs.rules.smart``; empty for the usual."""
    limit: int | None = None
    """How many are listed, from the first."""

    @classmethod
    def from_list(cls, values: object, *, path: Path | None = None) -> tuple[Self, ...]:
        """Makes the settings of all parsed tables. Raises ConfigError; the error names the key."""
        made: list[Self] = []
        for key, table in _tables(values, "smart", path):
            smart = convert(table, cls, key=key, path=path)
            if safe_name(smart.name) != smart.name:
                reason = f"expected a name that a directory can have, such as {safe_name(smart.name)!r}"
                raise ConfigError(reason, key=f"{key}.name", path=path)
            if any((other.kind, other.name) == (smart.kind, smart.name) for other in made):
                reason = f"expected each name once; there is another {smart.kind} {smart.name!r}"
                raise ConfigError(reason, key=f"{key}.name", path=path)
            if smart.limit is not None and smart.limit < 1:
                raise ConfigError("expected a number of at least 1", key=f"{key}.limit", path=path)
            made.append(smart)
        return tuple(made)


class StoredRuleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule that is kept to be run again: one of the tables ``[[stored_metadata_rules]]``."""

    matcher: str
    actions: tuple[str, ...]
    ignore: tuple[str, ...] = ()

    @classmethod
    def from_list(cls, values: object, *, path: Path | None = None) -> tuple[Self, ...]:
        """Makes the settings of all parsed tables. Raises ConfigError; the error names the key."""
        made = []
        for key, table in _tables(values, "stored_metadata_rules", path):
            rule = convert(table, cls, key=key, path=path)
            if not rule.actions:
                raise ConfigError("expected at least one action", key=f"{key}.actions", path=path)
            made.append(rule)
        return tuple(made)


def _tables(values: object, name: str, path: Path | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each of a list of tables, with its key. Raises ConfigError for anything else."""
    if not isinstance(values, list):
        raise ConfigError(f"expected a list of tables: [[{name}]]", key=name, path=path)
    for index, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise ConfigError("expected a table", key=f"{name}[{index}]", path=path)
        yield f"{name}[{index}]", value


def _expect_seconds(value: float, key: str, path: Path | None) -> None:
    if not 0.1 <= value <= 86_400:
        raise ConfigError("expected a number of seconds from 0.1 to 86400", key=key, path=path)


def _default_state_dir() -> Path:
    return platformdirs.user_state_path("rosefs")


class Settings(msgspec.Struct, frozen=True):
    """Everything that one configuration file says.

    Attributes:
        cache: The settings of the cache engine.
        vfs: What a mount shows.
        watch: How the source is followed.
        hooks: What is run after a change.
        smart: What is listed by a matcher.
        stored_metadata_rules: The rules that are kept to be run again.
        state_dir: Where the journal of edits is, absolute. Unlike the cache, it cannot be built anew.
    """

    cache: Config
    vfs: VfsSettings
    watch: WatchSettings = msgspec.field(default_factory=WatchSettings)
    hooks: tuple[HookSettings, ...] = ()
    smart: tuple[SmartSettings, ...] = ()
    stored_metadata_rules: tuple[StoredRuleSettings, ...] = ()
    state_dir: Path = msgspec.field(default_factory=_default_state_dir)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a configuration file.

        Raises:
            ConfigError: It cannot be read, is not TOML, or holds a key or a value that is wrong; the error
                names the key and what was expected.
        """
        return cls.from_mapping(read_toml(path), path=path)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, path: Path | None = None) -> Self:
        """Makes settings of parsed TOML. Raises ConfigError as :meth:`load` does."""
        tables = {key: values.get(key, {}) for key in ("vfs", "watch")}
        for key, table in tables.items():
            if not isinstance(table, Mapping):
                raise ConfigError("expected a table", key=key, path=path)
        state_dir = values.get("state_dir")
        if state_dir is not None and (not isinstance(state_dir, str) or not state_dir):
            raise ConfigError(f"expected a path as text, got {state_dir!r}", key="state_dir", path=path)
        return cls(
            Config.from_mapping(values, path=path),
            VfsSettings.from_mapping(tables["vfs"], path=path),
            WatchSettings.from_mapping(tables["watch"], path=path),
            HookSettings.from_list(values.get("hooks", []), path=path),
            SmartSettings.from_list(values.get("smart", []), path=path),
            StoredRuleSettings.from_list(values.get("stored_metadata_rules", []), path=path),
            _default_state_dir()
            if state_dir is None
            else Path(os.path.abspath(Path(state_dir).expanduser())),
        )
