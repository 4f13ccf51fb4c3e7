"""Disk to cache: find, compare, read, write."""

from __future__ import annotations

from rosecache.update.library import (
    update_cache,
    update_cache_for_collages,
    update_cache_for_playlists,
    update_cache_for_releases,
)
from rosecache.update.report import Problem, Progress, Report

__all__ = [
    "Problem",
    "Progress",
    "Report",
    "update_cache",
    "update_cache_for_collages",
    "update_cache_for_playlists",
    "update_cache_for_releases",
]
