"""Doing something in another process step by step, by the kernel's ptrace(2): to note every step, or to kill it at one.

A step is a system call that changes a file or a name below a directory, whoever makes it: Python, SQLite, a
library that is called through ctypes, a thread or a worker process. Nothing in what is run knows of it. The
kernel stops it before each such call, by a filter of system calls, so that everything else goes at full speed.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import platform
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

_AT_FDCWD = -100
WRITES = {
    1: "write", 18: "pwrite", 20: "writev", 296: "pwritev", 328: "pwritev", 40: "sendfile", 326: "copy_file_range",
}  # fmt: skip
_BY_DESCRIPTOR = {
    **WRITES, 74: "fsync", 75: "fdatasync", 77: "ftruncate", 91: "fchmod", 93: "fchown", 190: "fsetxattr",
    199: "fremovexattr", 285: "fallocate", 306: "syncfs",
}  # fmt: skip
_BY_PATH = {
    76: ("truncate", 1), 82: ("rename", 2), 83: ("mkdir", 1), 84: ("rmdir", 1), 85: ("create", 1), 86: ("link", 2),
    87: ("unlink", 1), 90: ("chmod", 1), 92: ("chown", 1), 94: ("lchown", 1), 132: ("utime", 1), 133: ("mknod", 1),
    188: ("setxattr", 1), 189: ("lsetxattr", 1), 197: ("removexattr", 1), 198: ("lremovexattr", 1), 235: ("utime", 1),
}  # fmt: skip
"""Calls that take paths, with how many."""
_BY_DIRECTORY = {
    257: ("create", 1), 258: ("mkdir", 1), 259: ("mknod", 1), 260: ("chown", 1), 261: ("utime", 1), 263: ("unlink", 1),
    264: ("rename", 2), 265: ("link", 2), 268: ("chmod", 1), 280: ("utime", 1), 316: ("rename", 2), 452: ("chmod", 1),
}  # fmt: skip
"""Calls that take paths, each after the descriptor of a directory that it starts at."""
_SYMLINK, _SYMLINKAT = 88, 266
"""Calls whose first argument is a text, and whose last one is the path of what is made."""
_THROUGH_LINKS = frozenset({"create", "truncate", "chmod", "chown", "utime", "setxattr", "removexattr"})
"""Calls that change what a link leads to, and not the link."""
_NEW, _NO_LINK = os.O_EXCL | os.O_NOFOLLOW, 0x100
_FLAGS = {2: (1, _NEW), 257: (2, _NEW), 260: (4, _NO_LINK), 280: (3, _NO_LINK), 452: (3, _NO_LINK)}
"""Which argument of a call can say by which bits that it does not follow a link."""
_OPENAT, _OPEN, _SENDFILE, _COPY_FILE_RANGE = 257, 2, 40, 326
_TARGET = {_COPY_FILE_RANGE: 2}
"""Which argument is the descriptor that is changed, if not the first."""
_SIZE = {1: 2, 18: 2}
"""Which argument of a write is its size, where it can be cut short."""

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO, _POKEUSER = 0, 7, 24, 0x4200, 0x420E, 6
_FORK, _VFORK, _CLONE, _EXEC, _SECCOMP, _EXITKILL = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 7, 1 << 20
_RDX = 12 * 8
"""Where struct user has the third argument of a system call (sys/user.h)."""
_WALL = 0x40000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Call:
    """A step: what is done, and to what. The paths are as they are before it, without links on the way to them."""

    name: str
    paths: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {' '.join(self.paths)}"


def problem() -> str | None:
    """Returns why nothing can be stepped through here, or None."""
    if platform.machine() != "x86_64":
        return f"the system calls of {platform.machine()} are not known"
    child = os.fork()
    if child == 0:
        os._exit(0 if _libc.ptrace(_TRACEME, 0, None, None) == 0 else 1)
    refused = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "ptrace(2) is not allowed" if refused else None


def steps_of(act: Callable[[], object], below: Path) -> list[Call]:
    """Does something in another process, and returns its steps below a directory, in order."""
    return [stop.call for stop in _stepping(act, below)]


def all_steps_of(act: Callable[[], object], *, mountpoint: Path) -> list[Call]:
    """Does something in another process, and returns its steps everywhere, in order.

    What it may mount is not looked into: whoever serves that may be stopped just then.

    Those of processes that it starts are among them, also of such as leave its group; all have to end. So it takes a
    process in between, which has no other children to wait for.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def note() -> None:
            calls = [stop.call for stop in _stepping(act, Path("/"), alone=True, opaque=str(mountpoint))]
            with open(writing, "wb") as file:
                pickle.dump(calls, file)

        _run(note)
    os.close(writing)
    with open(reading, "rb") as file:
        found = file.read()
    assert os.waitpid(child, 0)[1] == 0
    calls: list[Call] = pickle.loads(found)
    return calls


def killed_at(act: Callable[[], object], below: Path, number: int, *, halfway: bool = False) -> Call | None:
    """Does something in another process, which is killed before one of its steps.

    What processes that it has started do then is up to them; they are waited for.

    Args:
        act: What to do.
        below: Whose steps count.
        number: Which step, from 0.
        halfway: If it is a write, kill after half of the bytes.

    Returns:
        The step; None if there were not so many, and it came to its end.
    """
    fatal = None
    for count, stop in enumerate(_stepping(act, below)):
        if count == number:
            fatal = stop.call
            stop.kill(halfway=halfway)
    return fatal


def killed_after(act: Callable[[], object], seconds: float) -> bool:
    """Does something in another process, which is killed after a while; False if it came to its end before."""
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _run(act)
    # The default of SIGALRM ends a process as SIGKILL does: at once, whatever it is at.
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGALRM), status
    return status != 0


@dataclass(slots=True)
class _Stop:
    """A process that the kernel has stopped before a step."""

    leader: int
    process: int
    number: int
    arguments: tuple[int, ...]
    call: Call
    killed: bool = False

    def kill(self, *, halfway: bool) -> None:
        size = self.arguments[_SIZE[self.number]] if self.number in _SIZE else 0
        if halfway and size > 1:
            _ptrace(_POKEUSER, self.process, _RDX, size // 2)
            _ptrace(_SYSCALL, self.process)
            os.waitpid(self.process, _WALL)  # the call is done
        os.kill(self.leader, signal.SIGKILL)
        self.killed = True


def _stepping(
    act: Callable[[], object], below: Path, *, alone: bool = False, opaque: str = "\0"
) -> Iterator[_Stop]:
    """Yields every step, before it is done. Comes to its end when all processes have; none may have failed.

    Waits for the processes of one group, or, where this process is ``alone``, for all that are its children. What is
    below a path that is ``opaque`` is not looked into.
    """
    sys.stdout.flush()
    leader = os.fork()
    if leader == 0:
        os.setpgid(0, 0)
        _libc.ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _stop_before({*_BY_DESCRIPTOR, *_BY_PATH, *_BY_DIRECTORY, _SYMLINK, _SYMLINKAT})
        _run(act)
    os.waitpid(leader, 0)
    _ptrace(_SETOPTIONS, leader, 0, _FORK | _VFORK | _CLONE | _EXEC | _SECCOMP | _EXITKILL)
    _ptrace(_CONT, leader)
    killed = False
    ended = 0
    top = os.path.realpath(below).rstrip("/")
    known = {leader}
    while True:
        try:
            process, status = os.waitpid(-1 if alone else -leader, _WALL)
        except ChildProcessError:
            break
        if not os.WIFSTOPPED(status):
            if process == leader:
                ended = os.waitstatus_to_exitcode(status)
            continue
        event, sent = status >> 16, os.WSTOPSIG(status)
        if event == 7 and not killed and (stop := _stop_at(leader, process, top, opaque)) is not None:
            yield stop
            killed = stop.killed
        if event or (sent == signal.SIGSTOP and process not in known):
            known.add(process)
            sent = 0
        _libc.ptrace(_CONT, process, None, sent)  # may just have been killed
    assert ended == (-signal.SIGKILL if killed else 0), f"ended with {ended}"


def _run(act: Callable[[], object]) -> None:
    """Does something and ends the process, which knows nothing of the tests around it."""
    code = 1
    try:
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ptrace(request: int, process: int, address: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, process, address, data) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# The filter -------------------------------------------------------------------------------------------------


def _stop_before(calls: Set[int]) -> None:
    """Has the kernel stop this process, and what it starts, before these calls, and where files are opened anew."""
    load, equal, has_bit, answer, skip = 0x20, 0x15, 0x45, 0x06, 0x05
    allow, trace = 0x7FFF0000, 0x7FF00000
    numbers = sorted(calls - {_OPENAT})
    program = [
        (load, 0, 0, 0),
        (equal, 0, 2, _OPENAT),
        (load, 0, 0, 32),
        (skip, 0, 0, 2),
        (equal, 0, 3, _OPEN),
        (load, 0, 0, 24),
        (has_bit, len(numbers) + 2, 0, os.O_CREAT | os.O_TRUNC),
        (answer, 0, 0, allow),
    ]
    program += [(equal, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, trace)]
    code = b"".join(struct.pack("<HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(filter), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls can be set")


# What a call is about ---------------------------------------------------------------------------------------


def _stop_at(leader: int, process: int, top: str, opaque: str) -> _Stop | None:
    """Returns the step that a stopped process is about to do; None if it is none below a directory."""
    buffer = ctypes.create_string_buffer(128)
    if _libc.ptrace(_GET_SYSCALL_INFO, process, len(buffer), ctypes.addressof(buffer)) < 0:
        return None  # killed just now
    number, *arguments = struct.unpack_from("<7Q", buffer.raw, 24)
    try:
        name, paths = _describe(process, number, arguments, opaque)
    except (OSError, ValueError):
        return None  # what leads nowhere changes nothing
    if not any(path == top or path.startswith(top + "/") for path in paths):
        return None
    return _Stop(leader, process, number, tuple(arguments), Call(name, paths))


def _describe(process: int, number: int, arguments: list[int], opaque: str) -> tuple[str, tuple[str, ...]]:
    if number in _BY_DESCRIPTOR:
        descriptor = arguments[_TARGET.get(number, 0)]
        return _BY_DESCRIPTOR[number], (os.readlink(f"/proc/{process}/fd/{descriptor}"),)
    if number in (_SYMLINK, _SYMLINKAT):
        directory, text = (_AT_FDCWD, arguments[1]) if number == _SYMLINK else (arguments[1], arguments[2])
        return "symlink", (_resolved(_path(process, directory, text), opaque, follows=False),)
    if number in _BY_PATH or number == _OPEN:
        name, count = _BY_PATH.get(number, ("create", 1))
        pairs = [(_AT_FDCWD, at) for at in arguments[:count]]
    else:
        name, count = _BY_DIRECTORY[number]
        pairs = [(arguments[2 * at], arguments[2 * at + 1]) for at in range(count)]
    flag = _FLAGS.get(number)
    follows = name in _THROUGH_LINKS and (flag is None or not arguments[flag[0]] & flag[1])
    paths = (_path(process, directory, text) for directory, text in pairs)
    return name, tuple(_resolved(path, opaque, follows=follows) for path in paths)


def _path(process: int, directory: int, address: int) -> str:
    directory = ctypes.c_int(directory).value
    start = f"/proc/{process}/" + ("cwd" if directory == _AT_FDCWD else f"fd/{directory}")
    if not address:
        return os.readlink(start)  # utimensat of a descriptor
    return os.path.join(os.readlink(start), os.fsdecode(_text(process, address)))


def _resolved(path: str, opaque: str, *, follows: bool) -> str:
    """Returns a path without links on the way to it, and if that is followed, without one at its end."""
    if path.startswith(f"{opaque}/"):
        return path
    if follows:
        return os.path.realpath(path)
    above, name = os.path.split(path.rstrip("/"))
    return os.path.join(os.path.realpath(above), name)


def _text(process: int, address: int) -> bytes:
    found = b""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        while b"\0" not in found:
            # Never beyond a page: the next one may not be there.
            found += os.pread(memory.fileno(), 4096 - (address + len(found)) % 4096, address + len(found))
    return found.partition(b"\0")[0]
