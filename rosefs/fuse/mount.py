"""Mounting, serving and unmounting: chooses a binding, checks the ground, and knows nothing of the tree.

The bindings are imported only when one is chosen, so that commands that mount nothing do not pay for them,
and a machine needs only one of the two.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import shlex
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from rosefs.fuse.checks import check_allow_other, check_device, check_fusermount, check_mountpoint, fusermount
from rosefs.fuse.errors import BindingMissingError, MountError, UnmountError
from rosefs.fuse.guardian import guarding
from rosefs.fuse.kernel import mount_at, mounts_below, raise_max_background, users_of
from rosefs.fuse.library_logs import quiet_about_dropped_requests
from rosefs.fuse.liveness import Liveness, liveness_of
from rosefs.fuse.operations import Operations
from rosefs.fuse.translation import Companion, Serve, Timeouts
from rosefs.mountinfo import SUBTYPE, Mount

__all__ = [
    "AUTO",
    "BINDINGS",
    "Binding",
    "BindingMissingError",
    "MountError",
    "MountOptions",
    "Timeouts",
    "UnmountError",
    "check_mount",
    "choose_binding",
    "clear_dead_mount",
    "serve",
    "unmount",
]

AUTO = "auto"

_MOST_FILES = 1 << 20
"""How many files a process that serves a mount may have open, where the system lets it choose."""

_NEW_OBJECTS = 500_000
"""After how many new objects Python looks for circles of garbage among them; 700 by itself."""


class Binding(msgspec.Struct, frozen=True):
    """A library that speaks to FUSE. Its name is that of its module, its distribution and our extra."""

    name: str
    room: str
    """Our module that translates for it."""
    debian_packages: str
    """What its own installation needs."""
    libfuse: int
    """The version of the C library: 2 has mount options that 3 rejects, and does not need."""
    max_background: int
    """How many read-aheads the kernel may have under way at once. With its own 12, a few readers of a slow disk
    delay everybody else's; with more than the binding can have in work, they delay all other requests."""

    @property
    def remedy(self) -> str:
        python = shlex.quote(sys.executable or "python3")
        packages = f"{self.debian_packages} pkg-config gcc python3-dev"
        return f"{python} -m pip install {self.name} (on Debian, first: apt install {packages})"


BINDINGS: Mapping[str, Binding] = {
    binding.name: binding
    for binding in (
        Binding("pyfuse3", "rosefs.fuse.on_pyfuse3", "fuse3 libfuse3-dev", libfuse=3, max_background=64),
        Binding("llfuse", "rosefs.fuse.on_llfuse", "fuse3 libfuse-dev", libfuse=2, max_background=16),
    )
}
"""Every binding, the preferred one first."""


class MountOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to mount."""

    source: Path
    """The music directory: what ``df`` and /proc/mounts name the mount by."""
    read_only: bool = True
    """Let the kernel refuse whatever changes something; otherwise the tree is asked."""
    allow_other: bool = False
    allow_nonempty: bool = False
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)


def choose_binding(name: str = AUTO) -> Binding:
    """Returns the binding of a name, or for ``auto`` the first that can be imported.

    Raises:
        BindingMissingError: It, or for ``auto`` every one, is missing or broken; the text says what to install.
        MountError: There is no binding of that name.
    """
    if name != AUTO and name not in BINDINGS:
        raise MountError(f"unknown binding {name!r}; expected {AUTO}, {' or '.join(BINDINGS)}")
    wanted = BINDINGS.values() if name == AUTO else (BINDINGS[name],)
    missing = []
    for binding in wanted:
        try:
            importlib.import_module(binding.name)
        except ImportError as error:
            missing.append(f"{binding.name} cannot be used ({error}); to install it: {binding.remedy}")
        else:
            return binding
    raise BindingMissingError("\n".join(missing))


def check_mount(mountpoint: Path, *, binding: str = AUTO, options: MountOptions) -> Binding:
    """Makes sure that a tree can be mounted, as far as that can be told without mounting it.

    For whoever has long work to do first. Takes what :func:`serve` takes, and returns the binding to be used.

    Raises:
        MountError: It cannot be mounted; the text says why and what to do.
    """
    chosen = choose_binding(binding)
    check_mountpoint(mountpoint, options.source, allow_nonempty=options.allow_nonempty)
    check_device()
    check_fusermount()
    if options.allow_other:
        check_allow_other()
    return chosen


def clear_dead_mount(mountpoint: Path) -> bool:
    """Takes away a mount of this user's whose process was killed, so that the place can be mounted on again.

    Leaves alone everything else: what is not rosefs's, what is another user's, and what answers or may still do so.

    Returns:
        Whether there was one.

    Raises:
        UnmountError: It cannot be taken away.
    """
    mount = mount_at(mountpoint)
    if mount is None or not mount.is_rosefs or mount.owner != os.geteuid():
        return False
    if liveness_of(mount.mountpoint) is not Liveness.DEAD:
        return False
    unmount(mount.mountpoint, lazy=True)  # programs may still hold files that nobody serves any more
    return True


def serve(
    filesystem: Operations,
    mountpoint: Path,
    *,
    binding: str = AUTO,
    options: MountOptions,
    on_ready: Callable[[], None],
    companions: Sequence[Companion] = (),
    on_hangup: Callable[[], None] | None = None,
) -> None:
    """Mounts a tree and serves it until it is unmounted, or SIGINT or SIGTERM comes.

    To be called in the main thread. When it returns nothing is mounted any more; closing the tree is left to
    the caller.

    Args:
        filesystem: The tree.
        mountpoint: A directory, empty unless ``options`` allow otherwise.
        binding: ``auto``, ``pyfuse3`` or ``llfuse``.
        options: How to mount.
        on_ready: Called once the mount answers, maybe in another thread; must not touch the mount. What it
            raises ends the mount and is raised here.
        on_hangup: Called on SIGHUP, in a thread of its own; without it, SIGHUP ends the mount too.
        companions: What runs beside the mount from then on, on trio, and is cancelled when the mount ends.

    Raises:
        MountError: It cannot be mounted; the text says why and what to do.
    """
    chosen = check_mount(mountpoint, binding=binding, options=options)
    resolved = Path(os.path.realpath(mountpoint))

    failures: list[BaseException] = []
    beside = ExitStack()

    def ready() -> None:
        if (mount := mount_at(resolved)) is not None:
            beside.enter_context(guarding(mount))
        if chosen.libfuse >= 3:
            raise_max_background(resolved, chosen.max_background)
        try:
            on_ready()
        except BaseException as error:  # noqa: BLE001 - no binding carries it to our caller, so we do
            failures.append(error)
            _end()

    _allow_many_open_files()
    _collect_less()
    start: Serve = importlib.import_module(chosen.room).serve
    with beside, quiet_about_dropped_requests(), _calling_on_hangup(on_hangup or _end):
        start(filesystem, resolved, _kernel_options(chosen, options), options.timeouts, ready, companions)
    if failures:
        raise failures[0]


@contextmanager
def _calling_on_hangup(function: Callable[[], None]) -> Iterator[None]:
    # In a thread, since a handler interrupts whatever the main thread does, and must take no lock.
    before = signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=function, name="SIGHUP").start())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def unmount(mountpoint: Path, *, lazy: bool = False) -> None:
    """Unmounts a rosefs mount, which ends the process that serves it; also a dead one.

    Args:
        mountpoint: Where it is mounted.
        lazy: Take it out of sight at once, and end it when the last program has let go of it.

    Raises:
        UnmountError: Nothing, or something else, is mounted there, or the mount is in use; the text names
            the processes that use it, and ``status`` is that of the program that failed.
    """
    mount = mount_at(mountpoint)
    if mount is None:
        raise UnmountError(f"{mountpoint}: nothing is mounted here")
    if not mount.is_rosefs:
        raise UnmountError(f"{mountpoint}: is no mount of rosefs but {mount.kind} of {mount.source}")
    command = _unmount_command(mount.mountpoint, lazy=lazy)
    ran = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if ran.returncode != 0:
        said = (ran.stderr + ran.stdout).decode(errors="replace").strip()
        raise UnmountError(said + (_why_busy(mount) if "busy" in said else ""), status=ran.returncode)


def _collect_less() -> None:
    """Has Python look for circles of garbage less often.

    A listing is made of hundreds of thousands of small objects that are in none. To look through them after each 700
    took longer than to make them, and after each 50,000 half as long. Answering requests leaves no circles. What the
    process starts with is not looked through at all.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def _allow_many_open_files() -> None:
    """Lets this process have as many files open as it may: the usual 1,024 are all that is open on a mount at once.

    When they are used up, nothing can be opened or listed any more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _kernel_options(binding: Binding, options: MountOptions) -> frozenset[str]:
    chosen = {f"fsname={_fsname(options.source)}", f"subtype={SUBTYPE}", "default_permissions"}
    chosen.add("ro" if options.read_only else "rw")
    if options.allow_other:
        chosen.add("allow_other")
    if binding.libfuse < 3:
        chosen.add(f"max_background={binding.max_background}")
        if options.allow_nonempty:
            chosen.add("nonempty")
    return frozenset(chosen)


def _fsname(source: Path) -> str:
    """Writes a path so that it passes through mount options: without commas, and in ASCII for pyfuse3."""
    return urllib.parse.quote(os.fsencode(source), safe="/ !#$&'()*+-.:;=?@[]^_{}~")


def _why_busy(mount: Mount) -> str:
    """Says what keeps a mount busy, and what to do about it."""
    users = users_of(mount.mountpoint)
    users += [f"the mount {inner.mountpoint}" for inner in mounts_below(mount.mountpoint)]
    if users:
        said = f"\nin use by {', '.join(users)}"
    else:
        said = "\nin use by a process that you may not see; root is told which"
    quoted = shlex.quote(str(mount.mountpoint))
    return f"{said}\nend that first, or take it out of sight at once: rosefs unmount --lazy {quoted}"


def _unmount_command(mountpoint: Path, *, lazy: bool) -> list[str]:
    if os.geteuid() == 0:
        # Without canonicalising, which would ask a dead mount for its attributes.
        return ["umount", "--no-canonicalize", *(["--lazy"] if lazy else []), str(mountpoint)]
    program = fusermount()
    if program is None:
        raise UnmountError("fusermount3 is missing; on Debian, install fuse3")
    return [program, "-u", *(["-z"] if lazy else []), "--", str(mountpoint)]
