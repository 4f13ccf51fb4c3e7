"""What name templates make of invented releases and of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from rosefs.cli.samples import SAMPLES
from tests.cli.conftest import Cli
from tests.cli.terminal import run_on_terminal
from tests.support.audio import make_release
from tests.support.browsing import Browser


def templates(cli: Cli, text: str) -> None:
    cli.config.write_text(f"{cli.config.read_text()}[path_templates]\n{text}")


def names(cli: Cli, key: str, *args: str) -> list[str]:
    return [row[2] for row in cli.lines("config", "preview-templates", *args) if row[0] == key]


def test_samples_show_every_way_to_be_unusual(rosefs: Cli) -> None:
    assert names(rosefs, "default.release")[:4] == [
        "{NEW} Kim Lip - 2017. Kim Lip - Single",
        "Various Artists - 2013. Factory Songs 1978-1992",
        "L. Berg performed by Anna Lind under. Ida Falk - 1996. Piano Concertos_ No. 1 _ No. 3",
        "Nobody Yet - Demo",
    ]
    assert "03-11. Northern Line (Night Mix) (feat. Ott).mp3" in names(rosefs, "default.track")
    assert max(len(name.encode()) for name in names(rosefs, "default.track")) in range(240, 256)
    assert names(rosefs, "playlists")[-1] == "7. Unknown Artists - Unknown Title.mp3"


def test_views_with_other_names_than_the_default_have_their_own_lines(rosefs: Cli) -> None:
    templates(rosefs, "[path_templates.labels]\ntrack = '{{ context.label }}. {{ tracktitle }}'\n")
    keys = list(dict.fromkeys(row[0] for row in rosefs.lines("config", "preview-templates")))
    assert keys == [
        "default.release", "default.track", "default.all_tracks", "source.release", "source.track",
        "releases_added_on.release", "releases_released_on.release", "labels.track", "collages.release", "playlists",
    ]  # fmt: skip
    assert names(rosefs, "labels.track")[:2] == ["BlockBerry Creative. Eclipse.opus", "Lantern. Signals.mp3"]


def test_a_release_is_shown_under_the_names_that_it_has_in_a_mount(rosefs: Cli, c: Config) -> None:
    make_release(c.music_source_dir, "hash", artist="LOONA", album="Hash", date="2018")
    update_cache(c)
    browser = Browser(c)
    (name,) = names(rosefs, "default.release", "Hash")
    assert name in browser.ls("Releases")
    assert set(names(rosefs, "default.track", "Hash")) <= set(browser.ls(f"Releases/{name}"))
    assert set(names(rosefs, "default.all_tracks", "Hash")) <= set(browser.ls("Releases/!All Tracks"))
    assert names(rosefs, "releases_released_on.release", "Hash")[0] in browser.ls("Releases - Released On")
    assert "no release 'Hush'" in rosefs.error("config", "preview-templates", "Hush")


def test_source_names_are_those_of_a_rename(rosefs: Cli, c: Config) -> None:
    templates(
        rosefs,
        "source = { release = '.{{ releasetitle }}', track = 'Disc {{ discnumber }}/{{ tracktitle }}' }\n",
    )
    make_release(c.music_source_dir, "hash", album="Hash", tracks=1)
    rosefs("cache", "update")
    shown = names(rosefs, "source.release", "Hash") + names(rosefs, "source.track", "Hash")
    rosefs.config.write_text(f"rename_source_files = true\n{rosefs.config.read_text()}")
    rosefs("cache", "update", "--force")
    assert shown == ["_Hash", "Disc 1/Track 1.opus"]
    assert (c.music_source_dir / "_Hash/Disc 1/Track 1.opus").exists()


def test_an_invalid_template_is_named_and_the_others_are_shown(rosefs: Cli) -> None:
    templates(rosefs, "playlists = '{{ position'\nartists = { release = '{{ reteasetitle }}' }\n")
    result = rosefs("config", "preview-templates", status=1)
    errors = [line for line in result.stderr.splitlines() if line.startswith("rosefs: error: ")]
    assert [error.split(": ")[3] for error in errors] == [
        "path_templates.artists.release",
        "path_templates.playlists",
    ]
    shown = {line.split("\t")[0] for line in result.stdout.splitlines()}
    assert {"default.release", "collages.release"} <= shown
    assert not {"artists.release", "playlists"} & shown


def test_json_has_whole_titles(rosefs: Cli) -> None:
    longest = max((release.releasetitle for release, _ in SAMPLES), key=len)
    previews = rosefs.json("config", "preview-templates")
    assert {"template", "of", "name"} == previews[0].keys()
    assert longest in [preview["of"] for preview in previews]


def test_a_terminal_gets_a_table(rosefs: Cli, tmp_path: Path) -> None:
    shown = run_on_terminal("--config", rosefs.config, "config", "preview-templates").plain
    assert [word for word in ("Template", "Of", "Name") if word not in shown] == []


@pytest.mark.parametrize("view", ["default", "source"])
def test_nothing_is_asked_of_the_disk_for_samples(rosefs: Cli, c: Config, view: str) -> None:
    c.music_source_dir.rmdir()
    assert len(names(rosefs, f"{view}.release")) == len(SAMPLES)
