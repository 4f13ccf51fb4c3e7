"""Mounting, stopping and unmounting: what ends cleanly, what is refused, and what a dead mount looks like."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rosefs.fuse import checks, kernel
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.library_logs import quiet_about_dropped_requests
from rosefs.fuse.mount import (
    BINDINGS,
    BindingMissingError,
    MountError,
    MountOptions,
    UnmountError,
    choose_binding,
    clear_dead_mount,
    serve,
    unmount,
)
from tests.support.memory_tree import Content, LateTree, MemoryTree
from tests.support.mounts import HARD_LIMIT, REPOSITORY, Mounted, mounted, start_serving

CONTENT: dict[str, Content] = {"song": b"la", "sub": {"file": b"x"}}
TREE = partial(MemoryTree, CONTENT)
need_fuse = pytest.mark.usefixtures("need_fuse")


@pytest.fixture
def mount(tmp_path: Path, binding: str, need_fuse: None) -> Iterator[Mounted]:
    with mounted(TREE, tmp_path, binding) as mount:
        yield mount


def run_serving(mountpoint: Path, binding: str, program: str) -> subprocess.CompletedProcess[str]:
    """Serves an empty tree until it ends by itself, after running some lines of Python."""
    mountpoint.mkdir()
    serving = (
        "from pathlib import Path\n"
        "from rosefs.fuse.mount import MountOptions, serve\n"
        "from tests.support.memory_tree import MemoryTree\n"
        "on_ready = lambda: None\n"
        f"{program}"
        f"serve(MemoryTree({{}}), Path({str(mountpoint)!r}), binding={binding!r},\n"
        "      options=MountOptions(source=Path('/nowhere')), on_ready=lambda: on_ready())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", serving],
        capture_output=True, text=True, timeout=HARD_LIMIT, check=False, cwd=REPOSITORY,
    )  # fmt: skip


# A mount's life -------------------------------------------------------------------------------------------


def test_a_mount_is_known_by_its_type_and_its_source(mount: Mounted, tmp_path: Path) -> None:
    found = mount_at(mount.path)
    assert found is not None
    assert (found.kind, found.source) == ("fuse.rosefs", str(tmp_path / "source"))
    assert os.statvfs(mount.path).f_flag & os.ST_RDONLY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_unmounts_and_ends_the_process_well(mount: Mounted, number: signal.Signals) -> None:
    mount.process.send_signal(number)
    assert mount.process.wait(HARD_LIMIT) == 0
    assert mount_at(mount.path) is None


def test_a_signal_ends_the_process_while_the_mount_is_in_use(mount: Mounted) -> None:
    fd = os.open(mount.path / "song", os.O_RDONLY)
    try:
        mount.process.send_signal(signal.SIGTERM)
        assert mount.process.wait(HARD_LIMIT) == 0
        assert mount_at(mount.path) is None
    finally:
        with pytest.raises(OSError, match="not connected"):
            os.close(fd)


def test_sighup_can_mean_something_else_and_sigusr1_tells_what_every_thread_does(
    tmp_path: Path, binding: str, need_fuse: None
) -> None:
    program = (
        "import atexit, faulthandler, os, signal\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGUSR1)\n"
        "faulthandler.register(signal.SIGUSR1)\n"
        "serve = __import__('functools').partial(serve, on_hangup=lambda: print('hung up') or again())\n"
        "def again():\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "on_ready = lambda: os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    ran = run_serving(tmp_path / "mnt", binding, program)
    assert (ran.returncode, ran.stdout) == (0, "hung up\n")
    assert "in serve" in ran.stderr
    assert len(re.findall(r"^(Current t|T)hread 0x", ran.stderr, re.MULTILINE)) >= 2
    assert mount_at(tmp_path / "mnt") is None


def test_a_signal_between_mounting_and_serving_leaves_nothing_behind(
    tmp_path: Path, binding: str, need_fuse: None
) -> None:
    program = (
        f"import os, signal, {binding} as library\n"
        "real = library.init\n"
        "def init(*args):\n"
        "    real(*args)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "library.init = init\n"
    )
    ran = run_serving(tmp_path / "mnt", binding, program)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert mount_at(tmp_path / "mnt") is None


def test_unmount_ends_the_process_well(mount: Mounted) -> None:
    unmount(mount.path)
    assert mount_at(mount.path) is None
    assert mount.process.wait(HARD_LIMIT) == 0


def test_unmount_by_another_program_ends_the_process_well(mount: Mounted) -> None:
    subprocess.run(["fusermount3", "-u", str(mount.path)], check=True)
    assert mount.process.wait(HARD_LIMIT) == 0


def test_unmount_as_an_ordinary_user_does_it(mount: Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (mount.path / "song").open("rb"), pytest.raises(UnmountError, match=r"fusermount3?: .*busy"):
        unmount(mount.path)
    unmount(mount.path)
    assert mount_at(mount.path) is None
    assert mount.process.wait(HARD_LIMIT) == 0


def test_unmount_finds_the_mount_by_a_link_and_by_a_relative_path(
    mount: Mounted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(mount.path)
    monkeypatch.chdir(tmp_path)
    unmount(Path("link"))
    assert mount_at(mount.path) is None


def test_a_mount_in_use_stays_and_the_error_names_who_uses_it(mount: Mounted) -> None:
    with (mount.path / "song").open("rb") as file:
        with pytest.raises(UnmountError, match=rf"busy[^\0]*in use by [^\0]*\({os.getpid()}\)") as caught:
            unmount(mount.path)
        assert caught.value.status != 0
        assert file.read() == b"la"
        assert os.listdir(mount.path) == ["song", "sub"]


STANDS_IN_IT = "os.chdir(path.parent)"
HAS_A_CLOSED_FILE_MAPPED = """
descriptor = os.open(path, os.O_RDONLY)
system = ctypes.CDLL(None)
system.mmap.restype = ctypes.c_void_p
system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
assert system.mmap(None, 2, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, 0) != ctypes.c_void_p(-1).value
os.close(descriptor)
"""


@pytest.mark.parametrize("use", [STANDS_IN_IT, HAS_A_CLOSED_FILE_MAPPED], ids=["directory", "mapping"])
def test_whatever_keeps_a_mount_busy_is_named(mount: Mounted, use: str) -> None:
    program = (
        f"import ctypes, mmap, os, pathlib, sys\npath = pathlib.Path(sys.argv[1])\n{use}\nprint()\ninput()"
    )
    command = [sys.executable, "-c", program, str(mount.path / "song")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdin is not None
        assert user.stdout is not None
        user.stdout.readline()
        with pytest.raises(UnmountError, match=rf"in use by \S+ \({user.pid}\)\n.*rosefs unmount --lazy"):
            unmount(mount.path)
        user.stdin.write(b"\n")
        user.stdin.close()
    unmount(mount.path)


def test_a_lazy_unmount_lets_who_uses_it_finish(mount: Mounted) -> None:
    with (mount.path / "song").open("rb") as file:
        unmount(mount.path, lazy=True)
        assert mount_at(mount.path) is None
        assert os.listdir(mount.path) == []
        assert file.read() == b"la"
        assert mount.process.poll() is None
    assert mount.process.wait(HARD_LIMIT) == 0


def test_a_killed_process_leaves_a_mount_that_looks_dead_and_can_be_unmounted(
    mount: Mounted, tmp_path: Path
) -> None:
    os.stat(mount.path)  # what the kernel remembers must not make it look alive
    mount.process.kill()
    mount.process.wait(HARD_LIMIT)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        os.listdir(mount.path)
    assert caught.value.errno == errno.ENOTCONN
    with pytest.raises(MountError, match=r"dead mount.*run: rosefs unmount"):
        serve_here(mount.path, tmp_path / "source")
    unmount(mount.path)
    assert mount_at(mount.path) is None
    assert os.listdir(mount.path) == []


def test_only_ones_own_dead_mounts_are_cleared(
    mount: Mounted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not clear_dead_mount(tmp_path)
    assert not clear_dead_mount(Path("/proc"))
    assert not clear_dead_mount(mount.path)
    descriptor = os.open(mount.path / "sub", os.O_RDONLY)
    mount.process.kill()
    mount.process.wait(HARD_LIMIT)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        assert not clear_dead_mount(mount.path)
    assert mount_at(mount.path) is not None
    assert clear_dead_mount(mount.path)
    assert mount_at(mount.path) is None
    assert not clear_dead_mount(mount.path)
    os.close(descriptor)


def test_the_same_place_can_be_mounted_again(tmp_path: Path, binding: str, need_fuse: None) -> None:
    for _ in range(2):
        with mounted(TREE, tmp_path, binding) as mount:
            assert (mount.path / "song").read_bytes() == b"la"


@pytest.mark.parametrize("name", ["with, comma", "back\\slash", "\u00fcml\u00e4ut \U0001f3b5", "new\nline"])
def test_any_name_of_a_source_directory_can_be_mounted(
    tmp_path: Path, binding: str, need_fuse: None, name: str
) -> None:
    (tmp_path / name).mkdir()
    with mounted(TREE, tmp_path / name, binding) as mount:
        assert (mount.path / "song").read_bytes() == b"la"
        found = mount_at(mount.path)
        assert found is not None
        assert found.is_rosefs


def test_after_a_stop_signals_do_what_they_did_before(tmp_path: Path, binding: str, need_fuse: None) -> None:
    program = (
        "import atexit, os, signal\n"
        "def state():\n"
        "    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)]\n"
        "    return signal.pthread_sigmask(signal.SIG_BLOCK, []), handlers, signal.sigpending()\n"
        "before = state()\n"
        "atexit.register(lambda: print(state() == before))\n"
        "on_ready = lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(3)]\n"
    )
    ran = run_serving(tmp_path / "mnt", binding, program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True\n", "")


def test_programs_may_have_many_files_open(tmp_path: Path, binding: str, need_fuse: None) -> None:
    program = (
        "import os, resource, signal\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4000))\n"
        "def on_ready():\n"
        "    print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    ran = run_serving(tmp_path / "mnt", binding, program)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "(4000, 4000)\n", "")


def test_what_on_ready_raises_ends_the_mount(tmp_path: Path, binding: str, need_fuse: None) -> None:
    ran = run_serving(tmp_path / "mnt", binding, "def on_ready():\n    1 / 0\n")
    assert ran.returncode == 1
    assert ran.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert mount_at(tmp_path / "mnt") is None


def test_an_answer_that_comes_after_the_unmount_is_no_error(
    tmp_path: Path, binding: str, need_fuse: None
) -> None:
    tree = partial(LateTree, CONTENT, awaited=tmp_path / "unmounted")
    with mounted(tree, tmp_path, binding, log_level=logging.DEBUG) as mount:
        (mount.path / "song").read_bytes()  # the file is closed without anybody waiting for it
        unmount(mount.path)
        (tmp_path / "unmounted").touch()
        assert mount.process.wait(HARD_LIMIT) == 0
    assert re.search(
        rf"^DEBUG {binding}: fuse_release\(\): fuse_reply_\* failed with No such",
        mount.log(),
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    ("message", "argument"),
    [
        ("fuse_read(): fuse_reply_* failed with %s", "Invalid argument"),
        ("Failed to submit invalidate_entry request: %s", "No such file or directory"),
    ],
)
def test_other_errors_of_the_libraries_stay_errors(
    binding: str, message: str, argument: str, caplog: pytest.LogCaptureFixture
) -> None:
    with quiet_about_dropped_requests():
        logging.getLogger(binding).error(message, argument)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_the_kernel_is_told_how_many_read_aheads_to_have_under_way(
    mount: Mounted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = mount_at(mount.path)
    assert found is not None
    assert found.minor == os.minor(mount.path.stat().st_dev)
    setting = tmp_path / str(found.minor) / "max_background"
    monkeypatch.setattr(kernel, "_CONNECTIONS", tmp_path)
    kernel.raise_max_background(mount.path, 64)  # where /sys has no such thing
    setting.parent.mkdir()
    kernel.raise_max_background(mount.path, 64)
    assert setting.read_text() == "64"
    assert caplog.records == []


# What is refused ------------------------------------------------------------------------------------------


def serve_here(mountpoint: Path, source: Path) -> None:
    """Tries to mount something that must be refused; the process that would serve it is this one."""
    serve(
        TREE(), mountpoint, options=MountOptions(source=source), on_ready=lambda: pytest.fail("was mounted")
    )


@pytest.mark.parametrize(
    ("mountpoint", "source", "message"),
    [
        ("missing", "music", "there is no such directory; make it first"),
        ("file", "music", "is not a directory"),
        ("full", "music", "is not empty"),
        ("music", "music", "is the music directory itself"),
        ("music/inside", "music", "is inside the music directory"),
        ("link", "music", "is inside the music directory"),
        ("above", "above/music", "holds the music directory"),
    ],
)
def test_a_place_that_cannot_be_mounted_on(
    tmp_path: Path, mountpoint: str, source: str, message: str
) -> None:
    for directory in ("music/inside", "full/x", "above/music"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "music/inside")
    with pytest.raises(MountError, match=message):
        serve_here(tmp_path / mountpoint, tmp_path / source)


@need_fuse
def test_a_mount_is_not_mounted_over(mount: Mounted, tmp_path: Path) -> None:
    with pytest.raises(MountError, match=r"something is mounted here already: fuse\.rosefs of .*/source"):
        serve_here(mount.path, tmp_path / "source")


def test_a_nonempty_directory_can_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "mnt/x").mkdir(parents=True)
    checks.check_mountpoint(tmp_path / "mnt", tmp_path / "music", allow_nonempty=True)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("missing", "No such file or directory; load the kernel module"),
        ("directory", "Is a directory; this user"),
    ],
)
def test_a_device_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, message: str
) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "mnt").mkdir()
    monkeypatch.setattr(checks, "_DEVICE", tmp_path / device)
    with pytest.raises(MountError, match=message):
        serve_here(tmp_path / "mnt", tmp_path / "music")


@need_fuse
def test_a_mount_that_the_kernel_refuses_is_explained(tmp_path: Path, binding: str) -> None:
    """A process that may not become more than it is cannot mount, as in a sandbox of systemd."""
    (tmp_path / "mnt").mkdir()
    limits = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"] if os.geteuid() == 0 else []
    process = start_serving(
        TREE, tmp_path / "mnt", binding, options=MountOptions(source=Path("/nowhere")), log_path=tmp_path / "log",
        prefix=["setpriv", "--no-new-privs", *limits],
    )  # fmt: skip
    assert process.wait(HARD_LIMIT) == 2
    assert process.stdout is not None
    process.stdout.close()
    assert re.fullmatch(
        r".*/mnt: the mount was refused: fusermount3?: mount failed: .*\n", (tmp_path / "log").read_text()
    )


def test_where_users_may_mount_is_explained_when_that_may_be_the_reason(tmp_path: Path) -> None:
    @checks.explaining_refusal(tmp_path / "mnt")
    def mount() -> None:
        os.write(2, b"fusermount3: mount failed: Permission denied\n")
        raise RuntimeError("fuse_session_mount failed")

    with pytest.raises(MountError, match=r"mnt: the mount was refused: fusermount3: .*\(AppArmor"):
        mount()


def test_what_is_said_without_a_refusal_is_passed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with checks.explaining_refusal(tmp_path):
        os.write(2, b"fusermount3: a warning\n")
    assert capsys.readouterr().err == "fusermount3: a warning\n"


@pytest.mark.parametrize(("uid", "conf", "refused"), [
    (0, "", False),
    (1000, "", True),
    (1000, "#user_allow_other\n", True),
    (1000, "mount_max = 5\nuser_allow_other\n", False),
])  # fmt: skip
def test_allow_other_needs_the_administrators_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, conf: str, refused: bool
) -> None:
    (tmp_path / "fuse.conf").write_text(conf)
    monkeypatch.setattr(checks, "_FUSE_CONF", tmp_path / "fuse.conf")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    if refused:
        with pytest.raises(MountError, match="user_allow_other"):
            checks.check_allow_other()
    else:
        checks.check_allow_other()


def test_only_rosefs_mounts_are_unmounted(tmp_path: Path) -> None:
    with pytest.raises(UnmountError, match="nothing is mounted here"):
        unmount(tmp_path)
    with pytest.raises(UnmountError, match="is no mount of rosefs but proc"):
        unmount(Path("/proc"))


# Bindings -------------------------------------------------------------------------------------------------


def test_pyfuse3_is_preferred_and_llfuse_is_taken_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llfuse", sys)
    monkeypatch.setitem(sys.modules, "pyfuse3", sys)
    assert choose_binding().name == "pyfuse3"
    monkeypatch.setitem(sys.modules, "pyfuse3", None)  # what makes an import fail
    assert choose_binding().name == "llfuse"


@pytest.mark.parametrize("name", BINDINGS)
def test_a_missing_binding_names_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for binding in BINDINGS:
        monkeypatch.setitem(sys.modules, binding, None)
    for asked in (name, "auto"):
        with pytest.raises(BindingMissingError) as caught:
            choose_binding(asked)
        assert f"{sys.executable} -m pip install {name} " in str(caught.value)
        assert BINDINGS[name].debian_packages in str(caught.value)


def test_an_unknown_binding_is_an_error() -> None:
    with pytest.raises(MountError, match="expected auto, pyfuse3 or llfuse"):
        choose_binding("fuse")


def test_bindings_are_not_imported_before_they_are_needed() -> None:
    program = "import sys, rosefs.fuse.mount; print({'pyfuse3', 'llfuse', 'trio'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
