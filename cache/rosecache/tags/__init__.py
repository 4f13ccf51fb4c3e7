"""Audio tags: reading all that the cache wants, writing identifiers without touching anything else."""

from __future__ import annotations

from rosecache.tags.artists import format_artist_field, parse_artist_field
from rosecache.tags.containers import AUDIO_EXTENSIONS, is_audio
from rosecache.tags.reading import read_ids, read_tags
from rosecache.tags.values import AudioTags

__all__ = [
    "AUDIO_EXTENSIONS",
    "AudioTags",
    "format_artist_field",
    "is_audio",
    "parse_artist_field",
    "read_ids",
    "read_tags",
]
