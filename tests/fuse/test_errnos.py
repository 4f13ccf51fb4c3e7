"""Every error of the tree has its number, and a mistake in the program is logged and becomes EIO."""

from __future__ import annotations

import errno

import pytest

from rosefs.fuse.errnos import ERRNOS, errno_for
from rosefs.vfs.errors import FileSystemError, NoEntryError, SourceIOError


def subclasses(of: type[FileSystemError]) -> set[type[FileSystemError]]:
    return {of}.union(*(subclasses(child) for child in of.__subclasses__()))


def test_every_error_of_the_tree_has_a_number() -> None:
    assert NoEntryError in subclasses(FileSystemError)
    assert set(ERRNOS) == subclasses(FileSystemError)


def test_every_number_is_one_that_the_system_knows() -> None:
    assert set(ERRNOS.values()) <= set(errno.errorcode)


def test_what_is_wrong_with_a_request_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert errno_for(NoEntryError("folder.jpg"), "lookup") == errno.ENOENT
    assert caplog.records == []


@pytest.mark.expects_log(r"read: /music/a\.opus: bad sector")
def test_what_is_wrong_with_the_disk_is_logged() -> None:
    assert errno_for(SourceIOError(errno.EIO, "/music/a.opus: bad sector"), "read") == errno.EIO


@pytest.mark.expects_log("lookup failed unexpectedly")
@pytest.mark.parametrize("mistake", [KeyError("x"), OSError(errno.ENOENT, "gone")])
def test_a_mistake_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture, mistake: Exception) -> None:
    with pytest.raises(type(mistake)) as caught:
        raise mistake
    assert errno_for(caught.value, "lookup") == errno.EIO
    assert "Traceback" in caplog.text
    assert type(mistake).__name__ in caplog.text


@pytest.mark.expects_log("lookup failed unexpectedly")
def test_an_error_without_a_number_counts_as_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rosefs.fuse.errnos.ERRNOS", {})
    assert errno_for(NoEntryError("x"), "lookup") == errno.EIO
