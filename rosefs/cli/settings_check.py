"""Checks of a configuration beyond its types: that its templates can be used, and its genres be read.

Apart from reading the configuration, since it costs importing the template engine. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rosecache.config import Config, PathTemplates, TemplateSet
from rosecache.errors import ConfigError, TemplateError
from rosecache.genres import load_genre_tree
from rosecache.templates import TemplateKind, validate_template

_KINDS: dict[str, TemplateKind] = {"release": "release", "track": "track", "all_tracks": "track"}
"""What the templates of a view name, by their keys."""


def template_errors(c: Config, path: Path) -> Iterator[ConfigError]:
    """Yields an error for every name template that cannot be used."""
    for key, text, kind in _templates(c.path_templates):
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
