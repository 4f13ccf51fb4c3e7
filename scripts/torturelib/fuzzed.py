"""The process that fuzzes one target, given its name and libFuzzer's arguments; ends when libFuzzer ends it."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

import atheris

with atheris.instrument_imports(include=["mutagen", "rosecache", "rosefs", "tomllib", "tomlkit"]):
    from scripts.torturelib.fuzzing import TARGETS

    importlib.import_module("rosecache.template_engine")  # which is imported only when it is used

if __name__ == "__main__":
    program, name, *arguments = sys.argv
    with tempfile.TemporaryDirectory(prefix="rosefs-fuzz-", ignore_cleanup_errors=True) as directory:
        os.chdir(directory)
        atheris.Setup([program, *arguments], TARGETS[name])
        atheris.Fuzz()
