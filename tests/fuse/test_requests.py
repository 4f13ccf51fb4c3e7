"""What libfuse says of the requests that it hands over, and what the binding does where it says nothing."""

from __future__ import annotations

import ctypes
import errno
import subprocess
import sys
from functools import partial

import pytest

from rosefs.fuse.requests import Requests
from rosefs.fuse.translation import Timeouts
from tests.support.memory_tree import MemoryTree

pyfuse3 = pytest.importorskip("pyfuse3")
trio = pytest.importorskip("trio")

INODE = 9217195190492539747


@pytest.mark.parametrize("library", ["/missing.so", "libc.so.6"])
def test_a_library_that_cannot_be_listened_to(library: str) -> None:
    assert Requests().listen(library) == frozenset()


@pytest.mark.parametrize(
    ("text", "inode"),
    [
        (b"unique: %llu, opcode: %s (%i), nodeid: %llu, insize: %zu, pid: %u\n", INODE),
        (b"dev unique: %llu, opcode: %s (%i), nodeid: %llu, insize: %zu, pid: %u\n", INODE),
        (b"unique: %llu, opcode: %s (%i), number: %llu, insize: %zu, pid: %u\n", 0),
    ],
)
def test_what_libfuse_says(text: bytes, inode: int) -> None:
    library, requests = ctypes.CDLL(pyfuse3.__file__), Requests()
    assert requests.listen(pyfuse3.__file__) == {"debug"}
    try:
        more = (ctypes.c_uint64(6), b"READDIRPLUS", 44, ctypes.c_uint64(INODE), ctypes.c_size_t(80), 1)
        library.fuse_log(7, text, *more)
        assert requests.inode == inode
        library.fuse_log(7, b"flags=0x%08x\n", 1 << 24)
        assert requests.may_list_unopened
        library.fuse_log(7, b"flags=0x%08x\n", 1 << 23)
        assert not requests.may_list_unopened
    finally:
        library.fuse_set_log_func(None)


def test_what_libfuse_complains_of_is_on_standard_error() -> None:
    program = (
        "import ctypes, pyfuse3\n"
        "from rosefs.fuse.requests import Requests\n"
        "requests = Requests()\n"
        "requests.listen(pyfuse3.__file__)\n"
        "ctypes.CDLL(pyfuse3.__file__).fuse_log(3, b'fuse: %s\\n', b'this is wrong')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert (ran.stdout, ran.stderr) == (b"", b"fuse: this is wrong\n")


@pytest.mark.parametrize(
    ("may_list", "said", "is_told", "unopened"),
    [
        (True, 7, True, True),
        (False, 7, True, False),  # the kernel is too old
        (True, 0, True, False),  # libfuse says nothing, or something else
        (True, 8, True, False),
        (True, 7, False, False),  # the kernel cannot be told when a listing is not true any more
    ],
)
def test_directories_are_opened_unless_everything_is_known(
    may_list: bool, said: int, is_told: bool, unopened: bool
) -> None:
    from rosefs.fuse.on_pyfuse3 import Handlers
    from rosefs.fuse.waiting import Turns

    requests = Requests()
    handlers = Handlers(MemoryTree({"sub": {}}), Timeouts(), requests, Turns())
    requests.may_list_unopened, requests.inode = may_list, said
    if is_told:
        handlers._timeouts = Timeouts()
    opening = partial(handlers.opendir, 7, pyfuse3.RequestContext())
    if unopened:
        with pytest.raises(pyfuse3.FUSEError) as caught:
            trio.run(opening)
        assert caught.value.errno == errno.ENOSYS
    else:
        assert trio.run(opening) == 7
    assert handlers._kernel.keeps_listings == unopened
