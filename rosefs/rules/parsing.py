r"""Reading of rules. What cannot be read raises an error that points at the place; nothing else is raised.

    <matcher>  ::= <tags> ":" <pattern> [":" "i"]
    <action>   ::= [(<tags> | "matched") [":" <pattern> [":" "i"]] "/"] <behavior>
    <tags>     ::= <tag> ("," <tag>)*
    <pattern>  ::= ["^"] <text> ["$"]
    <behavior> ::= "replace:" <text> | "sed:" <text> ":" <text> | "split:" <text> | "add:" <text> | "delete"

In texts ``::`` is a colon and ``//`` a slash. Backslashes right before ``^`` or ``$`` in a pattern: two
stand for one, and an odd one makes the character literal; everywhere else they are themselves.
docs/rules.md explains it all.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

from rosecache.model import ROLES
from rosefs.rules.acting import compiled, pieces
from rosefs.rules.checking import checked
from rosefs.rules.errors import Part, RuleSyntaxError
from rosefs.rules.model import (
    ALIASES,
    DERIVED_TAGS,
    LIST_TAGS,
    RELEASE_TAGS,
    TAGS,
    TRACK_TAGS,
    Action,
    Add,
    Behavior,
    Delete,
    Matcher,
    Pattern,
    Replace,
    Rule,
    Sed,
    Split,
    Tag,
)

_KINDS = ("replace", "sed", "split", "add", "delete")
_KINDS_TEXT = "replace:…, sed:…:…, split:…, add:… or delete"
_MATCHED = "matched"
_NAMES = (
    [tag for tag in TRACK_TAGS if "[" not in tag]
    + [*ALIASES]
    + [tag for tag in RELEASE_TAGS if "[" not in tag]
)
_WITH_ROLES = ("trackartist", "releaseartist")
_NAMES_TEXT = ", ".join(f"{name}[role]" if name in _WITH_ROLES else name for name in _NAMES)
_LISTS_TEXT = ", ".join(name for name in _NAMES if name in LIST_TAGS - DERIVED_TAGS or name in ALIASES)
_ARGUMENTS = {
    "replace": "the new value",
    "sed": "a regular expression",
    "split": "the delimiter",
    "add": "the value to add",
}
_GROUP_NAME = re.compile(r"\\(?:g<(\D[^>]*)>|.)", re.DOTALL)
_ESCAPED_ANCHOR = re.compile(r"(?<!\\)(\\+)(?=[\^$])")


def parse_matcher(text: str) -> Matcher:
    """Reads a matcher.

    Raises:
        RuleSyntaxError: It is none.
    """
    source = _Source.of("matcher", text)
    tags, at = source.tags(0, ":")
    if at == len(source.text):
        raise source.error(at, 'expected ":" and the pattern')
    pattern, _ = source.pattern(at + 1, ":")
    return Matcher(tags, pattern)


def parse_action(text: str, matcher: Matcher) -> Action:
    """Reads an action of a rule that has the matcher.

    Raises:
        RuleSyntaxError: It is none, or would do what cannot be done to one of its tags.
    """
    source = _Source.of("action", text)
    tags, pattern, at = _target(source, matcher)
    behavior, value_at = source.behavior(at)
    _refuse_impossible(source, tags, behavior, at, value_at)
    return Action(tags, pattern, behavior)


def parse_rule(matcher: str, actions: Iterable[str], ignore: Iterable[str] = ()) -> Rule:
    """Reads a rule: its matcher, its actions, and the matchers of what it leaves alone.

    Raises:
        RuleSyntaxError: One of the texts cannot be read, or there is no action.
    """
    parsed = parse_matcher(matcher)
    acting = tuple(parse_action(action, parsed) for action in actions)
    if not acting:
        raise RuleSyntaxError("action", "", 1, f"expected at least one action: {_KINDS_TEXT}")
    return Rule(parsed, acting, tuple(map(parse_matcher, ignore)))


class _Source(msgspec.Struct, frozen=True):
    """A text that is being read. Places in it are indices of characters."""

    part: Part
    text: str

    @classmethod
    def of(cls, part: Part, text: str) -> _Source:
        source = cls(part, unicodedata.normalize("NFC", text))
        for at, character in enumerate(source.text):
            if character == "\0" or "\ud800" <= character <= "\udfff":
                raise source.error(at, "expected text; this character is none, and in no tag")
        return source

    def error(self, at: int, reason: str) -> RuleSyntaxError:
        return RuleSyntaxError(self.part, self.text, at + 1, reason)

    def word(self, at: int, ends: str) -> tuple[str, int]:
        """Returns what is there up to one of the characters, or the end, and where that is."""
        end = next((i for i in range(at, len(self.text)) if self.text[i] in ends), len(self.text))
        return self.text[at:end], end

    def tags(self, at: int, ends: str) -> tuple[tuple[Tag, ...], int]:
        """Reads a list of tags. Returns them and where it ends."""
        found: dict[Tag, None] = {}
        while True:
            name, end = self.word(at, f",{ends}")
            found.update(dict.fromkeys(self.tag(at, name)))
            if self.text[end : end + 1] != ",":
                return tuple(found), end
            at = end + 1

    def tag(self, at: int, written: str) -> tuple[Tag, ...]:
        name = written.strip()
        at += len(written) - len(written.lstrip())
        if name in ALIASES:
            return ALIASES[name]
        if name in DERIVED_TAGS and self.part == "action":
            raise self.error(
                at, f"{name} follows from other tags and can only be matched; expected a tag to change"
            )
        if name in TAGS:
            return (name,)
        if not name:
            raise self.error(at, f"expected a tag: {_NAMES_TEXT}")
        if name == _MATCHED:
            where = "only at the start of an action" if self.part == "matcher" else "without other tags"
            raise self.error(at, f'expected a tag; "{_MATCHED}" can be used {where}')
        kind, bracket, _ = name.partition("[")
        if bracket and f"{kind}[main]" in TAGS:
            roles = ", ".join(ROLES)
            raise self.error(at + len(kind) + 1, f'expected a role and "]"; the roles are {roles}')
        hint = _suggestion(name, _NAMES) or f"expected {_NAMES_TEXT}"
        raise self.error(at, f'there is no tag "{name}"; {hint}')

    def chunk(self, at: int, ends: str) -> tuple[str, Sequence[int], int]:
        """Reads a text up to a single one of the characters, or the end.

        Returns:
            The text, the place of each of its characters, and where it ends.
        """
        characters, places = [], []
        while at < len(self.text):
            character = self.text[at]
            doubled = character in ":/" and self.text[at + 1 : at + 2] == character
            if character in ends and not doubled:
                break
            characters.append(character)
            places.append(at)
            at += 2 if doubled else 1
        return "".join(characters), [*places, at], at

    def pattern(self, at: int, ends: str) -> tuple[Pattern, int]:
        """Reads a pattern with its flags. Returns it and where it ends."""
        text, _, at = self.chunk(at, ends)
        if self.text[at : at + 1] != ":":
            return _anchored(text, ignore_case=False), at
        flags, end = self.word(at + 1, ends.replace(":", ""))
        if flags != "i":
            wrong = at + 1 + flags.startswith("i")
            raise self.error(wrong, 'the only flag is "i", to ignore case; a colon in a text is written "::"')
        return _anchored(text, ignore_case=True), end

    def behavior(self, at: int) -> tuple[Behavior, int]:
        """Reads what an action does. Returns it and where its first argument begins."""
        kind, end = self.word(at, ":")
        if kind not in _KINDS:
            hint = _suggestion(kind, _KINDS) or f"expected {_KINDS_TEXT}"
            raise self.error(at, f'there is no action "{kind}"; {hint}' if kind else hint)
        if kind == "delete":
            self.expect_end(end)
            return Delete(), end
        if end == len(self.text):
            raise self.error(end, f'expected ":" and {_ARGUMENTS[kind]}')
        if kind == "sed":
            return self.sed(end + 1), end + 1
        text, _, after = self.chunk(end + 1, ":")
        self.expect_end(after)
        if kind == "replace":
            return Replace(text), end + 1
        if not text or (kind == "add" and not pieces(text)):
            raise self.error(end + 1, f"expected {_ARGUMENTS[kind]}")
        return Split(text) if kind == "split" else Add(text), end + 1

    def sed(self, at: int) -> Sed:
        regex, places, middle = self.chunk(at, ":")
        if not regex:
            raise self.error(at, "expected a regular expression")
        if middle == len(self.text):
            raise self.error(middle, 'expected ":" and the replacement')
        replacement, replacement_places, end = self.chunk(middle + 1, ":")
        self.expect_end(end)
        try:
            compiled(Sed(regex, ""))
        except re.error as error:
            raise self.error(places[error.pos or 0], f"expected a regular expression: {error.msg}") from error
        except (OverflowError, RecursionError) as error:
            raise self.error(at, f"expected a regular expression that Python can use: {error}") from error
        try:
            compiled(Sed(regex, replacement))
        except re.error as error:
            wrong = replacement_places[error.pos or 0]
            raise self.error(wrong, f"expected a replacement: {error.msg}") from error
        except IndexError as error:
            names = compiled(Sed(regex, "")).groupindex
            groups = (found for found in _GROUP_NAME.finditer(replacement) if found[1] is not None)
            unknown = next((found.start(1) for found in groups if found[1] not in names), 0)
            wrong = replacement_places[unknown]
            raise self.error(wrong, f"expected a replacement: {error}") from error
        return Sed(regex, replacement)

    def expect_end(self, at: int) -> None:
        if at < len(self.text):
            raise self.error(at, 'expected the end; a colon in a text is written "::"')


def _target(source: _Source, matcher: Matcher) -> tuple[tuple[Tag, ...], Pattern | None, int]:
    """Reads the part of an action before what it does. Returns tags, pattern, and where the rest begins."""
    word, at = source.word(0, ":/,")
    following = source.text[at : at + 1]
    if not source.text or (word in _KINDS and following not in ("/", ",")):
        return matcher.tags, matcher.pattern, 0
    pattern: Pattern | None
    if word == _MATCHED and following != ",":
        tags, pattern = matcher.tags, matcher.pattern
    else:
        if following in ("", ":") and word not in (*ALIASES, *TAGS) and (hint := _suggestion(word, _KINDS)):
            raise source.error(0, f'there is no action "{word}"; {hint}')
        (tags, at), pattern = source.tags(0, ":/"), None
    if source.text[at : at + 1] == ":":
        pattern, at = source.pattern(at + 1, ":/")
    if at == len(source.text):
        raise source.error(at, f'expected "/" and what to do: {_KINDS_TEXT}')
    return tags, pattern, at + 1


def _refuse_impossible(
    source: _Source, tags: tuple[Tag, ...], behavior: Behavior, at: int, value_at: int
) -> None:
    """Raises for what a behavior, read at ``at``, cannot do to one of the tags."""
    for tag in tags:
        if tag in DERIVED_TAGS:
            raise source.error(
                0,
                f"the matcher's {tag} follows from other tags and can only be matched; expected tags to change",
            )
        if isinstance(behavior, Split | Add) and tag not in LIST_TAGS:
            raise source.error(
                at,
                f"{behavior.kind} is for tags that hold several values ({_LISTS_TEXT}), and {tag} holds one",
            )
        if tag == "new" and isinstance(behavior, Delete):
            raise source.error(at, "new cannot be deleted; expected replace:true or replace:false")
        if isinstance(behavior, Replace | Add):
            values = (
                pieces(behavior.text) if tag in LIST_TAGS else tuple(filter(None, [behavior.text.strip()]))
            )
            try:
                checked(tag, values)
            except ValueError as error:
                raise source.error(value_at, f"expected a value for {tag}: {error}") from error


def _anchored(text: str, *, ignore_case: bool) -> Pattern:
    at_start = text.startswith("^")
    text = text[at_start:]
    before = text[:-1]
    at_end = text.endswith("$") and (len(before) - len(before.rstrip("\\"))) % 2 == 0
    text = _ESCAPED_ANCHOR.sub(lambda found: found[1][: len(found[1]) // 2], text)
    return Pattern(text[:-1] if at_end else text, at_start, at_end, ignore_case)


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else ""
