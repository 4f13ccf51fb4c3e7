"""Name templates: what they say, what they refuse, and what they cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rosecache.config import PathTemplates, TemplateSet
from rosecache.errors import TemplateError
from rosecache.formatting import FILTERS
from rosecache.model import Artist, ArtistMapping, PartialDate, Release, Track
from rosecache.names import safe_name
from rosecache.templates import (
    CONTEXT_KEYS,
    SAMPLE_RELEASE,
    SAMPLE_TRACK,
    NameTemplate,
    TemplateKind,
    format_artists,
    release_variables,
    track_variables,
    validate_template,
)
from tests.support import targets
from tests.support.probing import Probe


def artists(*names: str) -> tuple[Artist, ...]:
    return tuple(Artist(name) for name in names)


def default_templates() -> Iterator[tuple[str, str, TemplateKind]]:
    """Yields view, text and kind of every built-in template."""
    templates = PathTemplates()
    for field in msgspec.structs.fields(PathTemplates):
        if field.name == "playlists":
            yield field.name, templates.playlists, "playlist-track"
        else:
            yield field.name, templates.of_view(field.name, "release"), "release"
            yield field.name, templates.of_view(field.name, "track"), "track"
            yield field.name, templates.of_view(field.name, "all_tracks"), "track"


RELEASE = replace(SAMPLE_RELEASE, new=False, disctotal=1)
TRACK = replace(SAMPLE_TRACK, release=RELEASE, trackartists=ArtistMapping(main=artists("Kim Lip")))
UNTAGGED_RELEASE = replace(
    RELEASE, releasetitle="", releasetype="unknown", releasedate=None, originaldate=None,
    releaseartists=ArtistMapping(),
)  # fmt: skip
UNTAGGED_TRACK = replace(TRACK, tracktitle="", trackartists=ArtistMapping(), release=UNTAGGED_RELEASE)


def test_a_view_keeps_its_prefix_before_the_users_default() -> None:
    templates = PathTemplates(
        default=TemplateSet(release="{{ releasetitle }}"),
        releases_added_on=TemplateSet(track="{{ tracktitle }}"),
    )
    assert templates.of_view("releases_added_on", "release") == "[{{ added_at[:10] }}] {{ releasetitle }}"
    assert templates.of_view("collages", "release") == "{{ position }}. {{ releasetitle }}"
    assert templates.of_view("releases_added_on", "track") == "{{ tracktitle }}"
    assert templates.of_view("genres", "track") == PathTemplates().default.track


def of_view(view: str, kind: str) -> NameTemplate:
    return NameTemplate(PathTemplates().of_view(view, kind), "release" if kind == "release" else "track")


@pytest.mark.parametrize(("view", "text", "kind"), list(default_templates()))
def test_every_default_template_is_valid(view: str, text: str, kind: TemplateKind) -> None:
    validate_template(text, kind)


@pytest.mark.parametrize(("view", "text", "kind"), list(default_templates()))
@pytest.mark.parametrize("tagged", [True, False])
def test_every_default_template_gives_a_name_that_is_safe_already(
    view: str, text: str, kind: TemplateKind, tagged: bool
) -> None:
    release, track = (RELEASE, TRACK) if tagged else (UNTAGGED_RELEASE, UNTAGGED_TRACK)
    name = NameTemplate(text, kind).render(release if kind == "release" else track, position="1")
    assert name == safe_name(name)


@pytest.mark.parametrize(
    ("view", "kind", "name"),
    [
        ("releases", "release", "Kim Lip - 2017. Kim Lip - Single"),
        ("releases_added_on", "release", "[2023-10-25] Kim Lip - 2017. Kim Lip - Single"),
        ("releases_released_on", "release", "[2017-05-23] Kim Lip - 2017. Kim Lip - Single"),
        ("collages", "release", "1. Kim Lip - 2017. Kim Lip - Single"),
        ("artists", "track", "01. Eclipse"),
        ("artists", "all_tracks", "Kim Lip - 2017. Kim Lip - 01. Eclipse"),
    ],
)
def test_default_names(view: str, kind: str, name: str) -> None:
    entity = RELEASE if kind == "release" else TRACK
    assert of_view(view, kind).render(entity, position="1") == name


def test_default_name_of_a_track_in_a_playlist() -> None:
    template = NameTemplate(PathTemplates().playlists, "playlist-track")
    assert template.render(TRACK, position="03") == "03. Kim Lip - Eclipse"


def test_default_names_where_tags_are_missing() -> None:
    assert of_view("releases", "release").render(UNTAGGED_RELEASE) == "Unknown Artists - Unknown Release"
    assert (
        of_view("releases_released_on", "release").render(UNTAGGED_RELEASE)
        == "[0000-00-00] Unknown Artists - Unknown Release"
    )
    assert of_view("releases", "track").render(UNTAGGED_TRACK) == "01. Unknown Title"


def test_default_names_tell_new_releases_discs_and_guests() -> None:
    assert of_view("releases", "release").render(replace(RELEASE, new=True)).startswith("{NEW} Kim Lip")
    two_discs = replace(
        TRACK,
        release=replace(RELEASE, disctotal=2),
        trackartists=ArtistMapping(main=artists("Kim Lip"), guest=artists("JinSoul", "Choerry")),
    )
    assert of_view("releases", "track").render(two_discs) == "01-01. Eclipse (feat. JinSoul & Choerry)"


def test_every_field_is_a_variable() -> None:
    assert release_variables(SAMPLE_RELEASE).keys() == {field.name for field in fields(Release)}
    track = {field.name for field in fields(Track)} - {"release"} | {"release_id"}
    assert track_variables(SAMPLE_TRACK).keys() == track | {field.name for field in fields(Release)}
    assert track_variables(SAMPLE_TRACK)["id"] == SAMPLE_TRACK.id
    assert track_variables(SAMPLE_TRACK)["release_id"] == SAMPLE_RELEASE.id


@pytest.mark.parametrize("entity", [SAMPLE_RELEASE, SAMPLE_TRACK])
def test_every_variable_can_be_rendered(entity: Release | Track) -> None:
    kind: TemplateKind = "release" if isinstance(entity, Release) else "track"
    known = release_variables(entity) if isinstance(entity, Release) else track_variables(entity)
    for variable in known:
        text = f"{{{{ {variable} }}}}"
        validate_template(text, kind)
        assert NameTemplate(text, kind).render(entity) != ""


def test_values_read_as_text() -> None:
    text = "{{ genres }}|{{ releaseartists }}|{{ releaseartists.main[0] }}|{{ releasedate }}|{{ edition }}"
    release = replace(SAMPLE_RELEASE, edition=None)
    shown = "K-Pop & Contemporary R&B|Kim Lip|Kim Lip|2017-05-23|"
    assert NameTemplate(text, "release").render(release) == shown


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        (ArtistMapping(), "Unknown Artists"),
        (ArtistMapping(main=artists("A")), "A"),
        (ArtistMapping(main=artists("A", "B")), "A & B"),
        (ArtistMapping(main=artists("A", "B", "C")), "A, B & C"),
        (ArtistMapping(main=artists("A", "B", "C", "D")), "A et al."),
        (ArtistMapping(main=artists("A"), guest=artists("B", "C")), "A (feat. B & C)"),
        (ArtistMapping(main=artists("A"), composer=artists("X")), "X performed by A"),
        (ArtistMapping(main=artists("A"), djmixer=artists("X")), "X pres. A"),
        (ArtistMapping(main=artists("A"), conductor=artists("X")), "A under. X"),
        (ArtistMapping(main=artists("A"), producer=artists("X")), "A (prod. X)"),
        (ArtistMapping(main=artists("A"), remixer=artists("X")), "A"),
        (ArtistMapping(main=(Artist("A"), Artist("Alias", alias=True))), "A"),
        (ArtistMapping(main=(Artist("Alias", alias=True),)), "Unknown Artists"),
        (ArtistMapping(composer=artists("X"), conductor=artists("Y")), "X under. Y"),
        (ArtistMapping(guest=artists("X")), "X"),
        (
            ArtistMapping(*(artists(name) for name in ("Main", "G", "R", "P", "Comp", "Cond", "DJ"))),
            "Comp performed by DJ pres. Main under. Cond (feat. G) (prod. P)",
        ),
    ],
)
def test_artistsfmt(mapping: ArtistMapping, text: str) -> None:
    assert format_artists(mapping) == text
    release = replace(RELEASE, releaseartists=mapping)
    assert NameTemplate("{{ releaseartists | artistsfmt }}", "release").render(release) == text


def test_artistsfmt_leaves_out_roles() -> None:
    mapping = ArtistMapping(main=artists("A"), guest=artists("B"), producer=artists("C"))
    release = replace(RELEASE, releaseartists=mapping)
    template = NameTemplate("{{ releaseartists | artistsfmt(omit=['guest']) }}", "release")
    assert template.render(release) == "A (prod. C)"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("releaseartists.main | artistsarrayfmt", "Kim Lip"),
        ("releaseartists.guest | artistsarrayfmt", ""),
        ("genres | arrayfmt", "K-Pop & Contemporary R&B"),
        ("['a', 'b', 'c', 'd'] | arrayfmt", "a, b, c & d"),
        ("[] | arrayfmt", ""),
        ("'ep' | releasetypefmt", "EP"),
        ("'djmix' | releasetypefmt", "DJ-Mix"),
        ("'loosetrack' | releasetypefmt", "Loose Track"),
        ("'mixtape' | releasetypefmt", "Mixtape"),
        ("'unknown' | releasetypefmt", "Unknown"),
        ("'Kim Lip' | sortorder", "Lip, Kim"),
        ("'Paul van Dyk' | sortorder", "Dyk, Paul van"),
        ("'LOONA' | sortorder", "LOONA"),
        ("'Kim Lip' | lastname", "Lip"),
        ("'LOONA' | lastname", "LOONA"),
        ("'7' | rjust(2, '0')", "07"),
        ("7 | rjust(3)", "  7"),
        ("'A1' | ljust(3, '.')", "A1."),
        ("none | rjust(2, '-')", "--"),
        ("releasetitle | upper", "KIM LIP"),
        ("context.genre | sortorder", ""),
    ],
)
def test_filters(expression: str, text: str) -> None:
    assert NameTemplate(f"{{{{ {expression} }}}}", "release").render(SAMPLE_RELEASE) == text


def test_position_and_context() -> None:
    template = NameTemplate(
        "{% if position %}{{ position }}. {% endif %}"
        "{% if context.genre %}({{ context.genre }}) {% endif %}{{ releasetitle }}",
        "release",
    )
    assert template.uses_context
    assert template.render(RELEASE) == "Kim Lip"
    assert template.render(RELEASE, position="04") == "04. Kim Lip"
    assert template.render(RELEASE, context={"genre": "K-Pop"}) == "(K-Pop) Kim Lip"


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("{{ releasetitle }}", False),
        ("position, context", False),
        ("{{ position }}", True),
        ("{{ context.artist }}", True),
        ("{{ releasetitle }}{% if false %}{{ context }}{% endif %}", True),
        ("{% set position = 1 %}{{ position }}", False),
    ],
)
def test_uses_context(text: str, uses: bool) -> None:
    assert NameTemplate(text, "release").uses_context is uses


def test_a_template_is_a_value() -> None:
    assert NameTemplate("{{ id }}", "track") == NameTemplate("{{ id }}", "track")
    assert len({NameTemplate("{{ id }}", kind) for kind in ("track", "release")}) == 2


def test_segments_split_at_the_slashes_of_the_template_only() -> None:
    release = replace(
        RELEASE, releaseartists=ArtistMapping(main=artists("AC/DC")), releasetitle="High/Low", edition=None
    )
    text = "{{ releaseartists | artistsfmt }}/{{ edition }}/{{ releasetitle }}{{ '/' }}x"
    assert NameTemplate(text, "release").render_segments(release) == ["AC_DC", "High_Low_x"]
    assert NameTemplate(text, "release").render(release) == "AC/DC//High/Low/x"


@pytest.mark.parametrize("text", ["{{ edition }}", "{{ edition }}/ /{{ edition }}"])
def test_there_is_always_one_segment(text: str) -> None:
    segments = NameTemplate(text, "release").render_segments(replace(RELEASE, edition=None))
    assert len(segments) == 1
    assert safe_name(segments[0]) == "_"


@pytest.mark.parametrize(
    ("text", "wrong", "existing"),
    [
        ("{{ releasetitel }}", "variable 'releasetitel'", "releasetitle"),
        ("{{ tracktitle }}", "variable 'tracktitle'", "releasetitle"),
        ("{% if false %}{{ titel }}{% endif %}", "variable 'titel'", "releasetitle"),
        ("{{ releaseartists | artistfmt }}", "filter 'artistfmt'", "artistsfmt"),
        ("{% if false %}{{ id | foo }}{% endif %}", "filter 'foo'", "artistsfmt"),
        ("{{ 1 if id is blue else 2 }}", "test 'blue'", "defined"),
        ("{{ context.artits }}", "key of context, 'artits'", "'artist'"),
        ("{{ context['genr'] }}", "key of context, 'genr'", "'genre'"),
        ("{{ releasedate.yaer }}", "yaer", ""),
        ("{{ releasedate.year + 1 }}", "'year'", "if tags are missing"),
        ("{{ releasetitle", "unexpected end of template", ""),
        ("a\n{% if new %}", "line 2", ""),
        ("{{ releaseartists | artistsarrayfmt }}", "not iterable", ""),
        ("{{ 1 // 0 }}", "zero", ""),
        ("", "empty name", ""),
        ("{% if not new %}x{% endif %}", "empty name", ""),
        ("{% include 'x' %}", "'include' is not allowed", ""),
        ("{% import 'x' as y %}", "'import' is not allowed", ""),
        ("{% extends 'x' %}", "'extends' is not allowed", ""),
    ],
)
def test_an_invalid_template_says_what_is_wrong_and_what_exists(text: str, wrong: str, existing: str) -> None:
    with pytest.raises(TemplateError) as caught:
        validate_template(text, "release")
    assert repr(text) in str(caught.value)
    assert wrong in str(caught.value)
    assert existing in str(caught.value)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_the_error_for_an_unknown_filter_lists_ours(name: str) -> None:
    with pytest.raises(TemplateError, match=rf"known: .*\b{name}\b"):
        validate_template("{{ releasetitle | nonsense }}", "release")


@pytest.mark.parametrize("key", CONTEXT_KEYS)
def test_every_key_of_context_is_valid(key: str) -> None:
    validate_template(f"{{{{ context.{key} }}}}{{{{ id }}}}", "playlist-track")


@pytest.mark.parametrize(
    "text",
    [
        "{{ releasetitle.__class__ }}",
        "{{ releasetitle['__class__'] }}",
        "{{ releasetitle | attr('__class__') }}",
        "{{ releaseartists.__init__.__globals__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ '{0.__class__}'.format(id) }}",
        "{{ releaseartists._hidden }}",
        "{{ self.__init__ }}",
        "{{ source_path.unlink() }}",
        "{{ cover_image_path.write_text('') }}",
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{% for i in range(10 ** 30) %}x{% endfor %}",
        "{{ releasetitle * 10 ** 10 }}",
        "{{ 10 ** 10 * [1] }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ '%09999999999d' % 1 }}",
        "{{ '%*d' % (9999999999, 1) }}",
    ],
)
def test_the_sandbox_refuses(text: str) -> None:
    with pytest.raises(TemplateError):
        validate_template(text, "release")


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Probe() as running:
        yield running


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(9) %}{% for b in range(9) %}x{% endfor %}{% endfor %}",
        "{% for a in genres recursive %}{{ loop(genres) }}{{ loop(genres) }}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% block m %}{{ self.m() }}{{ self.m() }}{% endblock %}",
        "{% with x = [id, id] %}{{ x }}{% endwith %}",
        "{% set x = 'xx' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
        "{% set x = 'xx' %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
        "{% set x = 'xx' %}" + "{% set x = '%s%s' | format(x, x) %}" * 60 + "{{ x }}",
        "{% set x = 'xx' %}" + "{% set x = '{0}{0}'.format(x) %}" * 60 + "{{ x }}",
        "{% set x = 'xx' %}" + "{% set x = x.replace('x', x) %}" * 60 + "{{ x }}",
        "{% set x = 'xx' %}" + "{% set x = x | replace('x', x) %}" * 60 + "{{ x }}",
        "{% set x = 'xx' %}" + "{% set x = (x, x) | join(x) %}" * 60 + "{{ x }}",
        "{% set x = 1 %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
        "{% set x = 1 %}" + "{% set x = {'a': x, 'b': x} %}" * 60 + "{{ x }}",
        "{% set n = namespace(x=1) %}" + "{% for a in [[n.x, n.x]] %}{% set n.x = a %}{% endfor %}" * 40,
        "{% set n = namespace(x='x') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ id }}",
        "{% set n = namespace(x=12) %}{% for a in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}{{ id }}",
        "{% for a in range(900) %}" + "{{ range(99) | map('string') | sort | join }}" * 9 + "{% endfor %}",
        "{{ (((2 ** 60) ** 60) ** 60) ** 60 }}",
        "{{ ('x' * 9000).replace('x', 'y' * 9000) }}",
        "{{ ('y' * 9000).join('x' * 9000) }}",
        "{{ ['x' * 9000] * 9000 }}",
        "{{ 'x'.ljust(10 ** 9) }}",
        "{{ (5).to_bytes(10 ** 9, 'big') }}",
        "{{ 1.5 | round(10 ** 9, 'ceil') }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{0::>1000000000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 10 ** 9) }}",
        "{{ '%(a)01000000000d' % {'a': 1} }}",
        "{{ '%01000000000d' | format(1) }}",
        "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
        "{{ " + "not " * 1200 + "1 }}",
        "{{ 'a'" + " | upper" * 500 + " }}",
        "{% if 1 %}" * 200 + "x" + "{% endif %}" * 200,
        "{{ " + "9" * 4900 + " }}",
        "x" * 5001,
    ],
)  # fmt: skip
def test_what_would_take_long_or_much_is_refused(text: str, probe: Probe) -> None:
    measured = probe.measure(targets.template, text)
    assert measured.complaints() == []
    assert measured.result is not None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{% for g in genres %}{{ g }}{% if not loop.last %}/{% endif %}{% endfor %}", "K-Pop/Contemporary R&B"),
        ("{% set n = namespace(x='') %}{% for g in genres %}{% set n.x = n.x ~ g[0] %}{% endfor %}{{ n.x }}", "KC"),
        ("{{ '%02d' | format(disctotal) }}, {{ '{:>4}'.format(releasetype[:2]) }}", "02,   si"),
        ("{{ genres | map('upper') | join(', ') }}", "K-POP, CONTEMPORARY R&B"),
        ("{{ releasetitle | replace('i', 'o') | center(9) }}{{ context.genre | default('-') }}", " Kom Lop -"),
        ("{% set kinds = ['single', 'ep'] %}{{ 'short' if releasetype in kinds else 'long' }}", "short"),
        ("{{ added_at | truncate(80) }} {{ mtime | string | last }}", "2023-10-25T12:00:00-04:00 0"),
        ("{% filter upper %}{% for g in descriptors %}{{ g }}{% endfor %}{% endfilter %}", "LUSHNOCTURNAL"),
    ],
)  # fmt: skip
def test_what_a_name_may_need_is_allowed(text: str, name: str) -> None:
    validate_template(text, "release")
    assert NameTemplate(text, "release").render(SAMPLE_RELEASE) == name


def test_a_loop_may_go_through_hundreds_of_artists_and_not_through_thousands() -> None:
    template = NameTemplate("{% for a in releaseartists.main %}{{ a.name }}, {% endfor %}", "release")
    for count in (400, 4000):
        various = replace(RELEASE, releaseartists=ArtistMapping(main=artists(*map(str, range(count)))))
        if count == 400:
            assert template.render(various).endswith("399, ")
        else:
            with pytest.raises(TemplateError, match="loops of this length"):
                template.render(various)


def test_a_value_is_cut_off_long_after_every_name_is() -> None:
    release = replace(RELEASE, releasetitle="x" * 10**7)
    assert NameTemplate("{{ releasetitle }}.", "release").render(release) == "x" * 1000 + "."


def test_the_sandbox_holds_for_templates_that_nobody_validated() -> None:
    with pytest.raises(TemplateError, match="__class__"):
        NameTemplate("{{ releasetitle.__class__ }}", "release").render(RELEASE)


def test_a_template_that_fails_on_one_release_works_for_others() -> None:
    template = NameTemplate("{{ releasedate.year + 1 }}", "release")
    with pytest.raises(TemplateError, match="year"):
        template.render(UNTAGGED_RELEASE)
    assert template.render(RELEASE) == "2018"


def test_names_ask_only_for_what_they_mention() -> None:
    """A name costs what its template says, however many fields a release has."""

    class Watched:
        """A release that remembers which of its fields were read."""

        def __init__(self) -> None:
            self.read: list[str] = []

        def __getattr__(self, name: str) -> Any:
            self.read.append(name)
            return getattr(RELEASE, name)

    watched: Any = Watched()
    assert (
        NameTemplate("{{ releasetitle }} {{ releasedate }}", "release").render(watched)
        == "Kim Lip 2017-05-23"
    )
    assert sorted(watched.read) == ["releasedate", "releasetitle"]


def test_importing_templates_imports_no_jinja2() -> None:
    program = "import sys, rosecache.templates; print([name for name in sys.modules if 'jinja' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_samples_are_fully_tagged() -> None:
    for sample in (SAMPLE_RELEASE, SAMPLE_TRACK):
        for field in fields(sample):
            assert getattr(sample, field.name) not in (None, "", (), 0), field.name
    assert all(found for _, found in SAMPLE_TRACK.trackartists.items())
    assert isinstance(SAMPLE_RELEASE.releasedate, PartialDate)
    assert isinstance(SAMPLE_RELEASE.source_path, Path)
