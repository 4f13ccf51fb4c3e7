"""Editing the tags of a release as text, with editors that are programs of the test's own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.query.releases import list_releases
from rosecache.tags import read_tags
from rosefs.library import retag
from tests.cli.conftest import Cli
from tests.cli.terminal import PROGRAM, run_on_terminal
from tests.support import disks
from tests.support.audio import make_track, set_tags
from tests.support.library import snapshot

Editing = Callable[[str], None]


@pytest.fixture
def library(c: Config, rosefs: Cli) -> Cli:
    """A release ``hash`` with three tracks, of three containers."""
    for number, suffix in enumerate(("m4a", "mp3", "opus"), start=1):
        make_track(
            c.music_source_dir / f"hash/{number}.{suffix}", title=f"Track {number}", tracknumber=str(number),
            artist="LOONA", album="Hash", date="2018",
        )  # fmt: skip
    rosefs("cache", "update")
    return rosefs


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editing:
    """Sets what the editor does: Python with ``text``, ``path``, how often it ran before, and all modules needed."""

    def set_editor(code: str) -> None:
        script = tmp_path / "my editor.py"
        script.write_text(
            "import os, re, signal, subprocess, sys\nfrom pathlib import Path\n"
            f"sys.path.insert(0, {os.getcwd()!r})\n"
            "path, runs = Path(sys.argv[-1]), Path(__file__ + '.runs')\n"
            "run = len(runs.read_bytes()) if runs.exists() else 0\nruns.write_bytes(b'x' * (run + 1))\n"
            f"text = path.read_text()\n{code}\npath.write_text(text)\n"
        )
        Path(f"{script}.runs").unlink(missing_ok=True)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} --wait")

    return set_editor


def file_of(c: Config, number: int) -> Path:
    (path,) = (c.music_source_dir / "hash").glob(f"{number}.*")
    return path


def kept_texts(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "state/texts").glob("*"))


def resumed(stderr: str) -> list[str]:
    """Returns the arguments with which a message says that an edit goes on."""
    (command,) = re.findall(r"to go on with it: rosefs (.*)", stderr)
    return shlex.split(command)[2:]


def test_what_was_changed_is_written_and_nothing_else(
    library: Cli, c: Config, editor: Editing, tmp_path: Path
) -> None:
    before = snapshot(c.music_source_dir)
    old = [read_tags(file_of(c, number)) for number in (1, 2, 3)]
    editor(
        "text = text.replace('\"2018\"', '\"2018-08-20\"').replace('new = true', 'new = false')"
        '.replace(\'"Track 1"\', \'"Hi \\\\"High\\\\""\', 1).replace(\'number = "2"\', \'number = "9"\')'
        '.replace(\'genres = ["K-Pop", "Pop"]\', \'genres = ["Dance-Pop"]\')'
    )
    done = library("releases", "edit", "Hash")
    assert done.stdout == "edited LOONA - 2018. Hash: 3 files changed, marked as not new\n"
    new = [read_tags(file_of(c, number)) for number in (1, 2, 3)]
    for one, other in zip(old, new, strict=True):
        assert (str(other.releasedate), other.genres) == ("2018-08-20", ("Dance-Pop",))
        assert (other.labels, other.trackartists, other.discnumber) == (
            one.labels,
            one.trackartists,
            one.discnumber,
        )
    assert [tags.tracktitle for tags in new] == ['Hi "High"', "Track 2", "Track 3"]
    assert [tags.tracknumber for tags in new] == ["1", "9", "3"]
    assert library.json("releases", "show", "Hash")["new"] is False
    assert kept_texts(tmp_path) == []
    library("undo")
    assert snapshot(c.music_source_dir) == before


@pytest.mark.parametrize(
    "code", ["pass", "text = text + '\\n# a comment\\n'", "text = text.replace('\"2018\"', '2018')"]
)
def test_what_says_the_same_changes_nothing(
    library: Cli, c: Config, editor: Editing, tmp_path: Path, code: str
) -> None:
    before = snapshot(c.music_source_dir)
    editor(code)
    assert library("releases", "edit", "Hash").stdout == "nothing was changed in LOONA - 2018. Hash\n"
    assert snapshot(c.music_source_dir) == before
    assert kept_texts(tmp_path) == []
    assert library.json("history") == []


@pytest.mark.parametrize("code", ["text = ''", "text = '# no\\n'"])
def test_an_emptied_text_changes_nothing_and_says_so(
    library: Cli, editor: Editing, tmp_path: Path, code: str
) -> None:
    editor(code)
    assert library.error("releases", "edit", "Hash") == "the text is empty; nothing was changed"
    assert kept_texts(tmp_path) == []


def test_a_text_with_mistakes_is_opened_again_with_them_on_top(
    library: Cli, c: Config, editor: Editing
) -> None:
    editor(
        "if run == 0:\n"
        "    text = text.replace('\"2018\"', '\"soon\"').replace('role = \"main\"', 'role = \"star\"', 1)\n"
        "else:\n"
        "    top = [line for line in text.splitlines() if line.startswith('#! ')]\n"
        "    assert 'releasedate: expected' in top[1] and 'artists[0]: expected one of the roles' in top[2], top\n"
        "    assert '\"soon\"' in text.splitlines()[int(re.search('line (\\\\d+)', top[1])[1]) - 1]\n"
        "    text = text.replace('\"soon\"', '\"2019\"').replace('\"star\"', '\"guest\"')\n"
    )
    library("releases", "edit", "Hash")
    tags = read_tags(file_of(c, 1))
    assert (str(tags.releasedate), [artist.name for artist in tags.releaseartists.guest]) == (
        "2019",
        ["LOONA"],
    )


def test_a_value_that_a_container_cannot_hold_is_refused_before_anything_is_written(
    library: Cli, c: Config, editor: Editing
) -> None:
    before = snapshot(c.music_source_dir)
    editor("text = text.replace('number = \"1\"', 'number = \"A1\"').replace('\"2018\"', '\"2019\"')")
    error = library.error("releases", "edit", "Hash")
    assert re.fullmatch(
        r"line \d+, tracks\.[-0-9a-f]{36}\.number: 'A1' is not a whole number from 1 to 65535, .*", error
    ), error
    assert snapshot(c.music_source_dir) == before
    editor("text = text.replace('genres = [', 'genres = [\"A;B\", ')")
    assert "genres: 'A;B' holds what separates one value from the next" in library.error(
        "releases", "edit", "Hash"
    )


def test_a_text_that_is_left_with_mistakes_can_be_gone_on_with(
    library: Cli, c: Config, editor: Editing, tmp_path: Path
) -> None:
    editor("text = text.replace('\"2018\"', '\"soon\"')")
    result = library("releases", "edit", "Hash", status=1)
    assert "releasedate: expected" in result.stderr
    arguments = resumed(result.stderr)
    assert 'releasedate = "soon"' in Path(arguments[-1]).read_text()
    editor("text = text.replace('\"soon\"', '\"2019\"')")
    library(*arguments)
    assert str(read_tags(file_of(c, 2)).releasedate) == "2019"
    assert kept_texts(tmp_path) == []
    assert (
        "is missing"
        in library("releases", "edit", "Hash", "--resume", tmp_path / "config.toml", status=1).stderr
    )


def test_a_text_in_another_encoding_is_opened_again_without_losing_a_letter(
    library: Cli, c: Config, editor: Editing
) -> None:
    editor(
        "if run == 0:\n    path.write_bytes(text.replace('Hash', 'H\\xe4sh').encode('latin-1'))\n    sys.exit()\n"
        "assert 'this is no UTF-8, and was read as Latin-1' in text\ntext = text.partition('\\n')[2]"
    )
    library("releases", "edit", "Hash")
    assert read_tags(file_of(c, 1)).releasetitle == "Häsh"


def test_an_editor_that_never_gets_it_right_comes_to_an_end(library: Cli, editor: Editing) -> None:
    editor("text = text + '\\nwrong ='")
    assert "this is no TOML" in library.error("releases", "edit", "Hash")


def test_an_editor_that_fails_loses_nothing(library: Cli, c: Config, editor: Editing, tmp_path: Path) -> None:
    editor("path.write_text(text.replace('\"2018\"', '\"2019\"')); sys.exit(3)")
    result = library("releases", "edit", "Hash", status=1)
    assert "failed with status 3; $EDITOR says which it is" in result.stderr
    assert str(read_tags(file_of(c, 1)).releasedate) == "2018"
    editor("pass")
    again = library("releases", "edit", "Hash")
    assert "an earlier edit was not finished: rosefs" in again.stderr
    library(*resumed(result.stderr))
    assert str(read_tags(file_of(c, 1)).releasedate) == "2019"
    assert kept_texts(tmp_path) == []


def test_an_editor_that_is_not_there_leaves_nothing_behind(
    library: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "/nowhere/editor -x")
    assert "/nowhere/editor -x, failed with status 127" in library.error("releases", "edit", "Hash")
    assert kept_texts(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_ended_meanwhile_loses_nothing(
    library: Cli, c: Config, editor: Editing, tmp_path: Path, number: signal.Signals
) -> None:
    # The shell between the two ends with exec, so that rosefs is the editor's parent or its grandparent.
    editor(
        "path.write_text(text.replace('\"2018\"', '\"2019\"'))\n"
        "parent = os.getppid()\n"
        "if b'rosefs' not in Path(f'/proc/{parent}/cmdline').read_bytes().split(b'\\0')[:3]:\n"
        "    parent = int(Path(f'/proc/{parent}/stat').read_text().rpartition(')')[2].split()[1])\n"
        f"os.kill(parent, {int(number)})\nsys.exit()"
    )
    ran = subprocess.run(
        [*PROGRAM, "--config", str(library.config), "releases", "edit", "Hash"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert str(read_tags(file_of(c, 1)).releasedate) == "2018"
    editor("pass")
    if number is signal.SIGKILL:
        assert ran.returncode == -number
        (arguments,) = re.findall(r"not finished: rosefs (.*)", library("releases", "edit", "Hash").stderr)
        library(*shlex.split(arguments)[2:])
    else:
        assert ran.returncode == 128 + number
        library(*resumed(ran.stderr))
    assert str(read_tags(file_of(c, 1)).releasedate) == "2019"
    assert kept_texts(tmp_path) == []


def test_a_release_that_is_locked_loses_nothing(
    library: Cli, c: Config, editor: Editing, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def locked(*_: object) -> Iterator[None]:
        raise LockTimeoutError("release-hash", 30.0, "process 1")
        yield

    editor("text = text.replace('\"2018\"', '\"2019\"')")
    with monkeypatch.context() as patch:
        patch.setattr(retag, "holding", locked)
        result = library("releases", "edit", "Hash", status=1)
    assert "release-hash" in result.stderr
    editor("pass")
    library(*resumed(result.stderr))
    assert str(read_tags(file_of(c, 1)).releasedate) == "2019"


@pytest.fixture
def small_disk(tmp_path: Path, need_root: None) -> Iterator[Path]:
    """A file system of 256 KiB, on which the state directory is."""
    with disks.small_disk(tmp_path / "state", kib=256) as state:
        yield state


@pytest.mark.parametrize("written", ["2019", "soon"])
def test_a_full_disk_loses_nothing(
    library: Cli, c: Config, editor: Editing, small_disk: Path, tmp_path: Path, written: str
) -> None:
    editor(
        f"text = text.replace('2018', '{written}')\npath.write_text(text)\n"
        f"from tests.support.disks import fill_disk\nfill_disk(Path({str(small_disk)!r}))\nsys.exit()"
    )
    before = snapshot(c.music_source_dir)
    result = library("releases", "edit", "Hash", status=1)
    assert "No space left on device" in result.stderr
    assert snapshot(c.music_source_dir) == before
    (small_disk / "filler").unlink()
    editor("text = text.replace('soon', '2019')")
    library(*resumed(result.stderr))
    assert str(read_tags(file_of(c, 1)).releasedate) == "2019"
    assert kept_texts(tmp_path) == []


def test_only_the_mark_of_new_can_be_changed(library: Cli, c: Config, editor: Editing) -> None:
    audio = [file_of(c, number).read_bytes() for number in (1, 2, 3)]
    editor("text = text.replace('new = true', 'new = false')")
    assert library("releases", "edit", "Hash").stdout == "edited LOONA - 2018. Hash: marked as not new\n"
    assert [file_of(c, number).read_bytes() for number in (1, 2, 3)] == audio
    library("undo")
    assert library.json("releases", "show", "Hash")["new"] is True


def test_an_editor_has_the_terminal(library: Cli, c: Config, tmp_path: Path) -> None:
    script = tmp_path / "ask"
    script.write_text('#!/bin/sh\nprintf "which year? "\nread year\nsed -i "s/2018/$year/" "$1"\n')
    script.chmod(0o755)
    shown = run_on_terminal(
        "--config",
        library.config,
        "releases",
        "edit",
        "Hash",
        answers="2019\n",
        environment={"VISUAL": str(script)},
    )
    assert "which year?" in shown.plain
    assert "3 files changed" in shown.plain
    assert str(read_tags(file_of(c, 1)).releasedate) == "2019"


# Somebody else changes it -----------------------------------------------------------------------------------

OTHER = "from tests.support.audio import set_tags\nfor each in Path({directory!r}).glob('[0-9].*'):\n    "


def meanwhile(c: Config, **fields: str) -> str:
    directory = str(c.music_source_dir / "hash")
    return OTHER.format(directory=directory) + f"set_tags(each, **{fields!r})\n"


def test_what_others_changed_and_the_user_did_not_stays(library: Cli, c: Config, editor: Editing) -> None:
    editor(meanwhile(c, label="Other") + "text = text.replace('\"2018\"', '\"2019\"')")
    library("releases", "edit", "Hash")
    tags = read_tags(file_of(c, 1))
    assert (str(tags.releasedate), tags.labels) == ("2019", ("Other",))


def test_what_both_changed_is_not_overwritten_unless_the_user_says_so(
    library: Cli, c: Config, editor: Editing
) -> None:
    editor(
        "if run == 0:\n    " + meanwhile(c, date="2020").replace("\n", "\n    ") + "\n"
        "    text = text.replace('\"2018\"', '\"2019\"')"
    )
    result = library("releases", "edit", "Hash", status=1)
    assert (
        'releasedate: changed by another program meanwhile, from "2018" to "2020"; '
        "write that, or remove this comment to have yours written"
    ) in result.stderr
    assert str(read_tags(file_of(c, 1)).releasedate) == "2020"
    editor("pass")
    again = library(*resumed(result.stderr), status=1)
    assert "what it says on top is not settled" in again.stderr
    assert str(read_tags(file_of(c, 1)).releasedate) == "2020"
    editor("text = text.partition('\\n')[2]")
    library(*resumed(again.stderr))
    assert str(read_tags(file_of(c, 1)).releasedate) == "2019"


def test_the_value_of_the_other_can_be_taken(library: Cli, c: Config, editor: Editing) -> None:
    editor(
        "if run == 0:\n    " + meanwhile(c, date="2020").replace("\n", "\n    ") + "\n"
        "text = text.replace('\"2018\"', '\"2019\"') if run == 0 else text.replace('= \"2019\"', '= \"2020\"')"
    )
    assert library("releases", "edit", "Hash").stdout == "nothing was changed in LOONA - 2018. Hash\n"


def test_a_track_that_went_meanwhile_is_named(library: Cli, c: Config, editor: Editing) -> None:
    (gone,) = (c.music_source_dir / "hash").glob("2.*")
    editor(
        f"if run == 0:\n    os.unlink({str(gone)!r})\n"
        f"    subprocess.run({[*PROGRAM, '--config', str(library.config), 'cache', 'update']!r}, check=True)\n"
        "    text = re.sub('title = \"Track.*\"', 'title = \"T\"', text).replace('\"2018\"', '\"2019\"')\n"
        "else:\n"
        "    (key,) = re.findall('(tracks[.][^ ]*)[.]title: the track is gone meanwhile', text)\n"
        "    text = re.sub(r'(?s)\\[' + re.escape(key) + r'\\].*?(?=\\[tracks|\\Z)', '', text)\n"
    )
    library("releases", "edit", "Hash")
    assert {
        (tags.tracktitle, str(tags.releasedate)) for tags in map(read_tags, (file_of(c, 1), file_of(c, 3)))
    } == {("T", "2019")}


def test_tracks_that_differ_stay_so_until_they_are_touched(library: Cli, c: Config, editor: Editing) -> None:
    set_tags(file_of(c, 2), label="Other")
    library("cache", "update")
    editor("text = text.replace('\"2018\"', '\"2019\"')")
    library("releases", "edit", "Hash")
    assert [read_tags(file_of(c, number)).labels for number in (1, 2, 3)] == [
        ("Label",),
        ("Other",),
        ("Label",),
    ]
    editor("text = 'labels = [\"Same\"]\\n' + text")
    library("releases", "edit", "Hash")
    assert {read_tags(file_of(c, number)).labels for number in (1, 2, 3)} == {("Same",)}
    assert len(list_releases(c)) == 1


def test_tracks_that_differ_can_be_given_what_any_of_them_says(
    library: Cli, c: Config, editor: Editing
) -> None:
    set_tags(file_of(c, 1), label="A  [x];B", albumartist="A  [x];B")
    set_tags(file_of(c, 3), label=None)
    library("cache", "update")
    editor(
        "for start in ('labels = [\"A  [x]', 'artists = [ { name = \"A  [x]'):\n"
        "    assert f'\\n# {start}' in text\n"
        "    text = text.replace(f'# {start}', start)"
    )
    library("releases", "edit", "Hash")
    tags = [read_tags(file_of(c, number)) for number in (1, 2, 3)]
    assert [each.labels for each in tags] == [("A  [x]", "B")] * 3
    assert [[artist.name for artist in each.releaseartists.main] for each in tags] == [["A  [x]", "B"]] * 3


def test_tracks_that_others_made_differ_can_stay_so(library: Cli, c: Config, editor: Editing) -> None:
    path = file_of(c, 2)
    editor(
        "if not run:\n"
        "    from tests.support.audio import set_tags\n"
        f"    set_tags(Path({str(path)!r}), label='Other')\n"
        "    text = text.replace('labels = [\"Label\"]', 'labels = [\"Mine\"]')\n"
        "    text = text.replace('\"2018\"', '\"2019\"')\n"
        "else:\n"
        "    assert 'to what differs by track; put a # before it, or remove this comment' in text\n"
        "    text = text.replace('labels =', '# labels =')\n"
    )
    library("releases", "edit", "Hash")
    tags = [read_tags(file_of(c, number)) for number in (1, 2, 3)]
    assert [each.labels for each in tags] == [("Label",), ("Other",), ("Label",)]
    assert {str(each.releasedate) for each in tags} == {"2019"}


def test_aliases_are_neither_shown_nor_written(library: Cli, c: Config, editor: Editing) -> None:
    library.config.write_text(
        f"artist_aliases = [{{ artist = 'Twelve', aliases = ['LOONA'] }}]\n{library.config.read_text()}"
    )
    library("cache", "update")
    editor("assert 'Twelve' not in text\ntext = text.replace('role = \"main\"', 'role = \"guest\"')")
    library("releases", "edit", "Hash")
    assert [artist.name for artist in read_tags(file_of(c, 1)).trackartists.all] == ["LOONA"]


def test_a_file_that_fails_is_reported_and_the_rest_is_written(
    library: Cli, c: Config, editor: Editing
) -> None:
    editor(f"os.chmod({str(file_of(c, 2))!r}, 0o444)\ntext = text.replace('\"2018\"', '\"2019\"')")
    if os.geteuid() == 0:
        # Root may write all files: a link is what even root does not write through.
        path = file_of(c, 2)
        editor(
            f"path_ = Path({str(path)!r})\n"
            "if not path_.is_symlink():\n"
            "    path_.rename(path_.parent.parent / path_.name)\n"
            "    path_.symlink_to(path_.parent.parent / path_.name)\n"
            "text = text.replace('\"2018\"', '\"2019\"')"
        )
    result = library("releases", "edit", "Hash", status=1)
    assert f"{file_of(c, 2)}: " in result.stderr
    assert "2 files changed; the rest could not be written" in result.stderr
    assert [str(read_tags(file_of(c, number)).releasedate) for number in (1, 2, 3)] == [
        "2019",
        "2018",
        "2019",
    ]
    assert resumed(result.stderr)
