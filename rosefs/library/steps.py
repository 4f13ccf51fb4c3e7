"""The steps that edits are made of, as the journal has them, and what the disk says of each.

A step says all that is needed to take it back. Paths are absolute; in the journal they are text with undecodable
bytes as lone surrogates, as ``os.fsdecode`` has them, which JSON escapes. Nothing here changes a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from rosefs.library.files import Piece, Stretch, digest_if_file, digest_of
from rosefs.library.trash import Trashed as InTrash
from rosefs.library.trash import problem_of


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=str.lower):
    """One line of an edit's file in the journal."""


class Header(Line, frozen=True, kw_only=True):
    """The first line."""

    id: str
    time: str
    """When it began, ISO 8601 with offset."""
    title: str
    program: str
    undoes: tuple[str, ...] = ()
    """The ids of the edits that this one takes back."""
    group: str | None = None
    """Whatever edits have in common that are to be taken back as one."""


class Renamed(Line, frozen=True, kw_only=True):
    """A file or directory got another path."""

    old: Path
    new: Path
    digest: str | None
    """Of a file's content; None for a directory."""


class Trashed(Line, frozen=True, kw_only=True):
    """A file or directory went to the trash."""

    at: InTrash


class Restored(Line, frozen=True, kw_only=True):
    """A file or directory came back from the trash."""

    at: InTrash


class Created(Line, frozen=True, kw_only=True):
    """A file or directory was made."""

    path: Path
    digest: str | None
    """Of a file's content; None for a directory."""
    temporary: Path | None = None
    """Where a directory is while it is not whole."""


class Adopted(Line, frozen=True, kw_only=True):
    """A directory that programs had filled under a temporary path got its name; nobody else has what is in it."""

    path: Path
    temporary: Path


class Replaced(Line, frozen=True, kw_only=True):
    """A file got other content; of the old, only what is not in the new is kept, as far as that is known."""

    path: Path
    prefix: int
    """How many bytes old and new share at their start."""
    suffix: int
    """How many bytes old and new share at their end."""
    new_size: int
    old_digest: str
    new_digest: str
    shared: tuple[Stretch, ...] = ()
    """What old and new share between prefix and suffix, in order."""
    old: bytes = b""
    """The old bytes that are not shared, unless they are in a file of their own."""
    old_file: str | None = None
    """The name of that file, in the journal's directory."""

    def old_content(self, directory: Path) -> tuple[bytes | Piece, ...]:
        """Returns what the file held, as pieces of the new content, which is there, and of the journal."""
        kept = None if self.old_file is None else directory / self.old_file
        size = len(self.old) if kept is None else kept.stat().st_size
        pieces: list[bytes | Piece] = [Piece(self.path, 0, self.prefix)]
        used, at = 0, self.prefix
        for in_old, in_new, length in (*self.shared, (None, self.new_size - self.suffix, self.suffix)):
            end = size if in_old is None else used + in_old - at
            pieces.append(self.old[used:end] if kept is None else Piece(kept, used, end - used))
            pieces.append(Piece(self.path, in_new, length))
            used, at = end, (in_old or 0) + length
        return tuple(pieces)

    @property
    def shared_backwards(self) -> tuple[Stretch, ...]:
        """What they share, for the step that takes this one back."""
        return tuple((in_new, in_old, length) for in_old, in_new, length in self.shared)


class Found(Line, frozen=True, kw_only=True):
    """What a directory held that an edit had made, moved or adopted: to tell whether it has changed since."""

    path: Path
    times: dict[str, int]
    """See ``files.times_below``."""


class Cancelled(Line, frozen=True, kw_only=True):
    """The step before failed, and nothing came of it."""


class Done(Line, frozen=True, kw_only=True):
    """The last line: every step was done."""


Step = Renamed | Trashed | Restored | Created | Adopted | Replaced
_AnyLine = Header | Step | Found | Cancelled | Done


def _encode(value: Any) -> str:
    if not isinstance(value, Path):
        raise NotImplementedError(f"no line can hold a {type(value).__name__}")
    return str(value)


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is not Path:
        raise NotImplementedError(f"no line can hold a {kind.__name__}")
    return Path(value)


def encode_line(line: Line) -> bytes:
    """Returns a line as the journal has it, with its end."""
    return json.dumps(msgspec.to_builtins(line, enc_hook=_encode)).encode("ascii") + b"\n"


def decode_lines(data: bytes) -> Iterator[_AnyLine]:
    """Yields the lines of an edit's file, up to the first that is not whole."""
    for text in data.splitlines(keepends=True):
        if not text.endswith(b"\n"):
            return
        try:
            yield msgspec.convert(json.loads(text), _AnyLine, dec_hook=_decode)
        except (ValueError, msgspec.ValidationError):
            return


def paths_of(step: Step) -> tuple[Path, ...]:
    """Returns the paths that a step changed, without those in the trash."""
    match step:
        case Renamed():
            return (step.old, step.new)
        case Trashed() | Restored():
            return (step.at.original,)
        case Created() | Adopted() | Replaced():
            return (step.path,)


def names_of(step: Step) -> tuple[Path, ...]:
    """Returns the paths at which a step made or removed something, those in the trash too."""
    if isinstance(step, Trashed | Restored):
        return (step.at.original, step.at.files_path, step.at.info_path)
    return paths_of(step)


def directories_of(steps: Iterable[Step]) -> list[Path]:
    """Returns the directories that steps made, moved or adopted, and that are there."""
    paths = [
        step.new if isinstance(step, Renamed) else step.path
        for step in steps
        if isinstance(step, Renamed | Created | Adopted)
    ]
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def without_detours(steps: Iterable[Step]) -> list[Step]:
    """Returns steps without those that put back from the trash what the step before had put there.

    Taken back one by one, the second would put it elsewhere in the trash than where the first looks for it.
    """
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, Restored) and kept and kept[-1] == Trashed(at=step.at):
            kept.pop()
        else:
            kept.append(step)
    return kept


def was_done(step: Step) -> bool | None:
    """Tells by what is on the disk whether a step was done; None if something else happened since.

    Raises OSError if the disk cannot be read.
    """
    match step:
        case Renamed():
            done, undone = os.path.lexists(step.new), os.path.lexists(step.old)
        case Trashed():
            done, undone = problem_of(step.at) is None, os.path.lexists(step.at.original)
        case Restored():
            done, undone = os.path.lexists(step.at.original), problem_of(step.at) is None
        case Created():
            in_making = step.temporary is not None and os.path.lexists(step.temporary)
            undone = in_making or not os.path.lexists(step.path)
            done = not undone and digest_if_file(step.path) == step.digest
        case Adopted():
            done, undone = os.path.lexists(step.path), os.path.lexists(step.temporary)
        case Replaced():
            file = Path(os.path.realpath(step.path))
            digest = digest_of(file) if os.path.lexists(file) else None
            done, undone = digest == step.new_digest, digest == step.old_digest
    return done if done != undone else None
