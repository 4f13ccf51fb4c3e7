"""Programs that walk whole trees end with status 0 and have nothing to complain of."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.conftest import RELEASES, TRACKS, Big, is_audio, output_of
from tests.support.audio import FORMATS
from tests.support.mounts import Mounted


@pytest.fixture(params=["big", "small"])
def mount(request: pytest.FixtureRequest, binding: str) -> Mounted:
    """The large library in few views, and a small one in all."""
    mount: Mounted = request.getfixturevalue(f"{request.param}_mount")
    return mount


def found(mount: Mounted) -> list[str]:
    """Returns the path of everything below a mount, as ``find`` sees it. No name has a line break."""
    return output_of("find", mount.path, "-mindepth", "1", "-printf", r"%P\0").split("\0")[:-1]


def test_find_meets_every_track(big: Big, big_mount: Mounted) -> None:
    paths = [Path(path) for path in found(big_mount)]
    assert len(set(paths)) == len(paths)
    views = Counter(path.parts[0] for path in paths if is_audio(path) and "!All Tracks" not in path.parts)
    assert views["Releases"] + views["Loose Tracks"] == RELEASES * TRACKS
    assert views["Loose Tracks"] > 0
    formats = Counter(path.suffix[1:] for path in paths if path.parts[0] == "Releases" and is_audio(path))
    assert set(formats) == set(FORMATS)


def test_find_meets_the_same_again(mount: Mounted) -> None:
    assert found(mount) == found(mount)


def test_ls_shows_everything_with_its_attributes(mount: Mounted) -> None:
    shown = output_of("ls", "-lRA", "--quoting-style=literal", "--time-style=full-iso", mount.path)
    lines = [line for line in shown.splitlines() if line[:1] in ("d", "-")]
    assert len(lines) == len(found(mount))
    assert {line.split()[0] for line in lines} == {"drwxr-xr-x", "-rw-r--r--", "-r--r--r--"}
    generated = [line for line in lines if line.startswith("-r--r--r--")]
    assert generated == [line for line in lines if line.endswith(".m3u8")]


def test_rsync_would_copy_everything(mount: Mounted, tmp_path: Path) -> None:
    shown = output_of(
        "rsync", "-n", "-a", "--8-bit-output", "--out-format=%n", f"{mount.path}/", tmp_path / "copy"
    )
    names = [
        line.rstrip("/")
        for line in shown.splitlines()
        if line not in ("./", "") and "created dir" not in line
    ]
    assert sorted(names) == sorted(found(mount))


def test_rsync_of_a_copy_finds_nothing_to_do(small_mount: Mounted, tmp_path: Path) -> None:
    command = ("rsync", "-a", "--out-format=%n", f"{small_mount.path}/Artists/", tmp_path / "copy")
    assert output_of(*command)
    assert output_of(*command) == ""


def test_tar_meets_everything(mount: Mounted) -> None:
    # With this archive it reads no content.
    packed = output_of("tar", "c", "-v", "-f", "/dev/null", "--quoting-style=literal", "-C", mount.path, ".")
    names = [line.removeprefix("./").rstrip("/") for line in packed.splitlines() if line != "./"]
    assert sorted(names) == sorted(found(mount))


@pytest.mark.parametrize("view", ["Loose Tracks", "Collages", "Playlists"])
def test_tar_packs_whole_files(mount: Mounted, view: str) -> None:
    command = ["tar", "c", "-C", str(mount.path), view]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        assert tar.stderr is not None
        with tarfile.open(fileobj=tar.stdout, mode="r|") as packed:
            members = {member.name: member.size for member in packed}
        assert (tar.stderr.read(), tar.wait(60)) == (b"", 0)
    top = mount.path / view
    assert members == {view: 0} | {str(p.relative_to(mount.path)): p.lstat().st_size for p in top.rglob("*")}


def test_a_copy_of_a_release_is_that_release(small_mount: Mounted, tmp_path: Path) -> None:
    release = next(path for path in (small_mount.path / "Releases").iterdir() if path.name != "!All Tracks")
    assert output_of("cp", "-a", release, tmp_path / "copy") == ""
    assert output_of("diff", "-r", release, tmp_path / "copy") == ""
    shutil.copytree(release, tmp_path / "second")
    assert output_of("diff", "-r", release, tmp_path / "second") == ""


def test_file_managers_and_shells_learn_what_things_are(small_mount: Mounted) -> None:
    track = next((small_mount.path / "Releases").glob("*/*.flac"))
    assert output_of("stat", "--format=%F %a %h", track).strip() == "regular file 644 1"
    assert output_of("stat", "--format=%F %a", track.parent).strip() == "directory 755"
    assert "FLAC audio" in output_of("file", "--brief", track)
    listed = output_of("gio", "list", track.parent.as_uri()).splitlines()
    assert track.name in listed
    assert "standard::content-type: audio/flac" in output_of("gio", "info", track.as_uri())
    assert str(small_mount.path) in output_of("df", "--output=target", track)
    assert "user.rosefs.id" in output_of("getfattr", "--dump", "--absolute-names", track)
