"""Artist aliases."""

from __future__ import annotations

import msgspec
import pytest

from rosecache.aliases import Aliases, load_aliases
from rosecache.config import ArtistAlias, Config
from rosecache.model import Artist, ArtistMapping


def aliases_of(c: Config, *entries: tuple[str, tuple[str, ...]]) -> Aliases:
    return load_aliases(
        msgspec.structs.replace(c, artist_aliases=tuple(ArtistAlias(*entry) for entry in entries))
    )


def mapping(*names: str) -> ArtistMapping:
    return ArtistMapping(main=tuple(map(Artist, names)))


def shown(found: ArtistMapping) -> list[str]:
    return [f"({artist.name})" if artist.alias else artist.name for artist in found.main]


@pytest.mark.parametrize(
    ("credited", "found"),
    [
        (("Nobody",), ["Nobody"]),
        (("Member",), ["Member", "(Band)", "(Family)"]),
        (("Band",), ["Band", "(Family)"]),
        (("Family",), ["Family"]),
        (("Member", "Band"), ["Member", "Band", "(Family)"]),  # nobody twice in a role
        (("Band", "Member"), ["Band", "Member", "(Family)"]),
        (("Member", "Other"), ["Member", "Other", "(Band)", "(Family)"]),
        (("Circle A",), ["Circle A", "(Circle C)", "(Circle B)"]),
        (("Self",), ["Self"]),
        (("member",), ["member"]),
    ],
)
def test_aliases_are_added_transitively(c: Config, credited: tuple[str, ...], found: list[str]) -> None:
    aliases = aliases_of(
        c,
        ("Family", ("Band",)),
        ("Band", ("Member", "Other")),
        ("Circle A", ("Circle B",)),
        ("Circle B", ("Circle C",)),
        ("Circle C", ("Circle A",)),
        ("Self", ("Self",)),
    )
    assert shown(aliases.applied_to(mapping(*credited))) == found


def test_an_alias_is_added_in_the_role_of_the_credit(c: Config) -> None:
    aliases = aliases_of(c, ("Band", ("Member",)))
    credited = ArtistMapping(main=(Artist("Band"),), remixer=(Artist("Member"),))
    assert aliases.applied_to(credited) == ArtistMapping(
        main=(Artist("Band"),), remixer=(Artist("Member"), Artist("Band", alias=True))
    )


def test_members_are_followed_down(c: Config) -> None:
    aliases = aliases_of(c, ("Family", ("Band",)), ("Band", ("Member", "Other")), ("Other", ("Family",)))
    assert aliases.members_of("Family") == ("Band", "Member", "Other")
    assert aliases.members_of("Member") == ()


def test_a_name_can_count_as_several_artists(c: Config) -> None:
    aliases = aliases_of(c, ("One", ("Member",)), ("Two", ("Member",)))
    assert shown(aliases.applied_to(mapping("Member"))) == ["Member", "(One)", "(Two)"]


def test_without_aliases_nothing_is_added(c: Config) -> None:
    assert load_aliases(c).applied_to(mapping("Member")) == mapping("Member")
