"""The documents keep up with the code: links lead somewhere, and scripts and settings are described."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from rosecache.config import Config
from rosefs.cli.examples import EXAMPLES
from rosefs.cli.main import cli
from rosefs.settings import HookSettings, VfsSettings, WatchSettings

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])

_CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def anchors_of(document: Path) -> set[str]:
    """Returns the anchors that GitHub and GitLab make of a document's headings."""
    headings = _HEADING.findall(_CODE_BLOCK.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document: Path) -> Iterator[str]:
    """Yields the relative links of a document that lead to no file, or to no heading of one."""
    for link in _LINK.findall(_CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_relative_links_resolve(document: Path) -> None:
    assert list(dead_links(document)) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# A `b` (c)\n[to itself](a.md), [a heading](#a-b-c), [elsewhere](https://example.org/x)\n"
        "[no file](b.md), [no heading](a.md#z)\n```\n[code](c.md)\n```\n"
    )
    assert list(dead_links(document)) == ["b.md", "a.md#z"]


def test_every_script_is_in_the_readme_or_the_guide_for_developers() -> None:
    text = (REPOSITORY / "README.md").read_text() + (REPOSITORY / "docs/development.md").read_text()
    scripts = [f"scripts/{path.name}" for path in (REPOSITORY / "scripts").iterdir() if path.is_file()]
    assert "scripts/test" in scripts
    assert [script for script in scripts if not re.search(rf"{script}\b", text)] == []


def modules() -> list[Path]:
    found = [*(REPOSITORY / "rosefs").rglob("*.py"), *(REPOSITORY / "cache/rosecache").glob("*.py")]
    return sorted(path.relative_to(REPOSITORY) for path in found if not path.name.startswith("__"))


def test_newcomers_are_told_of_every_module() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    assert Path("rosefs/vfs/tree.py") in modules()
    missing = [path for path in modules() if f"{path.name}`" not in text]
    assert [path for path in missing if not path.name.endswith("_gestures.py")] == []


TABLES = (Config, VfsSettings, WatchSettings, HookSettings)


def settings() -> list[str]:
    tables = [field.name for kind in TABLES for field in msgspec.structs.fields(kind)]
    return [*tables, "state_dir"]


@pytest.mark.parametrize("key", settings())
def test_every_setting_is_documented(key: str) -> None:
    document = REPOSITORY / "docs/configuration.md"
    assert key in anchors_of(document) or f"`{key}`" in document.read_text(encoding="utf-8")


# Examples ---------------------------------------------------------------------------------------------------


def leaves(group: click.Group, *words: str) -> Iterator[tuple[str, click.Command]]:
    """Yields every command that is no group, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, *words, name)
        else:
            yield " ".join([*words, name]), command


COMMANDS = dict(leaves(cli))


def test_every_command_has_an_example_and_no_other_has() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()
    assert [words for words, examples in EXAMPLES.items() if not examples] == []


@pytest.mark.parametrize("words", EXAMPLES)
def test_examples_are_in_the_help_and_in_the_guide_and_can_be_called(words: str) -> None:
    command, guide = COMMANDS[words], (REPOSITORY / "docs/commands.md").read_text(encoding="utf-8")
    shown = command.get_help(click.Context(command)).splitlines()
    blocks = "".join(re.findall(r"^```sh$(.*?)^```", guide, re.MULTILINE | re.DOTALL)).splitlines()
    for example in EXAMPLES[words]:
        assert f"    {example}" in shown
        assert example in blocks
        program, *arguments = shlex.split(example.partition(" > ")[0])
        assert [program, *arguments[: len(words.split())]] == ["rosefs", *words.split()]
        command.make_parser(click.Context(command)).parse_args(arguments[len(words.split()) :])
