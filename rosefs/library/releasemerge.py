"""From an edited text of a release to what is to be written: only what the user changed, and nothing that others did.

A text is compared with what it was made of, and with what the files say by now. Files are read here, and written by
``retag``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

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
    Differing,
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
_SHOWN = 10


class Snapshot(msgspec.Struct, frozen=True):
    """What a release says at a moment.

    Attributes:
        release: The release.
        paths: The files of its tracks, by their ids, in the order of the tracks.
        tags: What these files say.
    """

    release: Release
    paths: Mapping[str, Path]
    tags: Mapping[str, AudioTags]

    @property
    def text(self) -> ReleaseText:
        release = {field.key: self._of_release(field) for field in RELEASE_FIELDS if field.tag}
        return ReleaseText(
            {**release, "new": self.release.new},
            {identifier: _values(tags, TRACK_FIELDS) for identifier, tags in self.tags.items()},
        )

    def format(self) -> str:
        """Returns the text for an editor."""
        root = self.release.source_path
        files = {identifier: str(path.relative_to(root)) for identifier, path in self.paths.items()}
        return format_text(self.text, release_logtext(self.release), files)

    def _of_release(self, field: Field) -> Value:
        values = [_value(tags, field) for tags in self.tags.values()]
        found = Counter(f"{field.key} = {_shown(value)}" for value in values)
        if len(found) == 1:
            return values[0]
        lines = [f"{line}  # in {count} of {len(values)}" for line, count in found.most_common(_SHOWN)]
        return Differing((*lines, "…") if len(found) > _SHOWN else tuple(lines))


class Merged(msgspec.Struct, frozen=True):
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
            how = "put a # before it" if isinstance(current[path], Differing) else "write that"
            reason = (
                f"changed by another program meanwhile, from {_shown(old[path])} to {_shown(current[path])}; "
                f"{how}, or remove this comment to have yours written"
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
    """Returns a value on one line, which is read back as the same."""
    if isinstance(value, Differing):
        return "what differs by track"
    return format_value(value).replace("\n    ", " ").replace("\n", " ")
