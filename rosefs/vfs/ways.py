"""Ways: through which directory, and under which name, somebody is about to change a file.

A file has one inode number in all views, but in a list it means something else to write to it. The kernel keeps names,
so it does not ask for a file's before it opens it. Told that what it knows is stale, it looks up all names of the path
once more, in the same thread, and then tries once more. So whoever is about to change a file that is shown in a list is
told so, and what was looked up until the second try is the way. Nothing here knows what a list is.
"""

from __future__ import annotations

import threading

from rosefs.vfs.edits import Operation
from rosefs.vfs.errors import StaleError
from rosefs.vfs.inodes import Way

_MOST = 256
"""How many questions may be open at once. Those of programs that were killed stay open."""


class _Question:
    """What somebody was told to look up. ``is_doubtful``: several have looked, of whom nobody knows who is who."""

    __slots__ = ("in_list", "is_doubtful", "way")

    def __init__(self) -> None:
        self.way: Way | None = None
        self.in_list = False
        self.is_doubtful = False


class Ways:
    """The questions that are open, by who was asked. Safe to use from several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[int, int, Operation], _Question] = {}

    def __len__(self) -> int:
        return len(self._open)

    def find(self, asker: int, inode: int, operation: Operation) -> Way | None:
        """Returns the way by which somebody has looked up a file since being told to do so.

        None if it was looked up by none, or nobody can tell: it was opened by what ``/proc/self/fd`` has, for one.

        Raises:
            StaleError: To tell the kernel to do so, and to ask again.
        """
        with self._lock:
            question = self._open.pop((asker, inode, operation), None)
            if question is not None:
                return None if question.is_doubtful else question.way
            self._give_up(asker)
            self._open[asker, inode, operation] = _Question()
            if len(self._open) > _MOST:
                del self._open[next(iter(self._open))]
        raise StaleError("what it means to change this file depends on where it is")

    def tell(self, asker: int, inode: int, operation: Operation, way: Way) -> None:
        """Says by which way somebody is about to do something, so that it is not asked for."""
        question = _Question()
        question.way = way
        with self._lock:
            self._open[asker, inode, operation] = question

    def found(self, asker: int, inode: int, way: Way, *, in_list: bool) -> bool:
        """Takes note of a file that somebody has looked up. Returns whether they are about to truncate it."""
        with self._lock:
            if not any(key[:2] == (asker, inode) for key in self._open):
                self._give_up(asker)  # the path leads to another file by now
            for (who, what, _), question in self._open.items():
                if (who, what) == (asker, inode):
                    question.is_doubtful |= (
                        not asker and question.way is not None and question.in_list != in_list
                    )
                    question.way, question.in_list = way, in_list
            return (asker, inode, Operation.TRUNCATE) in self._open

    def give_up(self, asker: int) -> None:
        """Takes note that somebody has found no file any more."""
        with self._lock:
            self._give_up(asker)

    def answered(self, asker: int, inode: int) -> None:
        """Takes note that somebody is about to change another file instead."""
        with self._lock:
            for key in [key for key in self._open if key[:2] == (asker, inode)]:
                del self._open[key]

    def _give_up(self, asker: int) -> None:
        # A thread does one thing after the other. But who has no number may be several.
        if asker:
            for key in [key for key in self._open if key[0] == asker]:
                del self._open[key]
