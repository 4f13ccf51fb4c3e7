"""The frames of ID3 tags as mutagen reads them, at a third of the cost.

Mutagen fills each new frame with defaults, which it checks, before it reads what is in the file, and it looks for the
ends of several texts in odd encodings where nearly every frame holds one plain text. The frames here are
mutagen's, without the first, and with a short way for the second. What has anything special goes mutagen's way.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any

from mutagen.id3 import (
    TXXX,
    Encoding,
    Frames,
    Frames_2_2,
    NumericPartTextFrame,
    NumericTextFrame,
    TextFrame,
)

# Mutagen's frames get their attributes at run time, so no type checker knows them.
_KINDS: tuple[Any, ...] = (TextFrame, NumericTextFrame, NumericPartTextFrame)
_SPECS_OF_ONE_TEXT = [kind._framespec for kind in _KINDS]
"""What is in a frame of an encoding and texts, and nothing else."""

_BY_BYTE = {Encoding.LATIN1: "latin-1", Encoding.UTF8: "utf-8"}
_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_make_encoding: Any = Encoding
_ENCODINGS = {encoding: _make_encoding(encoding) for encoding in (*_BY_BYTE, Encoding.UTF16)}


def _filled_when_read(frame: Any) -> dict[str, Any]:
    def begin(self: Any, *arguments: Any, **named: Any) -> None:
        # Without arguments it is read from a file right after, which sets all of it or fails.
        if arguments or named:
            frame.__init__(self, *arguments, **named)

    return {"__init__": begin}


def _one_text(frame: Any) -> dict[str, Any]:
    def read(self: Any, header: object, data: bytes) -> object:
        text = _plain_text(data[:1], data[1:])
        if text is None:
            return frame._readData(self, header, data)
        vars(self).update(encoding=_ENCODINGS[data[0]], text=[text])
        return b""

    return _filled_when_read(frame) | {"_readData": read}


def _one_text_with_description(frame: Any) -> dict[str, Any]:
    def read(self: Any, header: object, data: bytes) -> object:
        encoding, (first, _, rest) = data[:1], data[1:].partition(b"\0")
        description = _plain_text(encoding, first) if encoding and encoding[0] in _BY_BYTE else None
        text = None if description is None else _plain_text(encoding, rest)
        if text is None:
            return frame._readData(self, header, data)
        vars(self).update(encoding=_ENCODINGS[data[0]], desc=description, text=[text])
        return b""

    return _filled_when_read(frame) | {"_readData": read}


def _plain_text(encoding: bytes, data: bytes) -> str | None:
    """Returns the text that is all of some bytes, but for one zero at the end; None if it is anything else."""
    if not encoding:
        return None
    codec = _BY_BYTE.get(encoding[0])
    if codec is not None:
        text = data.removesuffix(b"\0")
        if b"\0" in text:
            return None
    elif encoding[0] == Encoding.UTF16 and len(data) % 2 == 0 and data.startswith(_BYTE_ORDER_MARKS):
        codec, text = "utf-16", data[:-2] if data.endswith(b"\0\0") else data
    else:
        return None
    try:
        decoded = text.decode(codec)
    except UnicodeDecodeError:
        return None
    return None if "\0" in decoded else decoded or None


def _quick(frame: Any) -> Any:
    if frame is TXXX:
        methods = _one_text_with_description(frame)
    elif frame._framespec in _SPECS_OF_ONE_TEXT:
        methods = _one_text(frame)
    else:
        methods = _filled_when_read(frame)
    return type(frame.__name__, (frame,), methods)


# Those of version 2.2 are made into those of 2.3 by way of their base classes, and stay as they are.
QUICK_FRAMES: Mapping[str, Any] = {**Frames_2_2, **{name: _quick(frame) for name, frame in Frames.items()}}
"""What to give mutagen as ``known_frames``: every frame that it knows, by name."""
