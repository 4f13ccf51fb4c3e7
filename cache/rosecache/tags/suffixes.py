"""Which files are audio files, by their names alone: apart from what reads them, which takes long to import."""

from __future__ import annotations

AUDIO_EXTENSIONS = frozenset({".mp3", ".m4a", ".ogg", ".opus", ".flac"})
"""Suffixes of audio files: lower case, with the dot."""

_AUDIO_EXTENSIONS_BYTES = frozenset(suffix.encode("ascii") for suffix in AUDIO_EXTENSIONS)


def is_audio(name: str | bytes) -> bool:
    """Says whether a file name has the extension of an audio file, in any case."""
    if isinstance(name, str):
        return suffix_of(name).lower() in AUDIO_EXTENSIONS
    dot = name.rfind(b".")
    return dot > 0 and name[dot:].lower() in _AUDIO_EXTENSIONS_BYTES


def suffix_of(name: str) -> str:
    """Returns the suffix of a file name by which it is an audio file: that of ``....opus``, too."""
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""
