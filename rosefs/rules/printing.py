"""Rules as text: what ``parsing`` reads back as the same rule."""

from __future__ import annotations

import re
import shlex

from rosefs.rules.model import ALIASES, Action, Add, Matcher, Pattern, Replace, Rule, Sed, Split, Tag

_ANCHOR = re.compile(r"((?<!\\)\\+|)([\^$])")


def format_matcher(matcher: Matcher) -> str:
    """Returns the text of a matcher."""
    return f"{_format_tags(matcher.tags)}:{_format_pattern(matcher.pattern)}"


def format_action(action: Action, matcher: Matcher) -> str:
    """Returns the text of an action in a rule with this matcher, without what goes without saying there."""
    behavior = _format_behavior(action)
    if (action.tags, action.pattern) == (matcher.tags, matcher.pattern):
        return behavior
    pattern = "" if action.pattern is None else f":{_format_pattern(action.pattern)}"
    return f"{_format_tags(action.tags)}{pattern}/{behavior}"


def format_rule(rule: Rule) -> str:
    """Returns a rule in one line, as arguments of ``rosefs rules run``, quoted for a shell."""
    words = [format_matcher(rule.matcher), *(format_action(action, rule.matcher) for action in rule.actions)]
    for ignored in rule.ignore:
        words += ["--ignore", format_matcher(ignored)]
    return shlex.join(words)


def _format_tags(tags: tuple[Tag, ...]) -> str:
    names: list[str] = []
    at = 0
    while at < len(tags):
        # An alias where the tags that it stands for are next, in its order; the longest one.
        fitting = [
            name for name, stands_for in ALIASES.items() if tags[at : at + len(stands_for)] == stands_for
        ]
        name = max(fitting, key=lambda name: len(ALIASES[name]), default=tags[at])
        names.append(name)
        at += len(ALIASES.get(name, (name,)))
    return ",".join(names)


def _format_pattern(pattern: Pattern) -> str:
    text = pattern.text

    def escaped(found: re.Match[str]) -> str:
        backslashes, character = found.groups()
        first, last = found.start(2) == 0, found.end() == len(text)
        is_anchor = (first and character == "^") or (last and character == "$")
        return 2 * backslashes + ("\\" if is_anchor else "") + character

    shown = _ANCHOR.sub(escaped, text)
    if pattern.at_end:
        backslashes = len(shown) - len(shown.rstrip("\\"))
        shown += "\\" * backslashes + "$"
    if pattern.at_start:
        shown = f"^{shown}"
    return _escaped(shown) + (":i" if pattern.ignore_case else "")


def _format_behavior(action: Action) -> str:
    match action.behavior:
        case Replace(text=text) | Add(text=text) | Split(delimiter=text):
            return f"{action.behavior.kind}:{_escaped(text)}"
        case Sed(regex=regex, replacement=replacement):
            if replacement.startswith(":"):
                # Behind the colon between the two it would be read as a part of the regular expression.
                replacement = rf"\072{replacement[1:]}"
            return f"sed:{_escaped(regex)}:{_escaped(replacement)}"
        case _:
            return action.behavior.kind


def _escaped(text: str) -> str:
    return text.replace(":", "::").replace("/", "//")
