"""Broken and hostile input: files damaged by chance, files with more in their tags than anybody needs, and texts
and names that have broken programs before.

Everything here only makes bytes. What a test does with them is its own business.
"""

from __future__ import annotations

import random
import struct
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.support.audio import FIXTURES, FORMATS
from tests.support.variants import id3_frame, id3_tag

# Damage by chance --------------------------------------------------------------------------------------

_SIZES = (0, 1, 2**7, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8, 2**24 - 1)
_HEAD = 4000
"""Where the tags of small files are: most damage goes here, since audio is never looked at."""


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _zeros(data: bytearray, chance: random.Random) -> None:
    at, size = _somewhere(data, chance), chance.choice((1, 4, 64, 4096))
    data[at : at + size] = bytes(len(data[at : at + size]))


def _noise(data: bytearray, chance: random.Random) -> None:
    at, size = _somewhere(data, chance), chance.choice((1, 4, 64, 4096))
    data[at : at + size] = chance.randbytes(len(data[at : at + size]))


def _bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 3, 30))):
        data[_somewhere(data, chance)] ^= 1 << chance.randrange(8)


def _edges(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 3, 30))):
        data[_somewhere(data, chance)] = chance.choice((0, 1, 127, 128, 255))


def _size(data: bytearray, chance: random.Random) -> None:
    """Writes a number where one may be: huge ones, and negative ones for who reads them with a sign."""
    at, form = _somewhere(data, chance), chance.choice((">I", "<I", ">Q", "<Q", ">H", ">i", "<i"))
    number = chance.choice(_SIZES) if form.isupper() or form[1] != "i" else -chance.choice(_SIZES[:6])
    packed = struct.pack(form, number & 0xFFFF if form == ">H" else number)
    data[at : at + len(packed)] = packed


def _gone(data: bytearray, chance: random.Random) -> None:
    at = _somewhere(data, chance)
    del data[at : at + chance.choice((1, 4, 100, 1000))]


def _twice(data: bytearray, chance: random.Random) -> None:
    at, size = _somewhere(data, chance), chance.choice((1, 4, 100, 1000))
    data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))


def _elsewhere(data: bytearray, chance: random.Random) -> None:
    at, size = _somewhere(data, chance), chance.choice((4, 100, 1000))
    other = _somewhere(data, chance)
    data[at : at + size] = data[other : other + size]


def _somewhere(data: bytearray, chance: random.Random) -> int:
    if not data:
        data.append(0)
    return chance.randrange(len(data) if chance.random() < 0.2 else min(len(data), _HEAD))


MUTATIONS: Mapping[str, Callable[[bytearray, random.Random], None]] = {
    "cut off": _cut, "zeros": _zeros, "noise": _noise, "bits": _bits, "edges": _edges, "size": _size,
    "gone": _gone, "twice": _twice, "elsewhere": _elsewhere,
}  # fmt: skip


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """Returns what one to four mutations by chance leave of a file; sometimes nothing, sometimes all of it."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        MUTATIONS[chance.choice(sorted(MUTATIONS))](data, chance)
    return bytes(data)


# More than anybody needs -------------------------------------------------------------------------------

Comments = list[tuple[bytes, bytes]]
"""Names and values: of Vorbis comments, of TXXX frames, or of MP4's items of free form."""


def audio_with(suffix: str, comments: Comments) -> bytes:
    """Returns a file of a format whose tags are just these, made byte by byte: no program would write them."""
    whole = (FIXTURES / f"silence.{suffix}").read_bytes()
    match suffix:
        case "mp3":
            frames = b"".join(_id3(name, value) for name, value in comments)
            return id3_tag(4, frames) + whole[_id3_end(whole) :]
        case "m4a":
            return _mp4_with(whole, b"".join(_mp4_item(name, value) for name, value in comments))
        case "flac":
            block = _vorbis(comments)
            if len(block) >= 2**24:
                raise ValueError("no block of FLAC is that large")
            head = whole[:4] + b"\0" + whole[5:42] + b"\x84" + struct.pack(">I", len(block))[1:]
            return head + block + whole[_flac_end(whole) :]
        case _:
            return _ogg_with(whole, suffix, _vorbis(comments))


def _id3(name: bytes, value: bytes) -> bytes:
    frames = {b"artist": b"TPE1", b"title": b"TIT2", b"album": b"TALB", b"genre": b"TCON"}
    if name in frames:
        return id3_frame(4, frames[name], b"\x03" + value)
    return id3_frame(4, b"TXXX", b"\x03" + name + b"\0" + value)


def _id3_end(whole: bytes) -> int:
    if not whole.startswith(b"ID3"):
        return 0
    return 10 + sum((byte & 127) << shift for byte, shift in zip(whole[6:10], (21, 14, 7, 0), strict=True))


def _flac_end(whole: bytes) -> int:
    """Returns where the metadata blocks end and the audio starts."""
    at, is_last = 4, False
    while not is_last:
        is_last = bool(whole[at] & 0x80)
        at += 4 + int.from_bytes(whole[at + 1 : at + 4], "big")
    return at


def _atom(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _mp4_item(name: bytes, value: bytes) -> bytes:
    items = {b"artist": b"\xa9ART", b"title": b"\xa9nam", b"album": b"\xa9alb", b"genre": b"\xa9gen"}
    data = _atom(b"data", struct.pack(">II", 1, 0) + value)
    if name in items:
        return _atom(items[name], data)
    mean, key = _atom(b"mean", bytes(4) + b"com.apple.iTunes"), _atom(b"name", bytes(4) + name)
    return _atom(b"----", mean + key + data)


def _mp4_with(whole: bytes, items: bytes) -> bytes:
    meta = _atom(
        b"meta", bytes(4) + _atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9)) + _atom(b"ilst", items)
    )
    at = whole.index(b"moov") - 4
    (size,) = struct.unpack_from(">I", whole, at)
    moov = whole[at + 8 : at + size]
    if (udta := moov.find(b"udta")) >= 0:
        (old,) = struct.unpack_from(">I", moov, udta - 4)
        moov = moov[: udta - 4] + moov[udta - 4 + old :]
    return whole[:at] + _atom(b"moov", moov + _atom(b"udta", meta)) + whole[at + size :]


def _vorbis(comments: Comments) -> bytes:
    made = [name + b"=" + value for name, value in comments]
    packed = b"".join(struct.pack("<I", len(comment)) + comment for comment in made)
    return struct.pack("<I", 4) + b"test" + struct.pack("<I", len(made)) + packed


def _ogg_with(whole: bytes, suffix: str, block: bytes) -> bytes:
    """Puts a comment packet into the second page and as many more as it takes; all numbers of pages are right."""
    first, rest = _pages(whole)
    if suffix == "opus":
        packets = [b"OpusTags" + block]
        after = rest[1:]
    else:
        # The second page of the fixture holds comments and setup, which has to follow in its own packet.
        setup = b"".join(page[27 + page[26] :] for page in rest if not _granule(page))
        packets = [b"\x03vorbis" + block + b"\x01", setup[setup.index(b"\x05vorbis") :]]
        after = [page for page in rest if _granule(page)]
    serial = whole[14:18]
    pages = [first]
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    content, at, continued = b"".join(packets), 0, False
    for start in range(0, len(lacing), 255):
        sizes = lacing[start : start + 255]
        body = content[at : at + sum(sizes)]
        at += len(body)
        pages.append(_page(serial, len(pages), 1 if continued else 0, 0, sizes, body))
        continued = sizes[-1] == 255
    for page in after:
        sizes = page[27 : 27 + page[26]]
        pages.append(_page(serial, len(pages), page[5], _granule(page), sizes, page[27 + len(sizes) :]))
    return b"".join(pages)


def _pages(whole: bytes) -> tuple[bytes, list[bytes]]:
    pages, at = [], 0
    while at < len(whole):
        sizes = whole[at + 27 : at + 27 + whole[at + 26]]
        end = at + 27 + len(sizes) + sum(sizes)
        pages.append(whole[at:end])
        at = end
    return pages[0], pages[1:]


def _granule(page: bytes) -> int:
    return int(struct.unpack_from("<q", page, 6)[0])


def _page(serial: bytes, number: int, flags: int, granule: int, sizes: bytes, body: bytes) -> bytes:
    """Returns a page without a checksum, which nothing that reads tags looks at."""
    head = b"OggS\0" + bytes([flags]) + struct.pack("<q", granule) + serial + struct.pack("<I", number)
    return head + bytes(4) + bytes([len(sizes)]) + sizes + body


_LARGE = 50_000_000
HEAVY: Mapping[str, Callable[[int], Comments]] = {
    "50 MB in one field": lambda most: [(b"comment", b"x" * min(most, _LARGE))],
    "50 MB in a title": lambda most: [(b"title", "ö".encode() * (min(most, _LARGE) // 2))],
    "50 MB in 500 fields": lambda most: [
        (b"k%d" % number, b"x" * (min(most, _LARGE) // 500 - 64)) for number in range(500)
    ],
    "200,000 fields": lambda most: [(b"k%d" % number, b"x") for number in range(200_000)],
    "100,000 times one field": lambda most: [(b"artist", b"Artist %d" % number) for number in range(100_000)],
    "ten thousand artists": lambda most: [(b"artist", b";".join(b"Artist %d" % n for n in range(10_000)))],
    "ten thousand guests": lambda most: [(b"artist", b" feat. ".join(b"Artist %d" % n for n in range(10_000)))],
    "a million blanks": lambda most: [
        (name, b"a" + b" " * 1_000_000 + b"b") for name in (b"artist", b"genre", b"title")
    ],
    "a million separators": lambda most: [
        (name, b";" * 1_000_000) for name in (b"artist", b"genre", b"title")
    ],
    "a million letters that go together": lambda most: [
        (b"title", ("a" + "\u0301\u0316" * 500_000).encode()), (b"genre", b"a" * 1_000_000),
    ],
}  # fmt: skip
"""Tags that are far too much, given the most bytes that the format can hold."""


def heavy_files() -> Iterator[tuple[str, str, bytes]]:
    """Yields a name, a suffix and the content of files of every format, whose tags are far too much."""
    for suffix in FORMATS:
        most = 2**24 - 4096 if suffix == "flac" else 2**28 - 4096
        for name, comments in HEAVY.items():
            yield f"{name}, {suffix}", suffix, audio_with(suffix, comments(most))


# Texts and names ---------------------------------------------------------------------------------------

HOSTILE_TEXTS: tuple[str, ...] = (
    "", " ", "\t", ".", "..", "...", "/", "//", "../../../../etc/passwd", "/etc/passwd", "a/../../b", "~", "~root",
    "a\0b", "\0", "a\nb", "\n", "\r\n", "a\x1b[31mred", "\x7f", "\x85", "\u2028", "\ufeff", "\u202eevil.exe",
    "\u200f\u200e", "\u200b", "\u00ad", "CON", "nul.txt", "-rf", "--help", "*", "?", "[a]", "%s%n", "$(id)", "`id`",
    "'; DROP TABLE tracks; --", '"', "'", "\\", "\\\\PARENTS:\\\\", "{{ 1 / 0 }}", "{% raw %}", "[bold]x[/bold]",
    "a" * 255, "a" * 256, "é" * 127 + "a", "é" * 128, "日" * 85, "日" * 86, "\U0001f468\u200d\U0001f469" * 40,
    "e\u0301" * 100, "\u0301", "Björk", unicodedata.normalize("NFD", "Björk"), "BJÖRK", "björk", "ﬁ", "Å", "K",
    "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", ".rose.x.toml", ".in-progress.rosefs.x", "!collages",
    "!playlists", "..;..", "; ; ;", "a; a; a", " feat. ", "feat. feat. feat.", "a performed by b pres. c under. d",
    "9" * 5000, "-1", "0", "1/2/3", "2020-99-99", "0000", "99999999999", "2020-02-30T25:61:61", "1e309", "nan",
)  # fmt: skip
"""Texts for tags, none of which is anything special, and all of which have been to some program."""

HOSTILE_NAMES: tuple[bytes, ...] = (
    b"a" * 255, b"\xc3\xa9" * 127 + b"a", b"\xff\xfe", b"\xed\xa0\x80", b"a\xc3", b"...", b" ", b"a ", b" a",
    b"\n", b"a\nb", b"\x1b[31m", b"\x7f", b"\xe2\x80\xaegpj.exe", b"\xe2\x80\x8f", b"-rf", b"--help", b"~", b"*?[a]",
    b"$(touch x)", b"`id`", b"'\"", b"\\", b"\\\\server", b"%2F", b"%s", b"{{ 7*7 }}", b"[bold]", b":memory:", b"CON",
    "Björk".encode(), unicodedata.normalize("NFD", "Björk").encode(), b"case", b"CASE", b"Case", b".hidden",
    b"\xef\xbb\xbfbom", b"a;b", b"#", b"&", b"\xc2\xa0", b"\xe2\x80\xa8",
)  # fmt: skip
"""Names that the disk takes, in the file system's bytes; of 256 bytes it takes none."""

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""All characters that do nothing but turn the direction of text."""


def steers(character: str) -> bool:
    """Tells whether a character breaks a line, steers a terminal, or turns the direction of text."""
    return character in TURNING or unicodedata.category(character) in ("Cc", "Zl", "Zp")


# TOML --------------------------------------------------------------------------------------------------

_DEEP = 20_000
BROKEN_TOML: Mapping[str, bytes] = {
    "nothing": b"",
    "no TOML": b"this is not TOML",
    "a NUL": b'new = true\0\n',
    "not UTF-8": b'added_at = "\xff\xfe"\n',
    "a half surrogate": b'added_at = "\xed\xa0\x80"\n',
    "an escaped half surrogate": b'added_at = "\\ud800"\n',
    "UTF-16": "new = true\n".encode("utf-16"),
    "a byte order mark": "\ufeffnew = true\n".encode(),
    "a huge number": b"new = " + b"9" * 10_000 + b"\n",
    "a huge number in base 16": b"new = 0x" + b"f" * 1_000_000 + b"\n",
    "a huge exponent": b"new = 1e999999999\n",
    "not a number": b"new = nan\n",
    "no such day": b"added_at = 2023-13-45T99:99:99Z\n",
    "the year 0": b"added_at = 0000-00-00\n",
    "a time without a day": b"added_at = 12:00:00\n",
    "twice": b"new = true\nnew = false\n",
    "wrong types": b'new = "yes"\nadded_at = [1]\ntracks = 3\nreleases = {}\n',
    "a table of numbers": b"[tracks]\na = 1\n",
    "entries without ids": b"[[releases]]\n[[tracks]]\n",
    "entries that are no tables": b"releases = [1, [], true]\ntracks = [1, [], true]\n",
    "ids of other types": b"[[releases]]\nuuid = 1\n[[tracks]]\nuuid = [[]]\n",
    "ids that are none": b'[[releases]]\nuuid = "../../x"\n[[tracks]]\nuuid = "\\u0000"\n',
    "descriptions of other types": b'[[releases]]\nuuid = "a"\ndescription_meta = [{}]\nmissing = "no"\n',
    "deep arrays": b"new = " + b"[" * _DEEP + b"]" * _DEEP + b"\n",
    "deep tables": b"new = " + b"{a = " * _DEEP + b"1" + b"}" * _DEEP + b"\n",
    "deep keys": b".".join([b"a"] * 5_000) + b" = 1\n",
    "deep headers": b"[" + b".".join([b"a"] * _DEEP) + b"]\n",
    "a long key": b"a" * 5_000_000 + b" = 1\n",
    "many keys": b"".join(b"k%d = 1\n" % number for number in range(100_000)),
    "many entries": b"".join(b'[[tracks]]\nuuid = "%d"\n' % number for number in range(5_000)),
    "a line without an end": b'new = true # ' + b"x" * 5_000_000,
    "a text without an end": b'added_at = """' + b"x" * 1_000_000,
    "much white space": b" " * 5_000_000,
    "many quotes": b'a = "' + b'\\"' * 500_000 + b'"\n',
    "noise": random.Random(0).randbytes(100_000),
    "50 MB": b"# " + b"x" * 50_000_000 + b"\nnew = true\n",
}  # fmt: skip
"""TOML files of all kinds that are none, or say nothing of use, or too much."""

WHOLE_TOML: Mapping[str, bytes] = {
    "datafile": b'# mine\nnew = true\nadded_at = "2023-10-25T12:00:00-04:00"\nmore = {a = [1, 2.5, 1979-05-27]}\n'
    b'[tracks]\n"01.opus" = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8"\n',
    "collage": b'[[releases]]\nuuid = "018b268e-ef68-7180-a01e-19bc3fdf970e"\ndescription_meta = "X - Y"\n'
    b'missing = true\n\n[[releases]]\nuuid = "a"\ndescription_meta = \'\'\'Z\n\'\'\'\n',
}  # fmt: skip
"""Whole files, to be mutated."""


def write_cases(directory: Path, cases: Iterator[tuple[str, str, bytes]]) -> Iterator[tuple[str, Path]]:
    """Writes files one at a time, each removed when the next one is asked for, and yields name and path."""
    for number, (name, suffix, content) in enumerate(cases):
        path = directory / f"{number:03}.{suffix}"
        path.write_bytes(content)
        yield name, path
        path.unlink()
