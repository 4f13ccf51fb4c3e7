"""Texts that users are editing: kept in the state directory until they are done, whatever happens meanwhile.

Beside each is what it is compared with. Nothing here reads what they say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rosecache.datafiles import write_atomically
from rosecache.newid import new_id
from rosecache.temporary import make_private_directory
from rosefs.library.errors import NotFoundError

_SUFFIX, _BASE = ".toml", ".base"


class KeptText(msgspec.Struct, frozen=True):
    """A text that is being edited, by the path of its file."""

    path: Path

    @classmethod
    def make(cls, state_dir: Path, release_id: str, text: str) -> KeptText:
        """Makes a file of a text that nothing was changed in yet. Raises OSError."""
        directory = state_dir / "texts"
        make_private_directory(directory)
        kept = cls(directory / f"{release_id}.{new_id()[-12:]}{_SUFFIX}")
        try:
            kept.write_base(text)
            kept.write(text)
        except OSError:
            kept.remove()
            raise
        return kept

    @classmethod
    def find(cls, path: Path) -> KeptText:
        """Returns the text of a file. Raises NotFoundError."""
        kept = cls(path.absolute())
        for each in (kept.path, kept._base):
            if not each.is_file():
                raise NotFoundError(
                    f"{each} is missing: --resume takes a file that an earlier edit left, and the one beside it"
                )
        return kept

    @classmethod
    def left(cls, state_dir: Path, release_id: str) -> Iterator[KeptText]:
        """Yields the texts of a release that somebody has changed, and that are not done."""
        for path in sorted((state_dir / "texts").glob(f"{release_id}.*{_SUFFIX}")):
            kept = cls(path)
            if kept._base.is_file() and kept.is_changed():
                yield kept

    @property
    def _base(self) -> Path:
        return self.path.with_suffix(_BASE)

    def read(self) -> bytes:
        return self.path.read_bytes()

    def write(self, text: str) -> None:
        """Replaces the text. Raises OSError, and leaves the old one."""
        write_atomically(self.path, text.encode())

    def read_base(self) -> str:
        return self._base.read_text(encoding="utf-8")

    def write_base(self, text: str) -> None:
        write_atomically(self._base, text.encode())

    def is_changed(self) -> bool:
        """Says whether anybody has written anything; yes, if that cannot be found out."""
        try:
            return self.read() != self._base.read_bytes()
        except FileNotFoundError:
            return self._base.is_file() and self.path.is_file()
        except OSError:
            return True

    def remove(self) -> None:
        """Removes it. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self._base.unlink(missing_ok=True)
