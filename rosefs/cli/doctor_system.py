"""What ``rosefs doctor`` looks at of the system: whatever it takes to mount, and what is mounted."""

from __future__ import annotations

import importlib
import os
import shlex
import stat
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rosefs.cli.findings import Finding, error, ok, warning
from rosefs.cli.mounts import rosefs_mounts
from rosefs.fuse.checks import check_allow_other, check_device, check_mountpoint, fusermount
from rosefs.fuse.errors import BindingMissingError, MountError
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.liveness import Liveness, liveness_of
from rosefs.fuse.mount import BINDINGS, choose_binding
from rosefs.settings import Settings

_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
_APPARMOR_PROFILE = Path("/etc/apparmor.d/fusermount3")
_PERMITTED = ("/mnt", "/media", "/tmp", "/run/user")
"""Where, beside home directories, that profile lets users mount."""


def system_findings() -> Iterator[Finding]:
    """Looks at whatever it takes to mount anything."""
    try:
        check_device()
        yield ok("/dev/fuse", "can be opened")
    except MountError as failure:
        yield _error_of("/dev/fuse", failure)
    yield _fusermount()
    yield from _bindings()
    try:
        check_allow_other()
        yield ok("allow_other", "other users can be let in by --allow-other")
    except MountError as failure:
        yield ok("allow_other", f"other users cannot be let in: {failure}")


def mount_findings(settings: Settings | None) -> Iterator[Finding]:
    """Looks at what is mounted, and at where the configuration wants to mount."""
    for mount in rosefs_mounts():
        path = shlex.quote(str(mount.mountpoint))
        match liveness_of(mount.mountpoint):
            case Liveness.DEAD:
                yield error("mount", f"{path} is dead: its process was killed", f"rosefs unmount {path}")
            case Liveness.SILENT:
                remedy = (
                    f"see what its process does: rosefs status {path}; at worst: rosefs unmount --lazy {path}"
                )
                yield error("mount", f"{path} does not answer", remedy)
            case Liveness.FOREIGN:
                yield ok("mount", f"{path} is another user's")
            case Liveness.ALIVE:
                yield ok("mount", f"{path} answers")
    mount_dir = settings.vfs.mount_dir if settings is not None else None
    if settings is not None and mount_dir is not None and mount_at(mount_dir) is None:
        yield _mount_dir(mount_dir, settings.cache.music_source_dir)


def _fusermount() -> Finding:
    program = fusermount()
    if os.geteuid() == 0:
        return ok("fusermount3", f"{program or 'missing'}; root does without")
    if program is None:
        return error("fusermount3", "missing: only root can mount", "install fuse3: apt install fuse3")
    status = os.stat(program)
    if status.st_uid != 0 or not status.st_mode & stat.S_ISUID:
        # It may have its rights by other means, which is rare.
        remedy = f"install fuse3 again, or as root: chmod u+s {program}"
        return warning("fusermount3", f"{program} is not setuid root, so maybe only root can mount", remedy)
    return ok("fusermount3", program)


def _bindings() -> Iterator[Finding]:
    try:
        chosen = choose_binding().name
    except BindingMissingError as failure:
        remedies = " or ".join(binding.remedy for binding in BINDINGS.values())
        yield error("binding", str(failure).replace("\n", "; "), remedies)
        return
    for name in BINDINGS:
        try:
            importlib.import_module(name)
        except ImportError as failure:
            yield ok(name, f"cannot be used ({failure}), and is not needed beside {chosen}")
        else:
            used = "is used unless --fuse says otherwise" if name == chosen else "can be used by --fuse"
            yield ok(name, f"version {metadata.version(name)}, {used}")


def _mount_dir(mount_dir: Path, source: Path) -> Finding:
    try:
        check_mountpoint(mount_dir, source, allow_nonempty=False)
    except MountError as failure:
        found, _, remedy = str(failure).partition("; ")
        return warning(
            "mount_dir", found, remedy or "name another directory in the configuration, or empty it"
        )
    if os.geteuid() != 0 and _is_confined() and not _is_permitted(mount_dir):
        return warning(
            "mount_dir",
            f"{mount_dir}: AppArmor may keep users from mounting here",
            f"mount below your home, {', '.join(_PERMITTED[:-1])}; or see {_APPARMOR_PROFILE}",
        )
    return ok("mount_dir", f"{mount_dir} can be mounted on")


def _is_confined() -> bool:
    try:
        return _APPARMOR.read_text(encoding="ascii").strip() == "Y" and _APPARMOR_PROFILE.exists()
    except OSError:
        return False


def _is_permitted(directory: Path) -> bool:
    permitted = [Path.home(), *map(Path, _PERMITTED)]
    return any(each in directory.parents for each in permitted)


def _error_of(check: str, failure: MountError) -> Finding:
    found, _, remedy = str(failure).removeprefix(f"{check}: ").partition("; ")
    return error(check, found, remedy)
