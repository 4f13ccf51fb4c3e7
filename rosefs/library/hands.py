"""The hands of an edit: the few things that edits do to the disk, each whole or not at all.

``Hands`` does them; a subclass may note each step before it is done, and that is what ``making.Edit`` is.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rosecache.boundary import expect_no_link
from rosecache.tags.journal import flush_directory
from rosefs.library import trash as trashing
from rosefs.library.files import (
    Content,
    Progress,
    Stretch,
    common_ends,
    common_stretches,
    copy_tree,
    digest_if_file,
    digest_of,
    new_version,
    rename_new,
)
from rosefs.library.steps import Adopted, Created, Renamed, Replaced, Restored, Step, Trashed


class Hands:
    """Does steps, and notes nothing. Paths are absolute.

    Every method raises OSError, or TrashError where the trash is concerned, and then nothing has changed.
    """

    does_not_show = False
    """A file has other content, with the size and the times of what it took the place of: on a disk whose times of
    inodes are those of content, programs that keep the time leave nothing to see for an update."""

    def _about_to(self, step: Step) -> None:
        """Called before a step is done; may raise, and then it is not done."""

    @contextmanager
    def _doing(self, step: Step) -> Iterator[None]:
        self._about_to(step)
        yield

    def _keep_old(self, path: Path, spans: Sequence[tuple[int, int]]) -> tuple[bytes, str | None]:
        """Keeps bytes of a file that is to be replaced; returns them, or the name of a file of them.

        ``spans``: where they start and where they end.
        """
        return b"", None

    def rename(self, old: Path, new: Path) -> None:
        """Renames a file or directory, replacing nothing: FileExistsError."""
        with self._doing(Renamed(old=old, new=new, digest=digest_if_file(old))):
            rename_new(old, new)

    def trash(self, path: Path, *, original: Path | None = None) -> trashing.Trashed:
        """Puts a file or directory into the trash; ``original`` is where it comes back to, if not there."""
        return trashing.trash(path, original=original, announce=lambda at: self._about_to(Trashed(at=at)))

    def restore(self, at: trashing.Trashed) -> None:
        """Puts something back from the trash."""
        with self._doing(Restored(at=at)):
            trashing.restore(at)

    def create(self, path: Path, content: Content) -> None:
        """Makes a file that is not there yet: FileExistsError."""
        if os.path.lexists(path):  # before anything is written; the rename makes sure
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        with (
            new_version(path, content) as temporary,
            self._doing(Created(path=path, digest=digest_of(temporary))),
        ):
            rename_new(temporary, path)

    def create_tree(self, path: Path, source: Path, temporary: Path, progress: Progress) -> None:
        """Makes a directory as a copy of another one, under a temporary path that must not be there yet."""
        self.create_directory(path, temporary, lambda directory: copy_tree(source, directory, progress))

    def create_directory(self, path: Path, temporary: Path, fill: Callable[[Path], None]) -> None:
        """Makes a directory of what ``fill`` puts, flushed, into a temporary one that must not be there yet."""
        is_ours = False
        try:
            with self._doing(Created(path=path, digest=None, temporary=temporary)):
                temporary.mkdir(mode=0o700)
                is_ours = True
                fill(temporary)
                rename_new(temporary, path)
        except BaseException:
            if is_ours:  # and only now, since as long as it is there, what is at the path is somebody else's
                shutil.rmtree(temporary, ignore_errors=True)
            raise

    def adopt(self, path: Path, temporary: Path) -> None:
        """Gives a directory its name that programs have filled, replacing nothing: FileExistsError."""
        with self._doing(Adopted(path=path, temporary=temporary)):
            rename_new(temporary, path)

    def give_back(self, step: Adopted) -> None:
        """Gives a directory the temporary name that it had, since nobody else has what is in it."""
        rename_new(step.path, step.temporary)

    def replace(
        self,
        path: Path,
        content: Content,
        *,
        expected: str | None = None,
        shared: Iterable[Stretch] = (),
    ) -> None:
        """Gives a file other content; owner, mode and extended attributes stay. Does nothing if it is the same.

        A symbolic link is refused. With ``expected``, content that has another digest is refused, too. ``shared`` is as
        for :meth:`put`.
        """
        expect_no_link(path)
        before = os.lstat(path)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        with new_version(path, content) as temporary:
            digests = digest_of(path), digest_of(temporary)
            if expected not in (None, digests[1]):
                raise OSError(errno.EIO, "the content kept for it is damaged", str(path))
            if digests[0] != digests[1]:
                self._put(path, temporary, before, digests, shared)

    def put(
        self,
        path: Path,
        ready: Path,
        *,
        shared: Iterable[Stretch] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Renames a file over another one of the same volume; both are flushed to the disk, and kept as they are.

        A symbolic link is refused.

        Args:
            path: The file to replace.
            ready: The file that takes its place.
            shared: What both may hold, so that it need not be kept, beside what they share at their ends.
            check: Called at the last moment; raises what keeps the file from being replaced.
        """
        expect_no_link(path)
        before = os.lstat(path)
        digests = digest_of(path), digest_of(ready)
        if digests[0] == digests[1]:
            check()
            os.rename(ready, path)  # the same content has nothing to be taken back
        else:
            self._put(path, ready, before, digests, shared, check)
        flush_directory(path.parent)

    def create_from(self, path: Path, ready: Path) -> None:
        """Gives a finished temporary file its name, replacing nothing: FileExistsError."""
        with self._doing(Created(path=path, digest=digest_of(ready))):
            rename_new(ready, path)
        flush_directory(path.parent)

    def _put(
        self,
        path: Path,
        ready: Path,
        before: os.stat_result,
        digests: tuple[str, str],
        guesses: Iterable[Stretch],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        prefix, suffix = common_ends(path, ready)
        shared = common_stretches(path, ready, guesses, prefix, suffix)
        starts = [prefix, *(in_old + length for in_old, _, length in shared)]
        ends = [*(in_old for in_old, _, _ in shared), before.st_size - suffix]
        old, old_file = self._keep_old(path, list(zip(starts, ends, strict=True)))
        step = Replaced(
            path=path, prefix=prefix, suffix=suffix, new_size=ready.stat().st_size, shared=shared,
            old_digest=digests[0], new_digest=digests[1], old=old, old_file=old_file,
        )  # fmt: skip
        with self._doing(step):
            # Another name for it, such as copying into a collage makes, changes the file's time, and not the file.
            if _identity(os.lstat(path)) != _identity(before) and digest_of(path) != digests[0]:
                raise OSError(errno.EBUSY, "was changed by another program just now", str(path))
            check()
            os.rename(ready, path)
        if _times(os.lstat(path)) == _times(before):
            self.does_not_show = True

    def discard(self, path: Path) -> None:
        """Removes for good what was only just created."""
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ino, *_times(status))


def _times(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def take_back(step: Step, hands: Hands, directory: Path) -> None:
    """Does the opposite of a step that was done.

    Args:
        step: The step.
        hands: Who does it.
        directory: The journal's directory, which may hold old content.

    Raises:
        OSError, TrashError: It cannot be done; nothing has changed.
    """
    match step:
        case Renamed():
            hands.rename(step.new, step.old)
        case Trashed():
            hands.restore(step.at)
        case Restored():
            hands.trash(step.at.original)
        case Created():
            hands.discard(step.path)
        case Adopted():
            hands.give_back(step)
        case Replaced():
            hands.replace(
                step.path,
                step.old_content(directory),
                expected=step.old_digest,
                shared=step.shared_backwards,
            )
