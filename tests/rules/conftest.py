"""What several tests of rules count by."""

from __future__ import annotations

import pytest

from rosecache.model import Release, Track
from rosecache.query import rows as query_rows


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[type, int]:
    """Counts the releases and tracks that are made of what is in the cache."""
    counts: dict[type, int] = {Release: 0, Track: 0}
    for kind in (Release, Track):

        def make(kind: type = kind, **fields: object) -> object:
            counts[kind] += 1
            return kind(**fields)

        monkeypatch.setattr(query_rows, kind.__name__, make)
    return counts
