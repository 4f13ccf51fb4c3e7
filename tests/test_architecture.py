"""The house's plan, checked: which room may import which, and how large a module or a function may grow.

Reads the sources of both packages without importing them, so that also an import inside a function, behind
``TYPE_CHECKING`` or by ``import_module("…")`` counts. docs/architecture.md explains the rooms.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE_PARENTS = {"rosefs": Path("."), "rosecache": Path("cache")}
"""Each package with the directory that holds it, relative to the repository."""

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

_ENGINE = frozenset({"rosecache", "rosefs.settings", "rosefs.mountinfo"})
_TREE = _ENGINE | {"rosefs.library", "rosefs.rules"}
ROOMS: dict[str, frozenset[str]] = {
    "rosecache": frozenset(),
    "rosefs.settings": frozenset({"rosecache"}),
    "rosefs.mountinfo": frozenset(),
    "rosefs.library": _ENGINE,
    "rosefs.rules": _ENGINE | {"rosefs.library"},
    "rosefs.vfs": _TREE,
    "rosefs.fuse": _TREE | {"rosefs.vfs"},
    "rosefs.watch": _ENGINE,
    "rosefs.cli": _TREE | {"rosefs.vfs", "rosefs.fuse", "rosefs.watch"},
    "rosefs.__main__": frozenset({"rosefs.cli"}),
}
"""Every room with the other rooms that it may import. A room is a package or a module."""

FORBIDDEN: tuple[tuple[str, str], ...] = (
    ("rosecache.query", "rosecache.update"),
    ("rosecache.tags", "rosecache.query"),
    ("rosecache.tags", "rosecache.update"),
    *(
        (room, binding)
        for room in (
            "rosecache",
            "rosefs.settings",
            "rosefs.mountinfo",
            "rosefs.library",
            "rosefs.rules",
            "rosefs.vfs",
        )
        for binding in ("pyfuse3", "llfuse", "trio")
    ),
)
"""Pairs of (who, what) that are forbidden beyond the arrows."""


@dataclass(frozen=True, slots=True)
class Module:
    """One source file. ``package`` is what its relative imports start from."""

    name: str
    package: str
    path: Path
    source: str


def modules_of(root: Path) -> Iterator[Module]:
    for package, parent in PACKAGE_PARENTS.items():
        for path in sorted((root / parent / package).rglob("*.py")):
            parts = list(path.relative_to(root / parent).with_suffix("").parts)
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield Module(name, ".".join(parts[:-1]), path.relative_to(root), path.read_text(encoding="utf-8"))


def is_within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(name: str) -> str | None:
    return next((room for room in ROOMS if is_within(name, room)), None)


def imports_of(module: Module, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields the line and the absolute name of everything imported; ``from a import b`` yields ``a.b``."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                above = module.package.split(".")[: 1 - level or None] if level else []
                origin = ".".join([*above, *([source] if source else [])])
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def import_violation(importer: str, imported: str) -> str | None:
    """Returns what is wrong with one module's import of another, or None."""
    for who, what in FORBIDDEN:
        if is_within(importer, who) and is_within(imported, what):
            return f"{who} must not import {what}"
    here, there = room_of(importer), room_of(imported)
    if here is None or there is None or here == there or there in ROOMS[here]:
        # A name of the package rosefs itself, such as its version, is nobody's room.
        if here == "rosecache" and is_within(imported, "rosefs"):
            return "rosecache must not import rosefs"
        return None
    return f"{here} must not import {there}"


def size_violations(module: Module, tree: ast.Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > MAX_MODULE_LINES:
        yield f"{module.path}: {lines} lines, more than {MAX_MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                where = f"{module.path}:{node.lineno}"
                yield f"{where}: {node.name} has {lines} lines, more than {MAX_FUNCTION_LINES}"


def violations(root: Path) -> list[str]:
    """Returns what breaks the plan in the checkout at ``root``, as ``path:line: what``."""
    found = []
    for module in modules_of(root):
        tree = ast.parse(module.source)
        if room_of(module.name) is None and module.name != "rosefs":
            found.append(f"{module.path}: belongs to no room; give it one here and in docs/architecture.md")
        for line, imported in imports_of(module, tree):
            if (wrong := import_violation(module.name, imported)) is not None:
                found.append(f"{module.path}:{line}: {wrong}")
        found.extend(size_violations(module, tree))
    return sorted(set(found))


def test_the_sources_keep_to_the_plan() -> None:
    assert {"rosefs", "rosecache.model"} <= {module.name for module in modules_of(REPOSITORY)}
    assert violations(REPOSITORY) == []


def plant(root: Path, path: str, source: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(source, encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("cache/rosecache/model.py", "import rosefs", "must not import rosefs"),
        ("cache/rosecache/model.py", "from rosefs.vfs import names", "must not import rosefs.vfs"),
        ("cache/rosecache/query/facets.py", "from ..update import walk", "must not import rosecache.update"),
        ("cache/rosecache/query/__init__.py", "from .. import update", "must not import rosecache.update"),
        ("cache/rosecache/tags/id3.py", "import rosecache.update.walk", "must not import rosecache.update"),
        ("cache/rosecache/tags/id3.py", "from rosecache import query", "must not import rosecache.query"),
        ("rosefs/settings.py", "from rosefs.library import trash", "must not import rosefs.library"),
        ("rosefs/library/trash.py", "from rosefs import rules", "must not import rosefs.rules"),
        ("rosefs/rules/run.py", "import rosefs.vfs.names", "must not import rosefs.vfs"),
        ("rosefs/vfs/inodes.py", "def f():\n    import pyfuse3", "must not import pyfuse3"),
        (
            "rosefs/vfs/inodes.py",
            "import importlib\nimportlib.import_module('llfuse')",
            "must not import llfuse",
        ),
        (
            "rosefs/vfs/inodes.py",
            "if TYPE_CHECKING:\n    from trio.lowlevel import x",
            "must not import trio",
        ),
        ("rosefs/vfs/inodes.py", "from ..fuse.errnos import to_errno", "must not import rosefs.fuse"),
        ("rosefs/fuse/mount.py", "from rosefs.cli.main import main", "must not import rosefs.cli"),
        ("rosefs/watch.py", "import rosefs.vfs", "must not import rosefs.vfs"),
        ("rosefs/attic.py", "", "belongs to no room"),
        ("rosefs/watch.py", "\n" * 401, "401 lines, more than 400"),
        (
            "rosefs/watch.py",
            "class A:\n  async def f():\n" + "    pass\n" * 60,
            "f has 61 lines, more than 60",
        ),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, source: str, violation: str) -> None:
    plant(tmp_path, path, source)
    found = violations(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(path)
    assert violation in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "cache/rosecache/update/releases.py",
            "from rosecache.tags import read\nfrom ..query import get_release",
        ),
        ("rosefs/settings.py", "from rosecache import Config"),
        ("rosefs/rules/run.py", "from rosefs.library import releases\nfrom rosefs.settings import Settings"),
        (
            "rosefs/vfs/views.py",
            "from . import names\nfrom .names import safe\nfrom rosefs import __version__",
        ),
        ("rosefs/fuse/on_pyfuse3.py", "import pyfuse3, trio\nfrom rosefs.vfs.filesystem import FileSystem"),
        (
            "rosefs/cli/main.py",
            "import rosecache\nfrom rosefs import fuse, watch\nfrom rosefs.vfs import views",
        ),
        ("rosefs/watch.py", "\n" * 400),
        ("rosefs/watch.py", "def f():\n" + "    pass\n" * 59),
    ],
)
def test_what_the_plan_allows_is_not_a_violation(tmp_path: Path, path: str, source: str) -> None:
    plant(tmp_path, path, source)
    assert violations(tmp_path) == []
