"""Serves a tree in a process of its own, which ``tests.support.mounts`` starts.

It prints ``ready`` once the mount answers, and logs to standard error. Its status is 0 after an unmount or a signal,
and 2 if the mount is refused. Forked, it calls :func:`serve_tree`; as ``python -m tests.support.serve`` it reads the
arguments of that from standard input, as a pickle.
"""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rosefs.fuse.mount import MountError, MountOptions, serve
from rosefs.fuse.operations import Operations
from rosefs.fuse.translation import Companion
from rosefs.vfs.filesystem import FileSystem


def serve_tree(
    make: Callable[[], Operations],
    mountpoint: Path,
    binding: str,
    options: MountOptions,
    log_level: int,
    companions: Sequence[Companion],
) -> int:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=log_level)

    def on_ready() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    tree = make()
    try:
        serve(tree, mountpoint, binding=binding, options=options, on_ready=on_ready, companions=companions)
    except MountError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        if isinstance(tree, FileSystem):
            tree.close()
    return 0


if __name__ == "__main__":
    sys.exit(serve_tree(*pickle.load(sys.stdin.buffer)))
