"""Counting what is flushed, in tests of how often the disk is waited for."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from rosecache import flushing


def count_flushes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Returns what counts the flushes of single files and of whole file systems from now on.

    It takes for granted that there is little to be written, whatever else the machine is at.
    """
    counts: Counter[str] = Counter()
    real_one, real_all = os.fsync, flushing._flush_whole

    def one(descriptor: int) -> None:
        counts["fsync"] += 1
        real_one(descriptor)

    def everything(descriptor: int) -> bool:
        counts["syncfs"] += 1
        return real_all(descriptor)

    monkeypatch.setattr(os, "fsync", one)
    monkeypatch.setattr(flushing, "_flush_whole", everything)
    monkeypatch.setattr(flushing, "_dirty", lambda: 0)
    return counts
