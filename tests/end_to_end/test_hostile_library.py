"""A library of broken files and of hostile names, tags and links: what is whole is served, what is not is reported,
and nothing is written anywhere but in the source, the cache and the state directory.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from rosecache.config import Config
from tests.support.audio import FORMATS, make_release, make_track
from tests.support.breaking import BROKEN_TOML, HOSTILE_NAMES, HOSTILE_TEXTS, TURNING, steers
from tests.support.commands import PROGRAM
from tests.support.library import exact_snapshot, make_list
from tests.support.mounts import mounted_library

CLIENT = "018b268e-ef68-7180-a01e-19bc3fdf970e"


class Home:
    """A directory with a source, a cache and a state directory, and with ``outside``, which is nobody's to write to."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.source, self.outside = top / "source", top / "outside"
        self.cache, self.state = top / "cache", top / "state"
        self.source.mkdir()
        self.outside.mkdir()
        make_track(self.outside / "precious.opus", title="Precious")
        (self.outside / "precious.toml").write_text("# precious\nnew = true\n")
        self.configuration = top / "config.toml"
        self.configure()
        self.before = exact_snapshot(self.outside)

    def configure(self, **more: object) -> None:
        values = {
            "music_source_dir": str(self.source),
            "cache_dir": str(self.cache),
            "state_dir": str(self.state),
        }
        self.configuration.write_text(tomlkit.dumps(values | more))

    def run(self, *arguments: str, status: int = 0) -> str:
        """Runs a command with a mask that forbids nobody anything."""
        ran = subprocess.run(
            [*PROGRAM, "--config", str(self.configuration), *arguments], umask=0, check=False,
            capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
            env={**os.environ, "XDG_STATE_HOME": str(self.state), "XDG_CACHE_HOME": str(self.cache)},
        )  # fmt: skip
        assert "Traceback" not in ran.stderr, ran.stderr
        assert ran.returncode == status, ran.stderr
        return ran.stdout

    def update(self) -> dict[str, str]:
        """Updates, and returns the reasons by path, of which each path has one."""
        problems = json.loads(self.run("cache", "update", "--json"))["problems"]
        assert len({problem["path"] for problem in problems}) == len(problems)
        return {problem["path"]: problem["reason"] for problem in problems}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    assert exact_snapshot(made.outside) == made.before
    known = {"source", "outside", "cache", "state", "config.toml"}
    assert set(os.listdir(tmp_path)) <= known


def titles(home: Home) -> list[str]:
    return sorted(track["tracktitle"] for track in json.loads(home.run("tracks", "list", "--json")))


def test_whatever_is_broken_is_one_line_and_the_rest_is_served(home: Home) -> None:
    broken = {}
    for format in FORMATS:
        release = make_release(home.source, f"In {format}", tracks=1, format=format, title=format)
        whole = (release / f"01.{format}").read_bytes()
        for name, content in (
            ("empty", b""),
            ("noise", os.urandom(5000)),
            ("cut", whole[:50]),
            ("text", b"text"),
        ):
            path = release / f"{name}.{format}"
            path.write_bytes(content)
            broken[str(path)] = name
    make_track(home.source / "Wrong" / "flac.mp3.flac")
    (home.source / "Wrong" / "flac.mp3.flac").rename(home.source / "Wrong" / "x.mp3")
    broken[str(home.source / "Wrong" / "x.mp3")] = "suffix"  # alone in its directory, which is no release
    assert home.update().keys() == broken.keys()
    assert home.update().keys() == broken.keys()
    assert titles(home) == sorted(FORMATS)
    listed = [line["found"] for line in json.loads(home.run("doctor", "--json")) if line["check"] == "files"]
    told = {f"{path}: {reason}" for path, reason in home.update().items()}
    assert sorted(listed) == sorted(told)


def test_a_broken_datafile_or_list_costs_nothing_but_itself(home: Home) -> None:
    names = [name for name in BROKEN_TOML if name not in ("50 MB", "deep keys")]
    for number, name in enumerate(names):
        release = make_release(home.source, f"{number:02}", tracks=1, title=f"{number:02}")
        identifier = f"018b268e-ef68-7180-a01e-{number:012}"
        (release / f".rose.{identifier}.toml").write_bytes(BROKEN_TOML[name])
        for directory in ("!collages", "!playlists"):
            path = home.source / directory / f"{number:02}.toml"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(BROKEN_TOML[name])
    make_release(home.source, "Whole", tracks=1, title="Whole")
    before = {path: path.read_bytes() for path in home.source.rglob("*.toml")}
    problems = home.update()
    assert problems.keys() == home.update().keys()
    assert "Whole" in titles(home)
    for problem in problems:
        assert Path(problem).read_bytes() == before[Path(problem)]
    unknown = {str(path) for path in before} - problems.keys()
    assert {names[int(Path(path).stem)] for path in unknown if "!" in path} <= {
        "nothing", "not a number", "a huge exponent", "a table of numbers", "ids that are none", "many keys",
        "descriptions of other types", "a time without a day", "deep headers", "a long key", "many entries",
        "much white space", "many quotes", "a line without an end", "a byte order mark", "a huge number in base 16",
    }  # fmt: skip


def make_hostile(source: Path) -> int:
    """Makes a release of each hostile text and of each hostile name, with one track, and returns how many."""
    for number, (text, format) in enumerate(zip(HOSTILE_TEXTS, cycle(FORMATS), strict=False)):
        fields: dict[str, Any] = dict.fromkeys(
            ("title", "album", "artist", "genre", "label", "edition"), text
        )
        make_track(source / f"{number:03}" / f"01.{format}", tracknumber=None, **fields)
    for name in HOSTILE_NAMES:
        directory = os.path.join(os.fsencode(source), name)
        os.mkdir(directory)
        path = make_track(source / "new.opus", title="Named")
        os.rename(path, os.path.join(directory, name[:200] + b".opus"))
    return len(HOSTILE_TEXTS) + len(HOSTILE_NAMES)


def test_hostile_tags_and_names_are_shown_and_renamed_within_the_source(home: Home) -> None:
    made = make_hostile(home.source)
    assert home.update() == {}
    shown = titles(home)
    assert len(shown) == made
    home.configure(rename_source_files=True)
    home.run("cache", "update", "--force")
    assert titles(home) == shown
    for name in os.listdir(os.fsencode(home.source)):
        assert len(name) <= 255
    home.run("cache", "update")


def test_a_mount_serves_and_lists_all_that_is_whole_of_a_hostile_library(
    home: Home, tmp_path_factory: pytest.TempPathFactory, binding: str, need_fuse: None
) -> None:
    made = make_hostile(home.source)
    broken: list[Path] = []
    for number, format in enumerate(FORMATS):
        (release,) = (home.source / f"{number:03}").iterdir()  # its one track, which is whole
        whole = release.read_bytes()
        for content in (b"", os.urandom(5000), whole[:50]):
            broken.append(release.with_name(f"broken {len(broken)}.{format}"))
            broken[-1].write_bytes(content)
    without_id = make_track(
        home.source / "Broken" / "01.opus"
    ).parent  # is not shown until its datafile is mended
    for directory in (without_id, home.source / "!collages", home.source / "!playlists"):
        directory.mkdir(exist_ok=True)
        broken.append(directory / f".rose.{CLIENT}.toml" if directory == without_id else directory / "x.toml")
        broken[-1].write_bytes(BROKEN_TOML["not UTF-8"])
    for name in HOSTILE_NAMES:
        with open(os.path.join(os.fsencode(home.source), name, name[:240] + b".x.txt"), "wb") as more:
            more.write(name)
    assert home.update().keys() == set(map(str, broken))
    c = Config(music_source_dir=home.source, cache_dir=home.cache, max_proc=2)
    with mounted_library(c, tmp_path_factory.mktemp("hostile"), binding) as mount:
        top = os.fsencode(mount.path)
        for where, directories, files in os.walk(top, onerror=_fail):
            for name in (*directories, *files):
                assert len(name) <= 255
                assert not any(steers(character) for character in name.decode() if character not in TURNING)
                os.lstat(os.path.join(where, name))
            for name in files:
                with open(os.path.join(where, name), "rb") as file:
                    file.read()
        assert len(os.listdir(top + b"/Releases")) == made + 1  # !All Tracks
        assert len(os.listdir(top + b"/Releases/!All Tracks")) == made


def _fail(error: OSError) -> None:
    raise error


def test_links_are_not_followed_out_of_a_release_when_it_is_written_to(home: Home) -> None:
    release = make_release(home.source, "R", tracks=1)
    (release / "linked.opus").symlink_to(home.outside / "precious.opus")
    (release / f".rose.{CLIENT}.toml").symlink_to(home.outside / "precious.toml")
    (release / "away").symlink_to(home.outside)
    (release / "cover.png").symlink_to(home.outside / "precious.toml")
    problems = home.update()
    assert "symbolic link" in problems[str(release / "linked.opus")]
    assert "symbolic link" in problems[str(release / f".rose.{CLIENT}.toml")]
    home.run("releases", "toggle-new", CLIENT, status=1)
    home.configure(rename_source_files=True)
    home.update()


def test_cache_and_state_are_private(home: Home) -> None:
    release = make_release(home.source, "R", tracks=1)
    home.update()
    (datafile,) = release.glob(".rose.*.toml")
    home.run("releases", "toggle-new", datafile.name[6:-5])
    home.run("collages", "create", "mine")
    home.run("undo")
    for top in (home.cache, home.state):
        for path in (top, *top.rglob("*")):
            assert path.lstat().st_mode & 0o077 == 0, path


def test_a_list_names_its_members_only(home: Home) -> None:
    make_release(home.source, "R", tracks=1)
    make_list(
        home.source / "!playlists" / "x.toml", "tracks", "../../outside/precious", "\\u0000", "/etc/passwd"
    )
    assert home.update() == {}
    assert "precious" not in home.run("tracks", "list")
