"""The configuration file: starting one, finding its mistakes, and which one is used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import platformdirs
import pytest
from click.testing import CliRunner

from rosecache.config import Config, PathTemplates
from rosefs.cli.main import cli
from rosefs.rules.smart import parse_smart
from rosefs.settings import HookSettings, Settings, SmartSettings, VfsSettings, WatchSettings
from tests.cli.conftest import Cli
from tests.support.audio import make_release

UNIQUE_DEFAULTS = {"cache_dir", "max_proc"}
"""Settings whose defaults are not the same on every machine."""


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual configuration file of a user with a home of their own; it does not exist."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    monkeypatch.delenv("ROSEFS_CONFIG", raising=False)
    return platformdirs.user_config_path("rosefs") / "config.toml"


# init ---------------------------------------------------------------------------------------------------


def test_init_writes_a_file_that_check_accepts(usual: Path, tmp_path: Path) -> None:
    made = CliRunner().invoke(cli, ["config", "init"])
    assert (made.exit_code, usual.exists()) == (0, True)
    assert made.output.startswith(f"wrote {usual};")
    checked = CliRunner().invoke(cli, ["config", "check"])
    assert (checked.exit_code, checked.stdout) == (0, f"{usual}: no mistakes found\n")
    assert Settings.load(usual) == Settings.from_mapping({"music_source_dir": "~/Music"})


def test_init_never_overwrites_unless_told_to(rosefs: Cli) -> None:
    before = rosefs.config.read_text()
    assert rosefs.error("config", "init") == f"{rosefs.config}: there is a file already; --force replaces it"
    assert rosefs.config.read_text() == before
    rosefs("config", "init", "--force")
    assert rosefs.config.read_text() != before


def uncommented(text: str) -> str:
    """Returns the file with every setting that stands in a comment put into force."""
    return re.sub(r"^# ?(?=\[|\]|    \"|\w+ = )", "", text, flags=re.MULTILINE)


def test_every_setting_stands_in_a_comment_with_its_default(rosefs: Cli) -> None:
    rosefs("config", "init", "--force")
    values = tomllib.loads(uncommented(rosefs.config.read_text()))
    settings = Settings.from_mapping({"music_source_dir": "~/Music"})
    templates = values.pop("path_templates")
    shown_vfs, shown_watch, (shown_hook,) = values.pop("vfs"), values.pop("watch"), values.pop("hooks")
    (smart,) = parse_smart(SmartSettings.from_list(values.pop("smart")))
    assert (smart.name, smart.limit) == ("Recently Added", 50)
    assert Path(values.pop("state_dir")).name == settings.state_dir.name
    assert set(values) == {field.name for field in msgspec.structs.fields(Config)} - {"path_templates"}
    assert set(shown_vfs) == {field.name for field in msgspec.structs.fields(VfsSettings)}
    assert shown_watch == msgspec.structs.asdict(WatchSettings())
    assert shown_hook == {
        **msgspec.to_builtins(HookSettings(run=("mpc", "update"))),
        "on": ["release", "collage", "playlist"], "run": ["mpc", "update"],
    }  # fmt: skip
    assert templates["playlists"] == PathTemplates().playlists
    for shown, given in ((values, settings.cache), (shown_vfs, settings.vfs)):
        for name in shown.keys() - UNIQUE_DEFAULTS:
            default = msgspec.to_builtins(getattr(given, name), enc_hook=str)
            if isinstance(shown[name], bool) or (default and name != "music_source_dir"):
                assert shown[name] == (list(default) if isinstance(default, tuple) else default), name


def test_the_settings_in_comments_can_be_put_into_force(rosefs: Cli) -> None:
    rosefs("config", "init", "--force")
    lines = uncommented(rosefs.config.read_text()).splitlines(keepends=True)
    # Either a whitelist or a blacklist; and the file of genres is an example, which is not there.
    rosefs.config.write_text("".join(line for line in lines if not re.match(r"\w+_blacklist|genres_", line)))
    rosefs("config", "check")


# check --------------------------------------------------------------------------------------------------

VIEWS = ", ".join(
    repr(view)
    for view in (
        "artists", "collages", "descriptors", "genres", "labels", "loose_tracks", "playlists", "releases",
        "releases_added_on", "releases_new", "releases_released_on", "search",
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("xyz = true", "xyz: unknown key; expected one of music_source_dir, cache_dir, "),
        ("write_ids_to_tag = true", "write_ids_to_tag: unknown key; did you mean write_ids_to_tags?"),
        ("[vfs]\nmount = '/mnt'", "vfs.mount: unknown key; did you mean mount_dir?"),
        ("write_ids_to_tags = 'no'", "write_ids_to_tags: expected true or false, got text"),
        ("cover_art_stems = 'cover'", "cover_art_stems: expected a list, got text"),
        ("cover_art_stems = ['cover', 1]", "cover_art_stems[1]: expected text, got a whole number"),
        *(
            (f"{key} = ['cover', {part!r}]", f"{key}: expected parts of file names, without slashes")
            for key in ("cover_art_stems", "valid_art_exts")
            for part in ("../cover", "/cover", "cover/", "/")
        ),
        ('valid_art_exts = ["jpg\\u0000"]', "valid_art_exts: expected parts of file names, without slashes"),
        ("max_proc = 0", "max_proc: expected a number of at least 1"),
        ("max_filename_bytes = 300", "max_filename_bytes: expected a number from 20 to 255"),
        ("genres_file = 1", "genres_file: expected a path as text, got 1"),
        (
            "artist_aliases = [{ artist = 'A' }]",
            "artist_aliases[0].aliases: missing, and there is no default",
        ),
        ("vfs = 1", "vfs: expected a table"),
        ("[vfs]\nviews = ['artist']", f"vfs.views[0]: expected one of {VIEWS}; got 'artist'"),
        (
            "[vfs]\nviews = [{ view = 'genres', nam = 'G' }]",
            "vfs.views[0].nam: unknown key; did you mean name?",
        ),
        ("watch = 'off'", "watch: expected a table"),
        (
            "[watch]\nmode = 'event'",
            "watch.mode: expected one of 'auto', 'events', 'off', 'polling'; got 'event'",
        ),
        ("[watch]\npoll_seconds = 0", "watch.poll_seconds: expected a number of seconds from 0.1 to 86400"),
        ("[watch]\npoll_second = 1", "watch.poll_second: unknown key; did you mean poll_seconds?"),
        ("[hooks]\nrun = ['x']", "hooks: expected a list of tables: [[hooks]]"),
        ("hooks = [1]", "hooks[0]: expected a table"),
        (
            "[[hooks]]\nrun = ['x']\n[[hooks]]\nrun = ['x']\non = ['release', 'track']",
            "hooks[1].on[1]: expected one of 'collage', 'playlist', 'release'; got 'track'",
        ),
        ("[[hooks]]\non = ['release']", "hooks[0].run: missing, and there is no default"),
        ("[[hooks]]\nrun = 'mpc update'", "hooks[0].run: expected a list, got text"),
        ("[[hooks]]\nrun = []", "hooks[0].run: expected a program and its arguments"),
        ("[[hooks]]\nrun = ['x']\non = []", "hooks[0].on: expected at least one kind of change"),
        ("[[hooks]]\nrun = ['x']\ntimeout = nan", "hooks[0].timeout: expected a number of seconds from 0.1"),
        ("[vfs]\nviews = []", "vfs.views: expected at least one view"),
        (
            "[path_templates.release]\nrelease = 'x'",
            "path_templates.release: unknown key; did you mean releases?",
        ),
        (
            "[path_templates.artists]\nrelease = '{{ title }}'",
            "path_templates.artists.release: template '{{ title }}': ",
        ),
        (
            "[path_templates.source]\ntrack = '{{ tracktitle'",
            "path_templates.source.track: template '{{ tracktitle': ",
        ),
        ("[path_templates]\nplaylists = ' '", "path_templates.playlists: template ' ': gives an empty name"),
        (
            "[[smart]]\nname = 'x'\nkind = 'search'\nmatcher = 'genr:x'",
            'smart[0].matcher: matcher, column 1: there is no tag "genr"; did you mean genre?',
        ),
        (
            "[[smart]]\nname = 'x'\nkind = 'search'\nmatcher = 'new:true'\nsort = 'duration'",
            "smart[0].sort: a search cannot be sorted by 'duration', but by added_at, ",
        ),
        (
            "[[stored_metadata_rules]]\nmatcher = 'genre:x'\nactions = ['add:y', 'replace:a:b']",
            "stored_metadata_rules[0].actions[1]: action, column 10: expected the end",
        ),
        (f"x = {5000 * '9'}", "not valid TOML: a number has too many digits"),
        (f"x = {5000 * '['}", "not valid TOML: too many brackets in brackets"),
        ("genres_file = '/no/such/file'", "No such file or directory"),
        ("x = ", "not valid TOML: Invalid value (at line 2, column 5)"),
    ],
)
def test_check_names_the_key_and_what_was_expected(rosefs: Cli, line: str, error: str) -> None:
    rosefs.config.write_text(f"music_source_dir = '{rosefs.config.parent}'\n{line}\n")
    where, _, what = rosefs.error("config", "check").partition(": ")
    assert where in (str(rosefs.config), "/no/such/file")
    assert what.startswith(error)


def test_check_names_every_mistake(rosefs: Cli) -> None:
    rosefs.config.write_text(
        f"music_source_dir = '{rosefs.config.parent}'\nmax_proc = '2'\nxyz = 1\n"
        "artist_aliases = [{ artist = 'A' }]\n[vfs]\nmount = 'm'\nviews = ['artist']\n"
        "[path_templates.artists]\nrelease = '{{ title }}'\ntracks = 'x'\n"
    )
    lines = rosefs("config", "check", status=1).stderr.splitlines()
    keys = [line.removeprefix(f"rosefs: error: {rosefs.config}: ").partition(": ")[0] for line in lines]
    assert sorted(keys) == [
        "artist_aliases[0].aliases", "max_proc", "path_templates.artists.release",
        "path_templates.artists.tracks", "vfs.mount", "vfs.views[0]", "xyz",
    ]  # fmt: skip


def test_check_names_every_template_that_is_wrong(rosefs: Cli) -> None:
    rosefs.config.write_text(
        rosefs.config.read_text()
        + "[path_templates.artists]\nrelease = '{{ a }}'\ntrack = '{{ b }}'\nall_tracks = '{{ c }}'\n"
    )
    errors = rosefs("config", "check", status=1).stderr.splitlines()
    assert [error.split(": ")[3] for error in errors] == [
        "path_templates.artists.release",
        "path_templates.artists.track",
        "path_templates.artists.all_tracks",
    ]


def test_check_takes_another_file(rosefs: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("music_source_dir = 1\n")
    rosefs("config", "check")
    assert rosefs.error("config", "check", other).startswith(f"{other}: music_source_dir: ")


def test_check_mentions_a_music_directory_that_is_not_there(c: Config, rosefs: Cli) -> None:
    c.music_source_dir.rmdir()
    noted = rosefs("config", "check")
    assert noted.stderr == (
        f"rosefs: note: music_source_dir: {c.music_source_dir} is no directory at present\n"
    )


# Which file is used -------------------------------------------------------------------------------------


def test_without_any_configuration_the_error_says_how_to_start_one(usual: Path) -> None:
    result = CliRunner().invoke(cli, ["releases", "list"])
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"rosefs: error: {usual}: there is no such configuration file; run 'rosefs config init'"
    )


def test_a_file_that_was_asked_for_has_to_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    result = CliRunner().invoke(cli, ["-c", str(missing), "releases", "list"])
    assert (result.exit_code, result.stderr) == (1, f"rosefs: error: {missing}: No such file or directory\n")


def test_the_option_goes_before_the_variable_and_the_variable_before_the_usual_file(
    c: Config, rosefs: Cli, usual: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(c.music_source_dir)
    rosefs("cache", "update")
    usual.parent.mkdir(parents=True)
    usual.write_text("music_source_dir = 1\n")
    assert CliRunner().invoke(cli, ["releases", "list"]).stderr.startswith(f"rosefs: error: {usual}: ")
    monkeypatch.setenv("ROSEFS_CONFIG", str(rosefs.config))
    assert CliRunner().invoke(cli, ["releases", "list"]).exit_code == 0
    other = tmp_path / "other.toml"
    other.write_text("music_source_dir = 2\n")
    assert (
        CliRunner()
        .invoke(cli, ["-c", str(other), "releases", "list"])
        .stderr.startswith(f"rosefs: error: {other}: ")
    )
