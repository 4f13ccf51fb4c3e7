"""Serves a tree in a process of its own: ``python -m tests.support.serve BINDING MOUNTPOINT``.

Reads a pickle from standard input: a function that makes the tree, the options, from which level on to log, and
what runs beside the mount. Prints ``ready`` once the mount answers, and logs to standard error. Ends with
status 0 after an unmount or a signal, and with 2 if the mount is refused. ``tests.support.mounts`` starts it.
"""

from __future__ import annotations

import logging
import pickle
import sys
from pathlib import Path

from rosefs.fuse.mount import MountError, MountOptions, serve
from rosefs.vfs.filesystem import FileSystem


def main(binding: str, mountpoint: str) -> int:
    make, options, level, companions = pickle.load(sys.stdin.buffer)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=level)
    assert isinstance(options, MountOptions)

    def on_ready() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    tree = make()
    try:
        serve(
            tree, Path(mountpoint), binding=binding, options=options, on_ready=on_ready, companions=companions
        )  # fmt: skip
    except MountError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        if isinstance(tree, FileSystem):
            tree.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
