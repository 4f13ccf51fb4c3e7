"""The rules that the configuration keeps, and where it is said that one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosecache.errors import ConfigError
from rosefs.rules.parsing import parse_rule
from rosefs.rules.stored import stored_rules
from rosefs.settings import StoredRuleSettings

GOOD = StoredRuleSettings(matcher="genre:Kpop", actions=("replace:K-Pop",), ignore=("new:true",))


def test_tables_become_rules_in_order() -> None:
    other = StoredRuleSettings(matcher="label:", actions=("delete", "genre/add:x"))
    assert stored_rules([GOOD, other]) == [
        parse_rule("genre:Kpop", ["replace:K-Pop"], ["new:true"]),
        parse_rule("label:", ["delete", "genre/add:x"]),
    ]


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("matcher", StoredRuleSettings(matcher="gnere:x", actions=("delete",))),
        ("actions[1]", StoredRuleSettings(matcher="genre:x", actions=("delete", "gnere/delete"))),
        ("ignore[0]", StoredRuleSettings(matcher="genre:x", actions=("delete",), ignore=("gnere:x",))),
    ],
)
def test_an_error_names_the_key_and_shows_the_place(key: str, wrong: StoredRuleSettings) -> None:
    with pytest.raises(ConfigError) as raised:
        stored_rules([GOOD, GOOD, wrong], path=Path("config.toml"))
    assert raised.value.key == f"stored_metadata_rules[2].{key}"
    said = str(raised.value).splitlines()
    assert said[0].startswith(f"config.toml: stored_metadata_rules[2].{key}: ")
    assert "did you mean genre?" in said[0]
    assert said[2].strip() == "^"
