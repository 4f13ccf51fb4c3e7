"""What is done over and over takes no more memory than once, and in the end nothing: without a kernel, and counted."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator

import pytest

from rosecache.config import Config
from rosefs.vfs import tree
from rosefs.vfs.model import ROOT_INODE
from rosefs.vfs.names import RETIRED_SECONDS
from tests.support.audio import set_tags
from tests.support.browsing import Browser


def _paths(browser: Browser, inode: int = ROOT_INODE) -> Iterator[int]:
    """Looks up everything, and yields each inode as often as it was looked up."""
    for entry in browser.forget(browser.fs.entries(inode, 0)):
        found = browser.fs.lookup(inode, entry.name)
        yield found.inode
        if found.is_directory:
            yield from _paths(browser, found.inode)
            continue
        opened = browser.fs.open(found.inode, os.O_RDONLY)
        browser.fs.read(opened.handle, 0, 1000)
        browser.fs.release(opened.handle)


def _use(browser: Browser) -> None:
    """Reads everything, and forgets it, as a kernel does that runs short of memory."""
    for inode in list(_paths(browser)):
        browser.fs.forget(inode, 1)


def test_reading_everything_and_forgetting_it_leaves_nothing(browser: Browser) -> None:
    series = []
    for _ in range(8):
        for _ in range(5):
            _use(browser)
        gc.collect()
        series.append(sys.getallocatedblocks())
    # It goes up and down by some; every round looks up a hundred names, of each of which nothing may be left.
    assert min(series[4:]) - max(series[:4]) < 200, series
    left = browser.fs.counters()
    assert (left.inodes, left.directories, left.handles) == (1, 1, 0)


def test_directories_that_remember_names_go_when_these_are_over(
    library: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_FEW", 0)
    browser = Browser(library)
    known = list(_paths(browser))
    for number in range(3):
        set_tags(library.music_source_dir / "loona" / "01.opus", title=f"Retitled {number}")
        browser.update()
        known += _paths(browser)
    for inode in known:
        browser.fs.forget(inode, 1)
    assert browser.fs.counters().inodes == 1
    remembering = browser.fs.counters().directories
    assert remembering > 1
    browser.clock.advance(RETIRED_SECONDS + 1)
    for _ in range(3):
        _use(browser)
    assert browser.fs.counters().directories == 1 < remembering
