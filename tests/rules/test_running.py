"""Running rules: what is planned by what files say, and what is in the files afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from rosecache.config import Config
from rosecache.model import ROLES
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.tags import read_tags
from rosecache.update import update_cache
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from rosefs.rules.model import DERIVED_TAGS, LIST_TAGS, TAGS, Action, Tag
from rosefs.rules.parsing import parse_action, parse_matcher, parse_rule
from rosefs.rules.running import Plan, plan_actions, plan_rules, run
from tests.support.audio import make_release, make_track, set_tags
from tests.support.library import check_cache, snapshot
from tests.support.rawtags import other_tags
from tests.support.sounds import audio_packets_of
from tests.support.variants import KINDS, VARIANTS


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state")


def release(c: Config, *tracks: dict[str, Any]) -> Path:
    """Makes a release of tracks with some tags, and reads it into the cache."""
    directory = c.music_source_dir / "release"
    for number, tags in enumerate(tracks, 1):
        own = {"title": f"Track {number}", "tracknumber": str(number)}
        make_track(directory / f"{number:02}.opus", **(own | tags))
    update_cache(c)
    return directory


def planned(c: Config, matcher: str, *actions: str, ignore: tuple[str, ...] = ()) -> Plan:
    return plan_rules(c, [parse_rule(matcher, actions, ignore)])


def shown(plan: Plan) -> list[tuple[str, dict[Tag, tuple[str, str]]]]:
    """Returns what a plan changes: the names of files, and by tag what was and what will be."""
    return [
        (
            change.track.source_path.name,
            {each.tag: ("; ".join(each.old), "; ".join(each.new)) for each in change.changes},
        )
        for change in plan.changes
    ]


def test_a_plan_has_the_tags_that_change_and_no_others(c: Config) -> None:
    release(c, {"genre": "K-Pop;Pop"}, {"genre": "Jazz"})
    plan = planned(c, "genre:K-Pop", "replace:Dance", "tracktitle/sed:Track:Song", "label/replace:Label")
    assert shown(plan) == [
        ("01.opus", {"genre": ("K-Pop; Pop", "Dance; Pop"), "tracktitle": ("Track 1", "Song 1")})
    ]
    assert plan.matched == 1


def test_planning_changes_nothing(c: Config, journal: Journal) -> None:
    directory = release(c, {})
    before = snapshot(directory)
    planned(c, "tracktitle:", "replace:x", "new/replace:false")
    assert snapshot(directory) == before


def test_only_the_tracks_that_match_are_changed_also_in_tags_of_the_release(
    c: Config, journal: Journal
) -> None:
    directory = release(c, {"title": "One"}, {"title": "Two"})
    done = run(c, journal, planned(c, "tracktitle:Two", "releasetitle/replace:Other"))
    assert [change.track.source_path.name for change in done.changed] == ["02.opus"]
    assert [read_tags(path).releasetitle for path in sorted(directory.glob("*.opus"))] == ["Album", "Other"]
    check_cache(c)


def test_a_file_decides_where_the_cache_is_behind(c: Config) -> None:
    directory = release(c, {"genre": "K-Pop"}, {"genre": "K-Pop"})
    set_tags(directory / "02.opus", genre="Jazz")
    assert [name for name, _ in shown(planned(c, "genre:K-Pop", "label/delete"))] == ["01.opus"]


def test_new_is_written_to_the_datafile_and_shown_with_each_track(c: Config, journal: Journal) -> None:
    directory = release(c, {}, {})
    before = {path: path.read_bytes() for path in directory.glob("*.opus")}
    plan = planned(c, "tracktitle:Track 2", "new/replace:false")
    assert shown(plan) == [("02.opus", {"new": ("true", "false")})]
    done = run(c, journal, plan)
    assert [release.new for release in list_releases(c)] == [False]
    assert len(done.changed) == 1
    assert {path: path.read_bytes() for path in before} == before


def test_later_rules_see_what_earlier_ones_made(c: Config) -> None:
    release(c, {"genre": "A", "title": "One"}, {"genre": "Z"})
    rules = [
        parse_rule("genre:^A$", ["replace:B", "new/replace:false"]),
        parse_rule("genre:^B$", ["replace:C"]),
        parse_rule("new:false", ["label/replace:Heard"], ["tracktitle:One"]),
        parse_rule("genre:^C$", ["replace:A"], ["genre:Z"]),
    ]
    assert shown(plan_rules(c, rules)) == [
        ("01.opus", {"new": ("true", "false")}),
        ("02.opus", {"label": ("Label", "Heard"), "new": ("true", "false")}),
    ]


def test_parents_follow_from_the_genres_that_earlier_rules_made(c: Config) -> None:
    release(c, {"genre": "Jazz"})
    rules = [
        parse_rule("genre:Jazz", ["replace:K-Pop"]),
        parse_rule("parentgenre:^Asian Music$", ["label/delete"]),
    ]
    assert shown(plan_rules(c, rules)) == [("01.opus", {"genre": ("Jazz", "K-Pop"), "label": ("Label", "")})]


def test_a_value_that_cannot_be_and_a_file_that_cannot_be_read_are_problems(
    c: Config, journal: Journal
) -> None:
    directory = release(c, {"date": "2020"}, {"date": "2021"}, {"date": "2022"})
    (directory / "03.opus").write_bytes(b"broken")
    plan = planned(c, "tracktitle:", "sed:Track 1:;", "releasedate:2021/sed:2021:soon", "label/delete")
    assert [name for name, _ in shown(plan)] == ["01.opus"]
    assert sorted(problem.path.name for problem in plan.problems) == ["02.opus", "03.opus"]
    assert "releasedate" in next(p.reason for p in plan.problems if p.path.name == "02.opus")


def test_a_track_on_which_a_regular_expression_finds_no_end_is_a_problem(c: Config) -> None:
    release(c, {"title": "a" * 50 + "b"}, {"title": "aaa"})
    plan = planned(c, "tracktitle:a", "sed:(a+)+$:x")
    assert [name for name, _ in shown(plan)] == ["02.opus"]
    assert [problem.path.name for problem in plan.problems] == ["01.opus"]


def test_actions_on_given_tracks_need_no_matcher(c: Config) -> None:
    release(c, {}, {})
    action = parse_action("genre/add:Jazz", parse_matcher("tracktitle:no such"))
    plan = plan_actions(c, list_tracks(c), [action])
    assert [name for name, _ in shown(plan)] == ["01.opus", "02.opus"]


def test_what_changed_between_plan_and_run_is_left(c: Config, journal: Journal) -> None:
    directory = release(c, {}, {})
    plan = planned(c, "tracktitle:", "replace:Same")
    set_tags(directory / "01.opus", title="Mine")
    done = run(c, journal, plan)
    assert [problem.path.name for problem in done.problems] == ["01.opus"]
    assert [read_tags(directory / f"0{number}.opus").tracktitle for number in (1, 2)] == ["Mine", "Same"]


def test_a_run_over_several_releases_is_one_undo(c: Config, journal: Journal) -> None:
    for name in ("a", "b", "c"):
        make_release(c.music_source_dir, name, album=name)
    update_cache(c)
    before = snapshot(c.music_source_dir)
    done = run(c, journal, planned(c, "label:", "replace:Other", "new/replace:false"))
    assert len(done.changed) == 6
    undo(c, journal)
    assert snapshot(c.music_source_dir) == before


def test_a_second_run_has_nothing_to_do(c: Config, journal: Journal) -> None:
    release(c, {}, {})
    rule = ("genre:Pop", "add:Dance", "label/split:e", "trackartist[main]/sed:^A:The A")
    assert len(run(c, journal, planned(c, *rule)).changed) == 2
    assert planned(c, "genre:Pop", "add:Dance").changes == ()


def test_numbers_of_m4a_files_are_planned_as_these_hold_them(c: Config, journal: Journal) -> None:
    make_release(c.music_source_dir, "m4a", tracks=1, format="m4a")
    make_release(c.music_source_dir, "mp3", tracks=1, format="mp3")
    update_cache(c)
    padded = ("tracknumber:", r"sed:^(\d)$:0\1")
    assert shown(planned(c, *padded)) == [("01.mp3", {"tracknumber": ("1", "01")})]
    run(c, journal, planned(c, *padded))
    assert planned(c, *padded).changes == ()
    plan = planned(c, "tracknumber:", "replace:A1")
    assert shown(plan) == [("01.mp3", {"tracknumber": ("01", "A1")})]
    [problem] = plan.problems
    assert problem.path.name == "01.m4a"
    assert "tracknumber cannot become \"A1\": 'A1' is not a whole number from 1 to 65535" in problem.reason


# Every tag in every kind of file ----------------------------------------------------------------------------

VALUES: dict[Tag, str] = {
    "tracktitle": "Ein Lied; und / noch eins", "tracknumber": "7", "discnumber": "2", "releasetitle": "日本の歌",
    "releasetype": "ep", "releasedate": "1990-02-03", "originaldate": "1980-12-31", "compositiondate": "1787",
    "genre": "K-Pop;Chanson française", "secondarygenre": "Jazz;Soul", "descriptor": "warm;dense",
    "label": "Één;Two", "catalognumber": "CAT 1", "edition": "Deluxe ÿ", "new": "false",
    **{f"{kind}[{role}]": f"{role} Björk;B {role}" for kind in ("trackartist", "releaseartist") for role in ROLES},
}  # fmt: skip


def test_every_tag_that_can_be_changed_has_a_value() -> None:
    assert set(VALUES) == set(TAGS) - DERIVED_TAGS


def replacing(tag: Tag) -> list[Action]:
    """Returns actions that make a tag hold the value above, whatever it holds."""
    value = VALUES[tag].replace(":", "::").replace("/", "//")
    # Every one of several values would become the same, so they go first.
    texts = [f"{tag}/delete", f"{tag}:^$/replace:{value}"] if tag in LIST_TAGS else [f"{tag}/replace:{value}"]
    return [parse_action(text, parse_matcher(f"{tag}:")) for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_writes_each_tag_into_every_kind_of_file_and_nothing_else(
    kind: str, c: Config, journal: Journal, tmp_path: Path
) -> None:
    (c.music_source_dir / "release").mkdir()
    path = VARIANTS[kind](c.music_source_dir / "release")
    update_cache(c)
    content, before = path.read_bytes(), other_tags(path)
    copies = [shutil.copyfile(path, tmp_path / f"before{path.suffix}")]
    for tag in VALUES:
        done = run(c, journal, plan_actions(c, list_tracks(c), replacing(tag)))
        assert (tag, done.problems) == (tag, ())
        (change,) = done.changed
        wanted = tuple(VALUES[tag].split(";")) if tag in LIST_TAGS else (VALUES[tag],)
        assert [(each.tag, each.new) for each in change.changes] == [(tag, wanted)]
        # What is read again says so: there is nothing left to do.
        again = plan_actions(c, list_tracks(c), replacing(tag))
        assert (tag, again.changes, again.problems) == (tag, (), ())
        after = other_tags(path)
        assert len([raw for raw in after if raw not in before]) <= MOST_FIELDS, tag
        assert len([raw for raw in before if raw not in after]) <= MOST_FIELDS, tag
        copies.append(shutil.copyfile(path, tmp_path / f"{tag}{path.suffix}"))
        undo(c, journal)
        assert path.read_bytes() == content
    packets, *others = audio_packets_of(copies)
    assert dict(zip(VALUES, others, strict=True)) == dict.fromkeys(VALUES, packets)


MOST_FIELDS = 2
"""A date is in two fields of some kinds; artists of all roles go into one field, from that of a producer too."""
