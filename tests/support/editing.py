"""Changing a library through a tree by paths, as programs would do it, without a kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from rosecache.config import Config
from rosefs.library.journal import Journal
from rosefs.settings import VfsSettings
from rosefs.vfs.filesystem import FileSystem
from tests.support.browsing import Browser

EditorT = TypeVar("EditorT", bound="Editor")


class Editor(Browser):
    """A file system that can be changed, and the paths in it."""

    def __init__(self, c: Config, state_dir: Path) -> None:
        super().__init__(c)
        self.fs = FileSystem(c, VfsSettings(), journal=Journal(state_dir), clock=self.clock)

    def parent(self, path: str) -> tuple[int, bytes]:
        directory, _, name = path.rpartition("/")
        return self.stat(directory).inode, os.fsencode(name)

    def write(self, path: str, data: bytes, *, flush: bool = True) -> None:
        opened, _ = self.fs.create(*self.parent(path), 0o644, os.O_WRONLY | os.O_TRUNC)
        self.fs.write(opened.handle, 0, data)
        if flush:
            self.fs.flush(opened.handle)
        self.fs.release(opened.handle)

    def mkdir(self, path: str) -> int:
        return self.fs.mkdir(*self.parent(path)).inode

    def copy_tree(self, source: Path, path: str) -> None:
        """As ``cp -r`` does."""
        self.mkdir(path)
        for name in sorted(os.listdir(source)):
            if (source / name).is_dir():
                self.copy_tree(source / name, f"{path}/{name}")
            else:
                self.write(f"{path}/{name}", (source / name).read_bytes())

    def rename(self, old: str, new: str) -> None:
        self.fs.rename(*self.parent(old), *self.parent(new), 0)

    def unlink(self, path: str) -> None:
        self.fs.unlink(*self.parent(path))

    def rmdir(self, path: str) -> None:
        self.fs.rmdir(*self.parent(path))

    def later(self, seconds: float) -> None:
        """Lets time go by, and has done what is due."""
        self.clock.advance(seconds)
        self.fs.run_due()


class Closing:
    """Editors that are to be closed."""

    def __init__(self) -> None:
        self._editors: list[Editor] = []

    def add(self, editor: EditorT) -> EditorT:
        self._editors.append(editor)
        return editor

    def close(self) -> None:
        for editor in self._editors:
            editor.fs.close()
