"""The settings that the cache engine needs, as one immutable value.

One TOML file configures everything. This module reads its own keys and leaves the tables of the other
rooms (``OTHER_TABLES``) to them; a key that nobody knows is an error, since a misspelt setting that is
silently ignored is worse than none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import platformdirs

from rosecache.errors import ConfigError
from rosecache.tomltext import parse_toml

T = TypeVar("T")

OTHER_TABLES = frozenset({"vfs", "watch", "state_dir", "stored_metadata_rules", "hooks", "smart"})
"""Top-level tables and keys of the configuration file that are read elsewhere."""

SOURCE_RELEASE_TEMPLATE = (
    "{{ releaseartists | artistsfmt }} - "
    "{% if releasedate %}{{ releasedate.year }}. {% endif %}{{ releasetitle }}"
    "{% if releasetype == 'single' %} - {{ releasetype | releasetypefmt }}{% endif %}"
)
DEFAULT_RELEASE_TEMPLATE = "{% if new %}{{ '{NEW} ' }}{% endif %}" + SOURCE_RELEASE_TEMPLATE
DEFAULT_TRACK_TEMPLATE = (
    "{% if disctotal > 1 %}{{ discnumber | rjust(2, '0') }}-{% endif %}"
    "{{ tracknumber | rjust(2, '0') }}. {{ tracktitle }}"
    "{% if trackartists.guest %} (feat. {{ trackartists.guest | artistsarrayfmt }}){% endif %}"
)
DEFAULT_ALL_TRACKS_TEMPLATE = (
    "{{ trackartists | artistsfmt }} - {% if releasedate %}{{ releasedate.year }}. {% endif %}"
    "{{ releasetitle }} - " + DEFAULT_TRACK_TEMPLATE
)


class ArtistAlias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``artist`` is also credited for whatever one of ``aliases`` made."""

    artist: str
    aliases: tuple[str, ...]


_RELEASE_PREFIXES: Mapping[str, str] = {
    "releases_added_on": "[{{ added_at[:10] }}] ",
    "releases_released_on": "[{{ originaldate or releasedate or '0000-00-00' }}] ",
    "collages": "{{ position }}. ",
}
"""What a view without a release template of its own puts before the default one, so that it sorts by it."""


class TemplateSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name templates of one view; None means the default of that kind."""

    release: str | None = None
    track: str | None = None
    all_tracks: str | None = None


class PathTemplates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name templates by view. ``playlists`` names tracks only, hence is a single template."""

    default: TemplateSet = TemplateSet(
        DEFAULT_RELEASE_TEMPLATE, DEFAULT_TRACK_TEMPLATE, DEFAULT_ALL_TRACKS_TEMPLATE
    )
    source: TemplateSet = TemplateSet(SOURCE_RELEASE_TEMPLATE)
    releases: TemplateSet = TemplateSet()
    releases_new: TemplateSet = TemplateSet()
    releases_added_on: TemplateSet = TemplateSet()
    releases_released_on: TemplateSet = TemplateSet()
    artists: TemplateSet = TemplateSet()
    genres: TemplateSet = TemplateSet()
    descriptors: TemplateSet = TemplateSet()
    labels: TemplateSet = TemplateSet()
    loose_tracks: TemplateSet = TemplateSet()
    collages: TemplateSet = TemplateSet()
    search: TemplateSet = TemplateSet()
    playlists: str = "{{ position }}. {{ trackartists | artistsfmt }} - {{ tracktitle }}"

    def of_view(self, view: str, kind: str) -> str:
        """Returns the template text of a view's ``release``, ``track`` or ``all_tracks`` names."""
        own: str | None = getattr(getattr(self, view), kind)
        if own is not None:
            return own
        default: str | None = getattr(self.default, kind)
        builtin: str = getattr(PathTemplates().default, kind)
        prefix = _RELEASE_PREFIXES.get(view, "") if kind == "release" else ""
        return prefix + (builtin if default is None else default)


def _default_cache_dir() -> Path:
    return platformdirs.user_cache_path("rosefs")


def _default_max_proc() -> int:
    return max(1, len(os.sched_getaffinity(0)))


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the cache engine can be told. Paths are absolute once loaded."""

    music_source_dir: Path
    cache_dir: Path = msgspec.field(default_factory=_default_cache_dir)
    max_proc: int = msgspec.field(default_factory=_default_max_proc)
    artist_aliases: tuple[ArtistAlias, ...] = ()
    cover_art_stems: tuple[str, ...] = ("folder", "cover", "art", "front")
    valid_art_exts: tuple[str, ...] = ("jpg", "jpeg", "png")
    ignore_release_directories: tuple[str, ...] = ()
    follow_links_to: tuple[Path, ...] = ()
    """Directories that are written to where links directly in the music directory lead to or into them."""
    rename_source_files: bool = False
    write_ids_to_tags: bool = True
    read_only: bool = False
    """Write nothing to the source directory, whatever the other settings say: ids that are missing are derived."""
    write_parent_genres: bool = False
    max_filename_bytes: int = 255
    genres_file: Path | None = None
    """A TOML file of genres that extends the built-in tree."""
    genres_replace: bool = False
    """Use ``genres_file`` instead of the built-in tree."""
    path_templates: PathTemplates = PathTemplates()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the cache engine's part of a configuration file.

        Raises:
            ConfigError: The file cannot be read, is not TOML, or holds a key or a value that is wrong; the
                error names the key and what was expected.
        """
        return cls.from_mapping(read_toml(path), path=path)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, path: Path | None = None) -> Self:
        """Makes a configuration of parsed TOML. Raises ConfigError as :meth:`load` does."""
        own = {key: value for key, value in values.items() if key not in OTHER_TABLES}
        config = convert(own, cls, path=path)
        if not 20 <= config.max_filename_bytes <= 255:
            raise ConfigError("expected a number from 20 to 255", key="max_filename_bytes", path=path)
        for key in ("cover_art_stems", "valid_art_exts"):
            if any("/" in each or "\0" in each for each in getattr(config, key)):
                raise ConfigError("expected parts of file names, without slashes", key=key, path=path)
        if config.max_proc < 1:
            raise ConfigError("expected a number of at least 1", key="max_proc", path=path)
        if config.genres_replace and config.genres_file is None:
            raise ConfigError("needs genres_file, which is not set", key="genres_replace", path=path)
        return msgspec.structs.replace(
            config,
            music_source_dir=_absolute(config.music_source_dir),
            cache_dir=_absolute(config.cache_dir),
            genres_file=_absolute(config.genres_file) if config.genres_file else None,
            follow_links_to=tuple(map(_absolute, config.follow_links_to)),
        )

    @property
    def collages_dir(self) -> Path:
        return self.music_source_dir / "!collages"

    @property
    def playlists_dir(self) -> Path:
        return self.music_source_dir / "!playlists"

    def cache_shape(self) -> str:
        """Returns a digest of the settings that decide what an update stores."""
        shaping = (
            os.fsencode(self.music_source_dir).hex(),
            sorted(stem.lower() for stem in self.cover_art_stems),
            sorted(extension.lower() for extension in self.valid_art_exts),
            sorted(self.ignore_release_directories),
            # Derived ids are not those that a release will get: they must not be taken for them.
            self.read_only,
            *map(str, self.follow_links_to),
        )
        return hashlib.blake2b(repr(shaping).encode(), digest_size=8).hexdigest()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def read_toml(path: Path) -> dict[str, Any]:
    """Returns a configuration file's content. Raises ConfigError, with line and column, if it is not TOML."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(error.strerror or str(error), path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("the file is not UTF-8 text", path=path) from error
    except ValueError as error:
        raise ConfigError(f"not valid TOML: {error}", path=path) from error


def _decode(kind: type[Any], value: Any) -> Any:
    """Turns text into a path, the one type of our settings that msgspec does not know."""
    if kind is not Path:
        raise NotImplementedError(f"no setting can have the type {kind.__name__}")
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a path as text, got {value!r}")
    return Path(value)


def convert(values: Mapping[str, Any], kind: type[T], *, key: str = "", path: Path | None = None) -> T:
    """Turns parsed TOML into a typed value.

    Args:
        values: The table.
        kind: The msgspec struct it has to be.
        key: The table's own dotted name, put before the keys in errors.
        path: The file, for errors.

    Raises:
        ConfigError: A key is unknown or missing, or its value has the wrong type.
    """
    try:
        return msgspec.convert(values, kind, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        from rosecache.expectations import explain

        where, reason = explain(str(error), kind)
        full = ".".join(part for part in (key, where) if part)
        raise ConfigError(reason, key=full, path=path) from error
