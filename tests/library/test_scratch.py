"""Scratch directories of mounts: those that live keep theirs, those of killed ones go."""

from __future__ import annotations

import os
from pathlib import Path

from rosefs.library.scratch import make_scratch, remove_scratch


def test_only_what_nobody_has_is_removed(tmp_path: Path) -> None:
    path, descriptor = make_scratch(tmp_path / "cache")
    (path / "x").write_bytes(b"x")
    remove_scratch(tmp_path / "cache")
    assert (path / "x").read_bytes() == b"x"
    os.close(descriptor)
    remove_scratch(tmp_path / "cache")
    assert not path.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_bytes(b"x")
    (tmp_path / ".in-progress.rosefs.sinks.0").symlink_to(other)
    remove_scratch(tmp_path)
    assert (other / "x").read_bytes() == b"x"
