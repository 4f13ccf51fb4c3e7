"""What is fed with broken and hostile input: each target is one function of one argument that returns if all is well.

An error that a target documents is well. Anything else that is raised is a defect, and so is a promise that is
broken.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path

from rosecache.config import read_toml
from rosecache.datafiles import (
    ListKey,
    Member,
    ReleaseDatafile,
    read_members,
    read_release_datafile,
    update_members,
    write_release_datafile,
)
from rosecache.errors import (
    ConfigError,
    InvalidDatafileError,
    TagWriteError,
    TemplateError,
    UnreadableAudioError,
)
from rosecache.names import distinct_name, distinct_names, safe_name
from rosecache.tags import (
    IdWrite,
    TagChanges,
    format_artist_field,
    parse_artist_field,
    read_ids,
    read_tags,
    write_ids,
    write_tags,
)
from rosecache.templates import SAMPLE_RELEASE, NameTemplate
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.parsing import parse_action, parse_matcher
from rosefs.rules.printing import format_action, format_matcher

IDS = ("018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e")


def read_audio(path: Path) -> str | None:
    """Reads a file's tags, and returns why they cannot be read."""
    problem = None
    try:
        tags = read_tags(path)
    except UnreadableAudioError as error:
        problem = error
    if problem is None:
        for text in (tags.tracktitle, tags.releasetitle, *tags.genres, *tags.labels):
            assert text is None or text.encode().decode() == text
        return None
    assert problem.path == path
    assert problem.reason.isprintable(), problem.reason
    return problem.reason or "nothing is said"


def write_audio(path: Path) -> bool:
    """Writes ids, then a title, to a copy of a file, and says whether both went well; if not, it is as it was."""
    directory = Path(tempfile.mkdtemp(dir=path.parent))
    try:
        copy = directory / path.name
        shutil.copyfile(path, copy)
        written = not write_ids(directory, [IdWrite(copy, *IDS)])
        before = _digest(copy)
        assert (read_ids(copy) == IDS) if written else (before == _digest(path))
        try:
            write_tags(copy, TagChanges(tracktitle="Another title"))
        except TagWriteError:
            assert _digest(copy) == before
            written = False
        else:
            assert read_tags(copy).tracktitle == "Another title"
        assert os.listdir(directory) == [path.name]
        return written
    finally:
        shutil.rmtree(directory)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").digest()


def artist_field(text: str) -> None:
    """Reads an artist field, and what is written for it."""
    mapping = parse_artist_field(text)
    for _, artists in mapping.items():
        for artist in artists:
            assert artist.name == artist.name.strip() != ""
            artist.name.encode()
    parse_artist_field(format_artist_field(mapping))


def file_names(text: str) -> None:
    """Makes names of a text, which any disk would take."""
    for max_bytes in (255, 20):
        for extension in ("", ".opus", "." + text[:40]):
            name = safe_name(text, extension=extension, max_bytes=max_bytes)
            raw = name.encode()
            assert 0 < len(raw) <= max_bytes, (name, extension)
            assert name not in (".", ".."), (name, extension)
            assert not set(name) & set("/\0\n\\"), name
            assert unicodedata.is_normalized("NFC", name), name
        name = safe_name(text, max_bytes=max_bytes)
        assert safe_name(name, max_bytes=max_bytes) == name, name
        others = {distinct_name(name, {name}, max_bytes=max_bytes), *distinct_names(
            [(name, "a"), (name, "b"), (name, "c")], extensions=True, max_bytes=max_bytes
        )}  # fmt: skip
        assert len(others) == 3, others
        assert all(len(other.encode()) <= max_bytes and "/" not in other for other in others), others


def datafile(path: Path) -> str | None:
    """Reads and writes a release datafile, and returns what is wrong with it; then it is as it was."""
    before = path.read_bytes()
    problem = None
    try:
        found = read_release_datafile(path)
        new = ReleaseDatafile(not found.new, "2024-01-01T00:00:00+00:00", found.tracks)
        write_release_datafile(path, new)
        assert read_release_datafile(path) == new
    except InvalidDatafileError as error:
        assert path.read_bytes() == before
        problem = error.reason
    path.write_bytes(before)
    return problem


def member_list(path: Path, key: ListKey) -> str | None:
    """Reads and writes a collage or a playlist, and returns what is wrong with it; then it is as it was."""
    before = path.read_bytes()
    problem = None
    try:
        new = [Member(member.id, "New", not member.missing) for member in read_members(path, key)]
        assert not new or update_members(path, key, new)
        assert not new or read_members(path, key) == new
    except InvalidDatafileError as error:
        assert path.read_bytes() == before
        problem = error.reason
    path.write_bytes(before)
    return problem


def configuration(path: Path) -> None:
    """Reads a configuration file."""
    with suppress(ConfigError):
        read_toml(path)


def template(text: str) -> str | None:
    """Makes a name by a template, and returns why that cannot be done."""
    problem = None
    try:
        parts = NameTemplate(text, "release").render_segments(SAMPLE_RELEASE)
        assert sum(map(len, parts)) < 5_000_000
    except TemplateError as error:
        problem = str(error)
    assert problem is None or len(problem) < 5000
    return problem


def rule(text: str) -> None:
    """Reads a matcher, and behind each line end an action; what is read prints as what reads the same."""
    matcher_text, *action_texts = text.split("\n")
    with suppress(RuleSyntaxError):
        matcher = parse_matcher(matcher_text)
        assert parse_matcher(format_matcher(matcher)) == matcher
        for action_text in action_texts:
            action = parse_action(action_text, matcher)
            assert parse_action(format_action(action, matcher), matcher) == action
