"""Composing Unicode (NFC) in a time that grows as the text does.

The standard library sorts the marks on a letter by moving each past all before it: a letter with a million of them
takes hours, in which nothing else runs. No script puts more than a handful on one, so a longer run is composed in
pieces. Nothing here knows what a text is for.
"""

from __future__ import annotations

import re
import unicodedata

_LONG = 1024

# What is ASCII never composes with what is before it, so nothing is lost between two pieces.
_PIECES = re.compile(rf"[\x00-\x7f]+[^\x00-\x7f]{{0,{_LONG}}}|[^\x00-\x7f]{{1,{_LONG}}}")


def compose(text: str) -> str:
    """Returns the text in NFC; where it has more than a thousand characters without ASCII, of each thousand of them."""
    if len(text) <= _LONG:
        return unicodedata.normalize("NFC", text)
    return "".join(unicodedata.normalize("NFC", piece) for piece in _PIECES.findall(text))
