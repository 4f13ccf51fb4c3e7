"""The rules that the configuration keeps, as rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rosecache.errors import ConfigError
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.model import Action, Matcher, Rule
from rosefs.rules.parsing import parse_action, parse_matcher
from rosefs.settings import StoredRuleSettings

_TABLE = "stored_metadata_rules"


def stored_rules(settings: Iterable[StoredRuleSettings], *, path: Path | None = None) -> list[Rule]:
    """Returns the rules of some tables, in order.

    Args:
        settings: The tables.
        path: The configuration file, for errors.

    Raises:
        ConfigError: One cannot be read. The error names the key, such as ``stored_metadata_rules[2].actions[0]``, and
            shows the place; its cause is the RuleSyntaxError.
    """
    return [_rule(each, f"{_TABLE}[{number}]", path) for number, each in enumerate(settings)]


def _rule(settings: StoredRuleSettings, key: str, path: Path | None) -> Rule:
    def read_matcher(text: str, name: str) -> Matcher:
        try:
            return parse_matcher(text)
        except RuleSyntaxError as error:
            raise ConfigError(str(error), key=f"{key}.{name}", path=path) from error

    def read_action(text: str, name: str) -> Action:
        try:
            return parse_action(text, matcher)
        except RuleSyntaxError as error:
            raise ConfigError(str(error), key=f"{key}.{name}", path=path) from error

    matcher = read_matcher(settings.matcher, "matcher")
    return Rule(
        matcher,
        tuple(read_action(text, f"actions[{number}]") for number, text in enumerate(settings.actions)),
        tuple(read_matcher(text, f"ignore[{number}]") for number, text in enumerate(settings.ignore)),
    )
