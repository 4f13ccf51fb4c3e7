"""Doing something in another process step by step, by the kernel's ptrace(2): to note every step, or to kill it at one.

A step is a system call that changes a file or a name below a directory, whoever makes it: Python, SQLite, a
library that is called through ctypes, a thread or a worker process. Nothing in what is run knows of it. The
kernel stops it before each such call, by a filter of system calls, so that everything else goes at full speed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

WRITES = {1: "write", 18: "pwrite", 20: "writev", 296: "pwritev", 40: "sendfile", 326: "copy_file_range"}
_BY_DESCRIPTOR = {
    **WRITES, 74: "fsync", 75: "fdatasync", 77: "ftruncate", 91: "fchmod", 93: "fchown", 190: "fsetxattr",
    306: "syncfs",
}  # fmt: skip
_BY_PATH = {
    76: ("truncate", 1), 82: ("rename", 2), 83: ("mkdir", 1), 84: ("rmdir", 1), 86: ("link", 2), 87: ("unlink", 1),
    88: ("symlink", 2), 90: ("chmod", 1), 188: ("setxattr", 1),
}  # fmt: skip
"""Calls that take paths, with how many."""
_BY_DIRECTORY = {
    257: ("create", 1), 258: ("mkdir", 1), 263: ("unlink", 1), 264: ("rename", 2), 265: ("link", 2), 268: ("chmod", 1),
    280: ("utime", 1), 316: ("rename", 2),
}  # fmt: skip
"""Calls that take paths, each after the descriptor of a directory that it starts at."""
_OPENAT, _SENDFILE, _COPY_FILE_RANGE = 257, 40, 326
_TARGET = {_COPY_FILE_RANGE: 2}
"""Which argument is the descriptor that is changed, if not the first."""
_SIZE = {1: 2, 18: 2}
"""Which argument of a write is its size, where it can be cut short."""

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO, _POKEUSER = 0, 7, 24, 0x4200, 0x420E, 6
_FORK, _VFORK, _CLONE, _EXEC, _SECCOMP, _EXITKILL = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 7, 1 << 20
_RDX = 12 * 8
"""Where struct user has the third argument of a system call (sys/user.h)."""
_WALL = 0x40000000
_AT_FDCWD = -100
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Call:
    """A step: what is done, and to what. The paths are as they are before it."""

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
    noted: list[Call] = []
    for stop in _stepping(act, below):
        noted.append(stop.call)
    return noted


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


def _stepping(act: Callable[[], object], below: Path) -> Iterator[_Stop]:
    """Yields every step, before it is done. Comes to its end when all processes have; none may have failed."""
    sys.stdout.flush()
    leader = os.fork()
    if leader == 0:
        os.setpgid(0, 0)
        _libc.ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _stop_before(_BY_DESCRIPTOR, _BY_PATH, _BY_DIRECTORY)
        _run(act)
    os.waitpid(leader, 0)
    _ptrace(_SETOPTIONS, leader, 0, _FORK | _VFORK | _CLONE | _EXEC | _SECCOMP | _EXITKILL)
    _ptrace(_CONT, leader)
    killed = False
    ended = 0
    top = os.path.realpath(below)
    known = {leader}
    while True:
        try:
            process, status = os.waitpid(-leader, _WALL)
        except ChildProcessError:
            break
        if not os.WIFSTOPPED(status):
            if process == leader:
                ended = os.waitstatus_to_exitcode(status)
            continue
        event, sent = status >> 16, os.WSTOPSIG(status)
        if event == 7 and not killed and (stop := _stop_at(leader, process, top)) is not None:
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


def _stop_before(*tables: Mapping[int, object]) -> None:
    """Has the kernel stop this process, and what it starts, before these calls; of openat only where it creates."""
    load, equal, has_bit, answer = 0x20, 0x15, 0x45, 0x06
    allow, trace = 0x7FFF0000, 0x7FF00000
    numbers = sorted({number for table in tables for number in table} - {_OPENAT})
    program = [
        (load, 0, 0, 0),
        (equal, 0, 3, _OPENAT),
        (load, 0, 0, 32),
        (has_bit, len(numbers) + 2, 0, os.O_CREAT),
    ]
    program += [(answer, 0, 0, allow)]
    program += [(equal, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, trace)]
    code = b"".join(struct.pack("<HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(filter), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls can be set")


# What a call is about ---------------------------------------------------------------------------------------


def _stop_at(leader: int, process: int, top: str) -> _Stop | None:
    """Returns the step that a stopped process is about to do; None if it is none below a directory."""
    buffer = ctypes.create_string_buffer(128)
    if _libc.ptrace(_GET_SYSCALL_INFO, process, len(buffer), ctypes.addressof(buffer)) < 0:
        return None  # killed just now
    number, *arguments = struct.unpack_from("<7Q", buffer.raw, 24)
    try:
        name, paths = _describe(process, number, arguments)
    except (OSError, ValueError):
        return None  # what leads nowhere changes nothing
    if not any(path == top or path.startswith(top + "/") for path in paths):
        return None
    return _Stop(leader, process, number, tuple(arguments), Call(name, paths))


def _describe(process: int, number: int, arguments: list[int]) -> tuple[str, tuple[str, ...]]:
    if number in _BY_DESCRIPTOR:
        descriptor = arguments[_TARGET.get(number, 0)]
        return _BY_DESCRIPTOR[number], (os.readlink(f"/proc/{process}/fd/{descriptor}"),)
    if number in _BY_PATH:
        name, count = _BY_PATH[number]
        return name, tuple(_path(process, _AT_FDCWD, at) for at in arguments[:count])
    name, count = _BY_DIRECTORY[number]
    pairs = [(arguments[2 * at], arguments[2 * at + 1]) for at in range(count)]
    return name, tuple(_path(process, ctypes.c_int(at).value, text) for at, text in pairs)


def _path(process: int, directory: int, address: int) -> str:
    start = f"/proc/{process}/" + ("cwd" if directory == _AT_FDCWD else f"fd/{directory}")
    if not address:
        return os.readlink(start)  # utimensat of a descriptor
    return os.path.normpath(os.path.join(os.readlink(start), os.fsdecode(_text(process, address))))


def _text(process: int, address: int) -> bytes:
    found = b""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        while b"\0" not in found:
            # Never beyond a page: the next one may not be there.
            found += os.pread(memory.fileno(), 4096 - (address + len(found)) % 4096, address + len(found))
    return found.partition(b"\0")[0]
