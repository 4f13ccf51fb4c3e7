"""A library that does its best to have rosefs write elsewhere, what people do with it, and what that changes where.

What is changed is what the kernel is asked for: every system call that makes or changes a file or a name, with its path
after all links (see ``stepping``). Beside the library is ``outside``, which everything hostile points to.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import msgspec
import tomlkit
from mutagen import MutagenError

from rosecache.tags import journal, read_tags
from rosecache.tags.plans import IdWrite
from rosecache.tags.safe_write import write_ids
from rosefs.settings import Settings
from tests.support.audio import FORMATS, PICTURE, make_release, make_track, set_tags
from tests.support.breaking import BROKEN_TOML, HOSTILE_NAMES, HOSTILE_TEXTS
from tests.support.commands import PROGRAM
from tests.support.library import exact_snapshot, make_list
from tests.support.stepping import Call, all_steps_of
from tests.support.waiting import wait_until

RELEASE, TRACK = "018b268e-ef68-7180-a01e-19bc3fdf970e", "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8"
"""The release that is full of links, and one of its tracks."""
OTHER_RELEASE, OTHER_TRACK = "018b268e-ef68-7180-a01e-19bc3fdf970f", "018b6514-6fb7-7cc6-9d23-8eaf0b1beee9"
"""A release beside which nothing is planted, and one of its tracks; only its tags lead out."""
PRECIOUS = "precious"
_SECONDS = 60.0
_NO_FILES = ("/dev/", "/proc/", "/sys/fs/fuse/", "pipe:", "socket:", "anon_inode:", "/memfd:")
"""What the descriptors of a process lead to, beside files, and what the kernel has in place of files."""


@dataclass(frozen=True)
class Place:
    """A directory with everything that belongs to a library, and one that belongs to nobody."""

    top: Path

    @property
    def source(self) -> Path:
        return self.top / "source"

    @property
    def outside(self) -> Path:
        return self.top / "outside"

    @property
    def incoming(self) -> Path:
        return self.top / "incoming"

    @property
    def mountpoint(self) -> Path:
        return self.top / "mnt"

    @property
    def configuration(self) -> Path:
        return self.top / "config.toml"

    @property
    def allowed(self) -> tuple[Path, ...]:
        """Where something may be changed: source, cache, state, trash; and what is mounted."""
        return (
            self.source, self.top / "cache", self.top / "state", self.top / "data" / "Trash", self.mountpoint,
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        places = {
            "HOME": "home",
            "TMPDIR": "tmp",
            "XDG_CONFIG_HOME": "configuration",
            "XDG_CACHE_HOME": "cache",
        }
        places |= {"XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data", "XDG_RUNTIME_DIR": "run"}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            **{name: str(self.top / directory) for name, directory in places.items()},
            # What Python itself writes, beside the modules that it reads, is not the program's.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def configure(self, **more: object) -> None:
        """Writes the configuration. Raises ConfigError if the program would refuse it."""
        values: dict[str, object] = {
            "music_source_dir": str(self.source), "cache_dir": str(self.top / "cache" / "rosefs"),
            "state_dir": str(self.top / "state" / "rosefs"), "max_proc": 2,
        }  # fmt: skip
        self.configuration.write_text(tomlkit.dumps(values | more))
        Settings.load(self.configuration)

    def command(self, *arguments: str) -> list[str]:
        return [*PROGRAM, "--config", str(self.configuration), *arguments]

    def run(self, *arguments: str) -> int:
        """Runs a command to its end and returns its status: 0, or 1 if it was refused."""
        # A list is turned around; a release is called otherwise.
        editor = "sed -i 's|Title|../../outside/x|'" if arguments[0] == "releases" else "sed -i '1!G;h;$!d'"
        ran = subprocess.run(
            self.command(*arguments), env={**self.environment, "EDITOR": editor}, stdin=subprocess.DEVNULL,
            capture_output=True, umask=0,
            text=True, errors="replace", timeout=300, check=False,
        )  # fmt: skip
        assert "Traceback" not in ran.stderr, ran.stderr
        assert ran.returncode in (0, 1), ran.stderr
        return ran.returncode


def make_place(top: Path, chance: random.Random, *, releases: int = 12) -> Place:
    """Makes a library that is hostile in every way that a file can be."""
    place = Place(top)
    for name in ("source", "outside", "incoming", "mnt", "home", "tmp", "run", "cache", "state", "data"):
        (top / name).mkdir(parents=True)
    make_track(place.outside / f"{PRECIOUS}.opus", title="Precious")
    for name in (f"{PRECIOUS}.toml", f"{PRECIOUS}.png"):
        (place.outside / name).write_bytes(PICTURE if name.endswith("png") else b"# precious\nnew = true\n")
    (place.outside / "directory").mkdir()
    place.configure()
    texts = [*HOSTILE_TEXTS, *_ways_out(place)]
    for number in range(releases):
        directory = os.fsencode(place.source) + b"/" + chance.choice((b"%d" % number, *HOSTILE_NAMES))
        for track in range(2):
            path = make_track(
                place.source / f"new.{chance.choice(FORMATS)}", tracknumber=str(track), **_tags(chance, texts)
            )
            os.makedirs(directory, exist_ok=True)
            os.rename(path, directory + b"/%d" % track + os.fsencode(path.suffix))
    make_release(
        place.source,
        "Whole",
        cover=True,
        picture=PICTURE,
        title="Title",
        **_tags(chance, _ways_out(place), but="title"),
    )
    other = make_release(place.source, "Other", **{**_tags(chance, _ways_out(place)), "title": "Title"})
    (other / f".rose.{OTHER_RELEASE}.toml").write_text("new = true\n")
    for path, identifier in ((other / "01.opus", OTHER_TRACK), (place.source / "Whole" / "01.opus", TRACK)):
        assert write_ids(path.parent, [IdWrite(path, identifier, OTHER_RELEASE)]) == []
    for name in ("album", "album 2"):
        make_release(place.incoming, name, format="flac", **_tags(chance, _ways_out(place)))
        (place.incoming / name / "link.opus").symlink_to(place.outside / f"{PRECIOUS}.opus")
    _make_lists(place, chance)
    _plant(place, place.source / "Whole")
    return place


def _ways_out(place: Place) -> list[str]:
    """Returns texts that are paths to what is outside."""
    out = str(place.outside)
    return [
        "../../outside/x",
        f"{out}/x",
        f"/{out}/x",
        "../outside",
        "..",
        "x/../../../outside/x",
        f"a\0/{out}/x",
        "x\n../../outside",
    ]


def _tags(chance: random.Random, texts: list[str], *, but: str = "") -> dict[str, Any]:
    names = {"title", "album", "artist", "genre", "label", "edition"} - {but}
    return {name: chance.choice(texts) for name in sorted(names)}


def _make_lists(place: Place, chance: random.Random) -> None:
    for directory, key in (("!collages", "releases"), ("!playlists", "tracks")):
        make_list(
            place.source / directory / "plain.toml", key, RELEASE, "../../outside/x", str(place.outside)
        )
        (place.source / directory / "broken.toml").write_bytes(
            BROKEN_TOML[chance.choice(sorted(BROKEN_TOML)[:20])]
        )
        (place.source / directory / "linked.toml").symlink_to(place.outside / f"{PRECIOUS}.toml")
    (place.source / "!playlists" / "plain.png").symlink_to(place.outside / f"{PRECIOUS}.png")


def _plant(place: Place, release: Path) -> None:
    """Puts links to what is outside wherever something is written, and a journal that names what is outside."""
    precious = place.outside / f"{PRECIOUS}.opus"
    (release / "linked.opus").symlink_to(precious)
    (release / "cover.jpg").symlink_to(place.outside / f"{PRECIOUS}.png")
    (release / "Disc 1").symlink_to(place.outside / "directory")
    (release / f".rose.{RELEASE}.toml").symlink_to(place.outside / f"{PRECIOUS}.toml")
    for name in ("toml.x.toml", "tags.x.opus", "spool.x.opus", "journal.x", "hold.x"):
        (release / f".in-progress.rosefs.{name}").symlink_to(precious)
        (place.source / f".in-progress.rosefs.{name}").symlink_to(place.outside / "directory")
    (place.source / "!collages" / ".in-progress.rosefs.toml.x.toml").symlink_to(precious)
    (place.source / ".in-progress.rosefs.import.x").symlink_to(place.outside)
    (place.source / "Linked release").symlink_to(place.outside)
    data = precious.read_bytes()
    spans = (journal.Span(0, b"X" + data[1:8], b"Y" * 8),)
    entries = [
        journal.Entry(os.fsencode(name), len(data), 0, 0, spans)
        for name in (f"../../outside/{PRECIOUS}.opus", precious, "linked.opus", "Disc 1/x")
    ]
    body = msgspec.msgpack.encode(entries)
    whole = journal._MAGIC + journal._checksum(body) + body
    (release / ".in-progress.rosefs.journal.planted").write_bytes(whole)


# What is looked at ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What was changed where it may not be, how many changes there were in all, and how many in the source."""

    outside: list[Call]
    count: int
    in_source: int


def look_at(place: Place, act: Callable[[], object], *allowed: Path) -> Seen:
    """Does something in another process, and looks at everything that it changes.

    Args:
        place: Where it may change something.
        act: What to do.
        allowed: Where else it may.
    """
    everywhere = (*place.allowed, *allowed)
    calls = all_steps_of(act, mountpoint=place.mountpoint)
    return Seen(
        [call for call in calls if not all(_is_in(everywhere, path) for path in _changed(call))],
        len(calls),
        sum(any(Path(path).is_relative_to(place.source) for path in _changed(call)) for call in calls),
    )


def _changed(call: Call) -> tuple[str, ...]:
    return call.paths[1:] if call.name == "link" else call.paths


def _is_in(allowed: Iterable[Path], path: str) -> bool:
    return path.startswith(_NO_FILES) or any(Path(path).is_relative_to(each) for each in allowed)


def damage(place: Place, before: Mapping[str, object]) -> list[str]:
    """Returns what is not as before outside."""
    now: Mapping[str, object] = exact_snapshot(place.outside)
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


# Beside a mount ---------------------------------------------------------------------------------------------


def use_mount(place: Place, *arguments: str) -> None:
    """Mounts the library, does through it what programs do, and unmounts it."""
    top = place.mountpoint
    with _running(place, "mount", str(place.source), str(top), "--foreground", "--yes", *arguments):
        _use_well(top)
        for gesture in _gestures(top):
            with suppress(OSError, MutagenError):
                gesture()


def watch(place: Place) -> None:
    """Has the library watched while something is added to it."""
    with _running(place, "watch", "--yes") as said:
        make_track(place.source / "Later" / "1.opus", title="../../outside/x", album="Later")
        assert said.readline()


@contextmanager
def _running(place: Place, *arguments: str) -> Iterator[IO[bytes]]:
    """Runs a command that goes on until it is told to end, from its first line on."""
    with subprocess.Popen(
        place.command(*arguments), env=place.environment, umask=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            assert select.select([process.stdout], [], [], _SECONDS)[0]
            assert process.stdout.readline()
            yield process.stdout
        finally:
            process.terminate()
            _, said = process.communicate(timeout=_SECONDS)
            assert b"Traceback" not in said, said.decode(errors="replace")


def _use_well(top: Path) -> None:
    """Does what has to go well, at the release whose tags lead out and whose files are its own."""
    (track,) = _shown(top).glob("01. *.opus")
    set_tags(track, title="../../outside/x", artist="/x")
    wait_until(lambda: list(_shown(top).glob("01. *outside_x.opus")))
    release = _shown(top)
    (track,) = release.glob("01. *.opus")
    (release / "notes.txt").write_bytes(b"x")
    (release / "notes.txt").rename(release / "more notes.txt")
    (release / "cover.png").write_bytes(PICTURE)
    collage, playlist = top / "Collages" / "well", top / "Playlists" / "well"
    for made in (collage, playlist):
        made.mkdir()
    (collage / release.name).mkdir()
    shutil.copyfile(track, playlist / track.name)
    wait_until(
        lambda: all(any(name.startswith("1. ") for name in os.listdir(made)) for made in (collage, playlist))
    )
    assert read_tags(next(release.glob("01. *.opus"))).tracktitle == "../../outside/x"


def _shown(top: Path) -> Path:
    """Returns where a mount shows the release that is all its own."""
    releases = (path for path in (top / "Releases").iterdir() if not path.name.startswith("!"))
    return next(path for path in releases if os.getxattr(path, "user.rosefs.id").decode() == OTHER_RELEASE)


def _gestures(top: Path) -> Iterator[Callable[[], object]]:
    """Yields what programs do to a mount; most of it at a release that holds links to what is outside."""
    releases = top / "Releases"
    whole = next(path for path in releases.iterdir() if (path / "cover.jpg").exists())
    tracks = [path for path in whole.iterdir() if path.suffix in (".opus", ".mp3")]
    for path in [*whole.iterdir()]:
        yield partial(_write, path, path.read_bytes() + b"x")
        yield partial(os.utime, path)
        yield partial(os.truncate, path, 10)
        yield partial(path.chmod, 0o600)
    for path in tracks:
        yield partial(set_tags, path, title="../../outside/x", album="../outside", artist="/x")
    yield partial(_write, whole / "cover.jpg", PICTURE)
    for path in tracks:
        yield partial(shutil.copyfile, tracks[0], path)
        yield partial(os.rename, whole / "cover.jpg", path)
    yield partial((whole / "cover.jpg").rename, whole / "folder.jpg")
    yield partial((whole / "folder.jpg").rename, whole / "cover.jpg")
    yield partial(_write, whole / "..outside", b"x")
    yield partial((whole / "..outside").rename, whole / "cover.jpg")
    yield partial((whole / "Disc 1").mkdir)
    yield partial(_write, whole / "Disc 1" / "x.txt", b"x")
    for name in ("Collages", "Playlists"):
        yield (top / name / "new").mkdir
        yield (top / name / "..x").mkdir
        yield partial((top / name / "new").rename, top / name / "..outside")
        yield partial(shutil.copytree, whole, top / name / "linked" / whole.name)
        yield partial(shutil.copyfile, tracks[0], top / name / "plain" / tracks[0].name)
        yield partial(_write, top / name / "linked" / "cover.png", PICTURE)
        yield (top / name / "linked").rmdir
    yield partial(shutil.copytree, whole, releases / "arriving")
    yield partial(_write, releases / "arriving" / "more.txt", b"x")
    yield partial((releases / "arriving").rename, releases / "..arrived")
    yield tracks[-1].unlink
    yield partial(shutil.rmtree, whole)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
