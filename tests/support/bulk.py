"""Large synthetic libraries: as many releases as asked for, of real audio files, different in what matters.

The same seed, size and number give the same release, whichever process makes it. Files are copies of the fixtures
with tags of their own, so a library says a lot about names, tags and counts, and nothing about long audio. Like
the other builders this never goes through the package under test.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.audio import FORMATS, PICTURE, make_track
from tests.support.library import ids_on_disk, make_list, release_id_on_disk

REPOSITORY = Path(__file__).parents[2]
FOR_PROCESSES = 40
"""From so many releases on two processes are worth their start."""

_GENRES = (
    "K-Pop", "Dance-Pop", "Techno", "House", "Deep House", "Jazz", "Bebop", "Cool Jazz", "Ambient", "Drone",
    "Black Metal", "Post-Rock", "Shoegaze", "Hip Hop", "Trip Hop", "Folk", "Blues", "Dub", "Vaporwave", "Opera",
    "A Genre of Nobody's Tree",
)  # fmt: skip
_DESCRIPTORS = ("warm", "melancholic", "nocturnal", "lo-fi", "energetic", "für Regentage")
_TYPES = ("album",) * 12 + ("ep", "ep", "single", "live", "compilation", "djmix", "loosetrack")
_WORDS = (
    "river", "glass", "winter", "signal", "orbit", "harbour", "velvet", "static", "paper", "ember", "Über", "naïve",
    "Öl", "夜", "東京", "Зима", "Ωmega", "cafe\u0301", "🎵", "AC/DC", "what?", "a:b", "[live]", "...", "it’s", "50%",
)  # fmt: skip
"""Parts of names: letters of several scripts, decomposed ones, and what a file name cannot hold or a glob minds."""

_LONG = "Ein sehr langer Titel über das Wetter 東京 " * 12
"""More than 255 bytes, with characters of several bytes where a careless cut would fall."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library to be made. Every release has the same number of tracks."""

    releases: int
    tracks: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PlannedRelease:
    """One release of it: where it goes, and what is in it.

    Attributes:
        directory: The name of its directory in the source.
        files: The paths of its tracks below the directory, in disc and track order, with their tags.
        extras: The paths of its other files, with their content.
    """

    directory: str
    files: Mapping[str, Mapping[str, str | None]]
    extras: Mapping[str, bytes]


def plan(library: Library) -> Iterator[PlannedRelease]:
    """Yields every release of a library, without making any."""
    return (plan_release(library, number) for number in range(library.releases))


def plan_release(library: Library, number: int) -> PlannedRelease:
    """Returns the release of a number from 0 on.

    Every tenth has two discs, number 7 a title that is too long, 8 and 9 all shown names in common, and a track
    of number 11 a file name that is no UTF-8.
    """
    # 9 is planned as 8, in a format of its own.
    chance = random.Random(f"{library.seed} {library.releases} {8 if number == 9 else number}")
    format = FORMATS[number % len(FORMATS)]
    kind = chance.choice(_TYPES)
    artist = "Various Artists" if kind == "compilation" else _artist(library, chance)
    title = _LONG if number == 7 else _phrase(chance)
    shared = {"album": title, "albumartist": artist, "releasetype": kind, **_release_tags(library, chance)}
    files: dict[str, Mapping[str, str | None]] = {}
    discs = 2 if number % 10 == 3 and library.tracks > 1 else 1
    for index in range(library.tracks):
        disc, place = divmod(index, -(-library.tracks // discs))
        name = f"{place + 1:02}.{format}" if discs == 1 else f"Disc {disc + 1}/{place + 1:02}.{format}"
        if number == 11 and index == 0:
            name = os.fsdecode(b"01 caf\xe9." + format.encode())
        files[name] = {
            **shared, "artist": _track_artist(library, chance, artist), "title": _phrase(chance),
            "tracknumber": str(place + 1), "discnumber": str(disc + 1),
        }  # fmt: skip
    directory = f"{number:05} {artist} - {title}".replace("/", "_")
    return PlannedRelease(_cut(directory, 200), files, _extras(chance, number, next(iter(files))))


def make_library(source: Path, library: Library) -> None:
    """Makes a library in a directory, which is made if need be; a large one in two processes."""
    source.mkdir(parents=True, exist_ok=True)
    if library.releases < FOR_PROCESSES:
        make_share(source, library, 0, 1)
        return
    command = [sys.executable, "-m", "tests.support.bulk", os.fspath(source)]
    size = [str(library.releases), str(library.tracks), str(library.seed)]
    makers = [subprocess.Popen([*command, *size, str(share), "2"], cwd=REPOSITORY) for share in range(2)]
    failed = [status for status in [maker.wait() for maker in makers] if status != 0]
    if failed:
        raise RuntimeError(f"a process that makes the library ended with status {failed[0]}")


def make_share(source: Path, library: Library, share: int, shares: int) -> None:
    """Makes one of several equal shares of a library."""
    for number in range(share, library.releases, shares):
        release = plan_release(library, number)
        directory = source / release.directory
        for path, tags in release.files.items():
            make_track(directory / path, picture=None, **tags)
        for path, content in release.extras.items():
            (directory / path).write_bytes(content)


def make_lists(source: Path, library: Library, *, lists: int = 3, members: int = 20) -> None:
    """Writes collages and playlists of releases and tracks from all over the library, which carry their ids."""
    releases = list(plan(library))
    for number in range(lists):
        chance = random.Random(f"{library.seed} list {number}")
        chosen = [
            source / release.directory for release in chance.sample(releases, min(members, len(releases)))
        ]
        collage = [release_id_on_disk(directory) for directory in chosen]
        playlist = [identifier for directory in chosen for identifier in _some_tracks(chance, directory)]
        make_list(source / "!collages" / f"Collage {number} {_WORDS[number]}.toml", "releases", *collage)
        make_list(source / "!playlists" / f"Playlist {number} {_WORDS[number]}.toml", "tracks", *playlist)
        (source / "!playlists" / f"Playlist {number} {_WORDS[number]}.png").write_bytes(PICTURE)


def _some_tracks(chance: random.Random, release: Path) -> list[str]:
    known = [identifier for identifier in ids_on_disk(release).values() if identifier is not None]
    return chance.sample(known, 1)


def _phrase(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(1, 4))) + f" {chance.randint(1, 999)}"


def _artist(library: Library, chance: random.Random) -> str:
    """Returns one of the library's artists: fewer than releases, some with a few and many with one."""
    number = min(chance.randrange(max(2, library.releases)), chance.randrange(max(2, library.releases)))
    words = random.Random(f"{library.seed} artist {number}").choices(_WORDS, k=2)
    return f"{words[0].title()} {words[1].title()} {number}"


def _track_artist(library: Library, chance: random.Random, artist: str) -> str:
    if artist == "Various Artists":
        return _artist(library, chance)
    return f"{artist} feat. {_artist(library, chance)}" if chance.random() < 0.1 else artist


def _release_tags(library: Library, chance: random.Random) -> dict[str, str | None]:
    year = chance.randint(1960, 2025)
    labels = max(1, library.releases // 5)
    return {
        "date": chance.choice([str(year), f"{year}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"]),
        "originaldate": str(year - 3) if chance.random() < 0.2 else None,
        "genre": ";".join(chance.sample(_GENRES, chance.randint(1, 3))),
        "secondarygenre": chance.choice([None, *_GENRES]),
        "descriptor": ";".join(chance.sample(_DESCRIPTORS, chance.randint(0, 2))) or None,
        "label": f"{chance.choice(_WORDS).title()} Records {chance.randrange(labels)}",
        "catalognumber": f"CAT-{chance.randrange(10**5)}" if chance.random() < 0.5 else None,
    }


def _extras(chance: random.Random, number: int, first_track: str) -> dict[str, bytes]:
    extras = {}
    if chance.random() < 0.9:
        extras[chance.choice(["cover.png", "Folder.png"])] = PICTURE
    if number % 10 == 0:
        extras[str(Path(first_track).with_suffix(".lrc"))] = b"[00:00.00]la la la\n"
    if number % 20 == 1:
        extras["booklet.pdf"] = b"%PDF-1.4\n" + chance.randbytes(5000)
    return extras


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore").rstrip()


if __name__ == "__main__":
    where, releases, tracks, seed, share, shares = sys.argv[1:]
    make_share(Path(where), Library(int(releases), int(tracks), int(seed)), int(share), int(shares))
