"""Settings that a process takes up while it runs: the templates that name things, and the genre tree.

Whoever updates the cache keeps the settings that it was started with. What names are made by is asked for here, by each
update once, so that all that a process stores is named by the same.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from rosecache.config import Config, PathTemplates
from rosecache.database import database_path
from rosecache.genres import reload_genre_tree

_templates: dict[Path, PathTemplates] = {}
"""Those that were taken up, by the database whose names they make."""


def take_up(c: Config, templates: PathTemplates) -> None:
    """Has what this process stores from now on be named by other templates, and by the genres that the file has now.

    Raises:
        ConfigError: The file of genres cannot be used; everything stays as it was.
    """
    reload_genre_tree(c)
    _templates[database_path(c)] = templates


def in_force(c: Config) -> Config:
    """Returns the settings with the templates that hold now."""
    templates = _templates.get(database_path(c), c.path_templates)
    return c if templates == c.path_templates else msgspec.structs.replace(c, path_templates=templates)
