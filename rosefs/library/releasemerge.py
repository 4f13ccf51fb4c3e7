"""From an edited text of a release to what is to be written: only what the user changed, and nothing that others did.

A text is compared with what it was made of, and with what the files say by now. Files are read here, and written by
``retag``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rosecache.config import Config
from rosecache.model import Release
from rosecache.query.releases import get_release, release_logtext
from rosecache.query.tracks import get_tracks_of_release
from rosecache.tags import AudioTags, TagChanges, read_tags
from rosecache.tags.changes import wishes
from rosecache.tags.fields import Container
from rosefs.library import releasetext
from rosefs.library.errors import Mistake, NotFoundError
from rosefs.library.releasetext import (
    RELEASE_FIELDS,
    TRACK_FIELDS,
    Field,
    ReleaseText,
    Value,
    format_text,
    format_value,
    line_of,
)
from rosefs.library.retag import ReleaseEdit, TrackEdit
from rosefs.library.tomllines import lines_of

_TAGS: Mapping[releasetext.Path, str] = {
    **{(field.key,): field.tag for field in RELEASE_FIELDS if field.tag},
    **{("tracks", field.key): field.tag for field in TRACK_FIELDS},
}
"""What holds a key, by the key and what it is in."""
_CONTAINERS: Mapping[str, Container] = {".mp3": "id3", ".m4a": "mp4"}
"""By suffix; all others have Vorbis comments."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a release says at a moment.

    Attributes:
        release: The release.
        paths: The files of its tracks, by their ids, in the order of the tracks.
        tags: What these files say. The first of them in order of paths speaks for the release, as in the cache.
    """

    release: Release
    paths: Mapping[str, Path]
    tags: Mapping[str, AudioTags]

    @property
    def text(self) -> ReleaseText:
        first = self.tags[min(self.paths, key=lambda identifier: os.fsencode(self.paths[identifier]))]
        return ReleaseText(
            {**_values(first, RELEASE_FIELDS), "new": self.release.new},
            {identifier: _values(tags, TRACK_FIELDS) for identifier, tags in self.tags.items()},
        )

    def format(self) -> str:
        """Returns the text for an editor."""
        root = self.release.source_path
        files = {identifier: str(path.relative_to(root)) for identifier, path in self.paths.items()}
        return format_text(self.text, release_logtext(self.release), files, dict(self._notes()))

    def _notes(self) -> Iterator[tuple[str, str]]:
        """Yields what there is to say of tags that the tracks do not agree about."""
        for field in RELEASE_FIELDS:
            found = Counter(_shown(_value(tags, field)) for tags in self.tags.values() if field.tag)
            if len(found) > 1:
                listed = ", ".join(f"{value} in {count}" for value, count in found.most_common(_SHOWN))
                more = " …" if len(found) > _SHOWN else ""
                yield field.key, f"The tracks differ: {listed}{more}. If you change it, all of them get it."


@dataclass(frozen=True, slots=True)
class Merged:
    """What an edited text comes to.

    Attributes:
        edit: What is to be written.
        is_changed: The user changed anything.
        mistakes: What cannot be written, or was changed by others too; nothing may be written then.
        base: What the text is to be compared with from now on.
    """

    edit: ReleaseEdit
    is_changed: bool
    mistakes: Sequence[Mistake]
    base: ReleaseText


def read_snapshot(c: Config, release_id: str) -> Snapshot:
    """Reads the tags of a release from its files.

    Raises:
        NotFoundError: It is not in the cache any more, or has no tracks.
        UnreadableAudioError, OSError: A file cannot be read.
    """
    release = get_release(c, release_id)
    tracks = get_tracks_of_release(c, release) if release is not None else []
    if release is None or not tracks:
        raise NotFoundError(f"the release {release_id} is not in the library any more")
    paths = {track.id: track.source_path for track in tracks}
    return Snapshot(release, paths, {identifier: read_tags(path) for identifier, path in paths.items()})


def merge(base: ReleaseText, mine: ReleaseText, now: Snapshot, text: str) -> Merged:
    """Finds out what to write.

    Args:
        base: What the text was made of.
        mine: What it says by now.
        now: What the files say by now.
        text: The text, for the lines of mistakes.
    """
    lines = lines_of(text)
    old, current = base.flat(), now.text.flat()
    wanted = {path: value for path, value in mine.flat().items() if value != old[path]}
    mistakes: list[Mistake] = []
    seen: dict[releasetext.Path, Value] = {}
    for path, value in wanted.items():
        reason = None
        if path not in current:
            reason = "the track is gone meanwhile; remove its table"
        elif current[path] not in (old[path], value):
            seen[path] = current[path]
            reason = (
                f"changed by another program meanwhile, from {_shown(old[path])} to {_shown(current[path])}; "
                "write that, or remove this comment to have yours written"
            )
        else:
            reason = _refusal(path, value, now)
        if reason is not None:
            mistakes.append(Mistake(".".join(path), line_of(lines, path), reason))
    gone = {path[1] for path in wanted if path not in current}
    kept = {identifier: values for identifier, values in base.tracks.items() if identifier not in gone}
    rebased = replace(base, tracks=kept).with_values(seen)
    return Merged(_edit(wanted, now), bool(wanted), mistakes, rebased)


def _edit(wanted: Mapping[releasetext.Path, Value], now: Snapshot) -> ReleaseEdit:
    tracks = []
    for identifier, tags in now.tags.items():
        changes: dict[str, Any] = {}
        for path, value in wanted.items():
            tag = _tag_for(path, identifier)
            if tag is not None and (getattr(tags, tag) or "") != (value or ""):
                changes[tag] = value
        if changes:
            tracks.append(TrackEdit(now.paths[identifier], tags, TagChanges(**changes)))
    new = wanted.get(("new",))
    return ReleaseEdit(now.release, tracks, new if isinstance(new, bool) else None)


def _refusal(path: releasetext.Path, value: Value, now: Snapshot) -> str | None:
    """Returns why the files cannot hold a value, as far as that is known without writing it."""
    for identifier, file in now.paths.items():
        tag = _tag_for(path, identifier)
        if tag is None:
            continue
        changes: dict[str, Any] = {tag: value}
        try:
            wishes(TagChanges(**changes), _CONTAINERS.get(file.suffix.lower(), "vorbis"))
        except ValueError as error:
            return str(error).removeprefix(f"{tag}: ")
    return None


def _tag_for(path: releasetext.Path, identifier: str) -> str | None:
    """Returns the tag of a track's file that holds a key; None if none of that file does."""
    if len(path) == 1:
        return _TAGS.get(path)
    return _TAGS["tracks", path[2]] if path[1] == identifier else None


def _values(tags: AudioTags, fields: Sequence[Field]) -> dict[str, Value]:
    return {field.key: _value(tags, field) for field in fields if field.tag}


def _value(tags: AudioTags, field: Field) -> Value:
    value: Value = getattr(tags, field.tag)
    return "" if value is None and not field.tag.endswith("date") else value


def _shown(value: Value) -> str:
    return " ".join(format_value(value).split())
