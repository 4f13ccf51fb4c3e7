"""What is copied into lists and lands nowhere: whenever it goes, its bytes and its name go with it."""

from __future__ import annotations

import os
from pathlib import Path

from rosefs.vfs.ghosts import Ghosts
from rosefs.vfs.nodes import Key
from tests.support.browsing import Clock

PLAYLIST = Key("playlists", "Mix", "")


def scratch(directory: Path) -> list[str]:
    return [name for _, _, names in os.walk(directory) for name in names]


def test_one_that_is_opened_after_it_was_let_go_leaves_nothing(tmp_path: Path) -> None:
    ghosts = Ghosts(tmp_path, Clock())
    ghost = ghosts.make_file(PLAYLIST, "01.mp3")
    ghosts.drop(ghost)
    ghost.open()
    ghost.write(0, b"bytes")
    assert ghost.read(0, 9) == b"bytes"
    ghost.close()
    assert scratch(tmp_path) == []
    ghosts.close()


def test_one_that_is_let_go_while_it_is_open_leaves_nothing(tmp_path: Path) -> None:
    ghosts = Ghosts(tmp_path, Clock())
    ghost = ghosts.make_file(PLAYLIST, "cover")
    ghost.open()
    ghosts.drop(ghost)
    ghost.close()
    ghost.truncate(3)
    assert scratch(tmp_path) == []
    ghosts.close()


def test_two_of_one_name_at_once_do_not_take_each_others_name_away(tmp_path: Path) -> None:
    clock = Clock()
    ghosts = Ghosts(tmp_path, clock)
    first, second = (ghosts.make_file(PLAYLIST, "01.mp3") for _ in range(2))
    assert ghosts.find(PLAYLIST, "01.mp3") is second
    assert first.gone
    clock.advance(3600)
    ghosts.expire()
    assert ghosts.find(PLAYLIST, "01.mp3") is None
    assert scratch(tmp_path) == []
    ghosts.close()
