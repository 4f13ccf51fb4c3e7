"""Nothing can be changed: every write operation is EROFS, by the kernel's word and by the bindings' own."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.memory_tree import Content, MemoryTree
from tests.support.mounts import SHARED_LIMIT, Mounted, mounted
from tests.support.writes import WRITES

pytestmark = pytest.mark.usefixtures("need_fuse")

CONTENT: dict[str, Content] = {"file": b"la la", "directory": {}}


@pytest.fixture(scope="module", params=[True, False], ids=["refused by the kernel", "refused by the binding"])
def mount(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, binding: str
) -> Iterator[Mounted]:
    tree = partial(MemoryTree, CONTENT)
    directory = tmp_path_factory.mktemp("tree")
    with mounted(tree, directory, binding, read_only=request.param, hard_limit=SHARED_LIMIT) as mount:
        yield mount


@pytest.mark.parametrize("write", WRITES)
def test_every_write_is_erofs(mount: Mounted, write: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        WRITES[write](mount.path, "file", "directory")
    assert caught.value.errno == errno.EROFS
    assert sorted(path.name for path in Path(mount.path).iterdir()) == ["directory", "file"]
    assert (mount.path / "file").read_bytes() == b"la la"
