"""Real players play from a mount, and a music server scans and plays it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mutagen
import pytest

from tests.conftest import skip_or_fail
from tests.end_to_end.conftest import Big, eventually, is_audio, output_of, releases_shown
from tests.support.audio import FORMATS
from tests.support.mounts import Mounted

MPD_CONFIG = """\
music_directory "{own}/music"
db_file "{own}/database"
state_file "{own}/state"
log_file "{own}/log"
bind_to_address "{own}/socket"
auto_update "no"
follow_outside_symlinks "yes"
input {{
    plugin "curl"
    enabled "no"
}}
audio_output {{
    type "null"
    name "nothing"
}}
"""


def some_track(mount: Mounted, format: str) -> Path:
    return next(path for path in sorted((mount.path / "Releases").glob(f"*/*.{format}")))


@pytest.mark.parametrize("format", FORMATS)
def test_mpv_plays_every_format(small_mount: Mounted, format: str) -> None:
    options = ("--no-config", "--ao=null", "--ao-null-untimed", "--vo=null", "--msg-level=all=warn")
    assert output_of("mpv", *options, some_track(small_mount, format)) == ""


@pytest.mark.parametrize("format", FORMATS)
def test_ffprobe_reads_every_format(small_mount: Mounted, format: str) -> None:
    track = some_track(small_mount, format)
    shown = json.loads(output_of("ffprobe", "-v", "error", "-of", "json", "-show_format", track))["format"]
    assert int(shown["size"]) == track.stat().st_size
    assert float(shown["duration"]) == pytest.approx(mutagen.File(track).info.length, abs=0.1)


def test_ffmpeg_decodes_a_playlist(small_mount: Mounted) -> None:
    playlist = next((small_mount.path / "Playlists").glob("*/*.m3u8"))
    tracks = [line for line in playlist.read_text().splitlines() if not line.startswith("#")]
    assert len(tracks) == len([path for path in playlist.parent.iterdir() if is_audio(path)]) > 0
    for track in tracks:
        output_of(
            "ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", playlist.parent / track, "-f", "null", "-"
        )


@dataclass(frozen=True)
class Mpd:
    """A music server of the test's own, and the program that talks to it."""

    own: Path

    def __call__(self, *arguments: str) -> str:
        return output_of("mpc", f"--host={self.own / 'socket'}", *arguments)

    @property
    def log(self) -> str:
        return (self.own / "log").read_text()

    def songs(self) -> int:
        (line,) = [line for line in self("stats").splitlines() if line.startswith("Songs:")]
        return int(line.split()[1])


@pytest.fixture
def mpd(big_mount: Mounted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mpd]:
    """A server whose music is every release of the large library, by a link to its directory in the mount."""
    if shutil.which("mpd") is None:
        skip_or_fail("mpd is not installed")
    own = tmp_path_factory.mktemp("mpd")  # short, since the address of a socket has to be
    (own / "music").mkdir()
    for number, release in enumerate(releases_shown(big_mount)):
        (own / "music" / f"{number:04}").symlink_to(release)
    (own / "config").write_text(MPD_CONFIG.format(own=own))
    with (own / "stderr").open("wb") as errors:
        process = subprocess.Popen(["mpd", "--no-daemon", own / "config"], stdout=errors, stderr=errors)
    try:
        eventually((own / "socket").exists, lambda: (own / "stderr").read_text())
        yield Mpd(own)
    finally:
        process.terminate()
        process.wait(60)


def test_mpd_scans_everything_and_plays(big: Big, mpd: Mpd) -> None:
    mpd("update", "--wait")
    assert mpd.songs() == big.plan.releases * big.plan.tracks
    mpd("findadd", "track", "1")
    mpd("play")
    eventually(lambda: "played" in mpd.log, lambda: mpd.log)
    assert "error" not in mpd.log.lower()
