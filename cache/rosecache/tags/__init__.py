"""Audio tags: reading all that the cache wants, writing single fields without touching anything else."""

from __future__ import annotations

from rosecache.tags.artists import format_artist_field, parse_artist_field
from rosecache.tags.changes import UNCHANGED, TagChanges, Unchanged, changes_between
from rosecache.tags.journal import recover
from rosecache.tags.plans import IdWrite
from rosecache.tags.reading import Reading, read_file, read_ids, read_tags
from rosecache.tags.rewrite import NewVersion
from rosecache.tags.safe_write import write_ids, writing_ids
from rosecache.tags.suffixes import AUDIO_EXTENSIONS, is_audio
from rosecache.tags.values import AudioTags
from rosecache.tags.writing import tagged_version, write_tags
from rosecache.temporary import TEMPORARY_PREFIX

__all__ = [
    "AUDIO_EXTENSIONS",
    "TEMPORARY_PREFIX",
    "UNCHANGED",
    "AudioTags",
    "IdWrite",
    "NewVersion",
    "Reading",
    "TagChanges",
    "Unchanged",
    "changes_between",
    "format_artist_field",
    "is_audio",
    "parse_artist_field",
    "read_file",
    "read_ids",
    "read_tags",
    "recover",
    "tagged_version",
    "write_ids",
    "write_tags",
    "writing_ids",
]
