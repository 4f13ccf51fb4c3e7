"""What audio files hold beside their tags, as ffmpeg finds it.

Its start costs more than a second of audio does, so it is started once for as many files as there are.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

Packets = list[list[str]]
"""Times, size and digest of each audio packet."""

_DECODED = ("-f", "md5")
_PACKETS = ("-c", "copy", "-f", "framemd5")


def decoded_md5(path: Path) -> str:
    """Returns the MD5 of the decoded audio; a decoder's complaint fails the test."""
    return decoded_md5s([path])[0]


def decoded_md5s(paths: Sequence[Path]) -> list[str]:
    """Returns the MD5 of the decoded audio of each file; a decoder's complaint fails the test."""
    return [text.strip() for (text,) in _by_ffmpeg(paths, _DECODED, complains=False)]


def audio_packets(path: Path) -> Packets:
    """Returns the audio packets, as a demuxer finds them."""
    return audio_packets_of([path])[0]


def audio_packets_of(paths: Sequence[Path]) -> list[Packets]:
    """Returns the audio packets of each file, as a demuxer finds them."""
    return [_packets(text) for (text,) in _by_ffmpeg(paths, _PACKETS)]


@contextmanager
def sounding_the_same(path: Path) -> Iterator[None]:
    """Makes sure that a file's packets and its decoded audio are at the end of the block what they were before."""
    with TemporaryDirectory() as directory:
        before = shutil.copyfile(path, Path(directory, path.name))
        yield
        was, now = _by_ffmpeg([before, path], _DECODED, _PACKETS, complains=False)
    assert now[0] == was[0]
    assert _packets(now[1]) == _packets(was[1])


def _packets(listing: str) -> Packets:
    # Behind the digest, and in the header, Vorbis streams have what the comments say.
    return [line.split(",")[:6] for line in listing.splitlines() if not line.startswith("#")]


def _by_ffmpeg(paths: Sequence[Path], *kinds: Sequence[str], complains: bool = True) -> list[list[str]]:
    """Returns what ffmpeg writes of the audio of each file, for each kind of output."""
    if not paths:
        return []
    with TemporaryDirectory() as directory:
        outputs = [
            [Path(directory, f"{file}.{kind}") for kind in range(len(kinds))] for file in range(len(paths))
        ]
        command: list[str | Path] = ["ffmpeg", "-nostdin", "-v", "error"]
        command += [] if complains else ["-xerror"]
        for path in paths:
            command += ["-i", path]
        for file, written in enumerate(outputs):
            for kind, output in zip(kinds, written, strict=True):
                command += ["-map", f"{file}:a", *kind, output]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert complains or not ran.stderr, ran.stderr
        return [[output.read_text() for output in written] for written in outputs]
