"""Checks of a configuration beyond its types: that its templates can be used, and its genres and rules be read.

Apart from reading the configuration, since templates of the user's cost importing the template engine. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rosecache.config import Config, PathTemplates, TemplateSet, read_toml
from rosecache.errors import ConfigError, TemplateError
from rosecache.genres import load_genre_tree
from rosecache.templates import TemplateKind, validate_template
from rosefs.rules.smart import parse_smart
from rosefs.rules.stored import stored_rules
from rosefs.settings import Settings

_KINDS: dict[str, TemplateKind] = {"release": "release", "track": "track", "all_tracks": "track"}
"""What the templates of a view name, by their keys."""


def check_settings(path: Path) -> tuple[Settings | None, list[ConfigError]]:
    """Reads a configuration file and looks for every mistake in it.

    Returns:
        The settings without those that are wrong, or None if nothing can be made of the rest; and the mistakes.

    Raises:
        ConfigError: It cannot be read, or is not TOML.
    """
    values = read_toml(path)
    errors: list[ConfigError] = []
    while True:
        try:
            settings = Settings.from_mapping(values, path=path)
        except ConfigError as error:
            if error.key in [known.key for known in errors]:
                return None, errors  # what was wrong is removed by now, and nothing goes without it
            errors.append(error)
            if not _remove(values, error.key):
                return None, errors
        else:
            c = settings.cache
            return settings, [
                *errors, *template_errors(c, path), *genre_errors(c), *smart_errors(settings, path),
                *rule_errors(settings, path),
            ]  # fmt: skip


def _remove(values: dict[str, Any], key: str) -> bool:
    """Removes what a dotted key names, a list as a whole. Returns False if it is not there."""
    *tables, name = key.partition("[")[0].split(".")
    for table in tables:
        values = values.get(table, {})
    return values.pop(name, values) is not values


def template_errors(c: Config, path: Path) -> Iterator[ConfigError]:
    """Yields an error for every name template that cannot be used. The built-in ones can, and are not looked at."""
    built_in = {(text, kind) for _, text, kind in _templates(PathTemplates())}
    for key, text, kind in _templates(c.path_templates):
        if (text, kind) in built_in:
            continue
        try:
            validate_template(text, kind)
        except TemplateError as error:
            yield ConfigError(str(error), key=f"path_templates.{key}", path=path)


def genre_errors(c: Config) -> Iterator[ConfigError]:
    """Yields an error if the user's file of genres cannot be used."""
    try:
        load_genre_tree(c)
    except ConfigError as error:
        yield error


def smart_errors(settings: Settings, path: Path) -> Iterator[ConfigError]:
    """Yields an error if a smart list cannot be read, the first."""
    try:
        parse_smart(settings.smart, path=path)
    except ConfigError as error:
        yield error


def rule_errors(settings: Settings, path: Path) -> Iterator[ConfigError]:
    """Yields an error if a stored rule cannot be read, the first."""
    try:
        stored_rules(settings.stored_metadata_rules, path=path)
    except ConfigError as error:
        yield error


def smart_notes(settings: Settings) -> Iterator[str]:
    """Yields a line for each smart list that is shown under another name, as a list has the name."""
    directories = {"collage": settings.cache.collages_dir, "playlist": settings.cache.playlists_dir}
    for index, smart in enumerate(settings.smart):
        directory = directories.get(smart.kind)
        if directory is not None and (directory / f"{smart.name}.toml").is_file():
            yield (
                f"smart[{index}].name: there is another {smart.kind} {smart.name!r}, which has the name; "
                f"this one is shown as '{smart.name} [2]' or the like"
            )


def refuse_bad_templates(c: Config, path: Path) -> None:
    """Makes sure that every template can be used. Raises ConfigError for the first that cannot."""
    for error in template_errors(c, path):
        raise error


def _templates(templates: PathTemplates) -> Iterator[tuple[str, str, TemplateKind]]:
    """Yields every template that is set, as its key, its text and what it names."""
    for view in msgspec.structs.fields(templates):
        value: TemplateSet | str = getattr(templates, view.name)
        if isinstance(value, str):
            yield view.name, value, "playlist-track"
            continue
        for name, kind in _KINDS.items():
            text: str | None = getattr(value, name)
            if text is not None:
                yield f"{view.name}.{name}", text, kind
