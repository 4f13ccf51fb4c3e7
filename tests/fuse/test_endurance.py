"""Much use, in short: what a mount has taken for it, it gives back."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.killing import own_place
from tests.support.mounts import SHARED_LIMIT, mounted_library
from tests.support.operations import Operation, begin, make_template
from tests.support.soundness import Home
from tests.support.waiting import wait_until
from tests.support.wearing import TellingFileSystem, forget, worn


def test_forget_gives_back_what_lookup_took(
    tmp_path: Path, binding: str, need_fuse: None, need_root: None
) -> None:
    home = Home(tmp_path / "home")
    make_template(tmp_path / "template", first=False)
    with own_place(tmp_path):
        begin(home, tmp_path / "template", Operation(lambda home: None))
        with mounted_library(
            home.c,
            home.top,
            binding,
            state_dir=home.state_dir,
            kind=TellingFileSystem,
            hard_limit=SHARED_LIMIT,
        ) as mount:
            fresh = worn(mount)
            for _ in range(3):
                for directory, _, names in os.walk(mount.path):
                    for name in names:
                        Path(directory, name).read_bytes()
                assert worn(mount).inodes > 50
                forget(mount)
                wait_until(lambda: worn(mount).inodes <= fresh.inodes + 1, lambda: worn(mount))
            end = worn(mount)
            assert end.handles == 0
            assert end.files <= fresh.files + 3 * end.threads  # a thread's connection to the cache has three
            assert end.threads <= fresh.threads + 24
