"""Files that are being written: recovery may look at one between its making and its locking."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rosecache import temporary
from rosecache.datafiles import remove_abandoned, write_atomically
from rosecache.tags.journal import REWRITE_PREFIX, recover
from rosecache.temporary import claim, make_temporary


@pytest.fixture
def claimed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[int]]:
    """Has something done before the first lock is taken, and the second be held by somebody else."""

    def interfere(first: Callable[[], object]) -> list[int]:
        claims: list[int] = []

        def late(descriptor: int) -> None:
            claims.append(descriptor)
            if len(claims) == 1:
                monkeypatch.setattr(temporary, "claim", claim)
                first()
                monkeypatch.setattr(temporary, "claim", late)
            if len(claims) == 2:
                raise BlockingIOError
            claim(descriptor)

        monkeypatch.setattr(temporary, "claim", late)
        return claims

    return interfere


def test_what_recovery_takes_for_abandoned_is_made_again(
    tmp_path: Path, claimed: Callable[[Callable[[], object]], list[int]]
) -> None:
    claims = claimed(lambda: recover(tmp_path))
    path, descriptor = make_temporary(tmp_path, REWRITE_PREFIX, ".log", 0o600)
    try:
        assert len(claims) == 3
        os.write(descriptor, b"abc")
        assert recover(tmp_path) == []
        assert path.read_bytes() == b"abc"
    finally:
        os.close(descriptor)
    assert recover(tmp_path) == []
    assert not path.exists()


def test_a_list_is_written_while_another_process_cleans_up(
    tmp_path: Path, claimed: Callable[[Callable[[], object]], list[int]]
) -> None:
    claims = claimed(lambda: remove_abandoned(tmp_path))
    write_atomically(tmp_path / "list.toml", b"a = 1")
    assert len(claims) == 3
    assert (tmp_path / "list.toml").read_bytes() == b"a = 1"
