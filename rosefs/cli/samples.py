"""Invented releases that show what name templates make of usual and of unusual tags. Nothing of them is on a disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rosecache.model import Artist, ArtistMapping, PartialDate, Release, Track
from rosecache.templates import SAMPLE_RELEASE, SAMPLE_TRACK


def _artists(*names: str) -> tuple[Artist, ...]:
    return tuple(map(Artist, names))


def _release(number: int, **values: Any) -> Release:
    """Returns a release with tags of its own, and without those that are not given."""
    bare = replace(
        SAMPLE_RELEASE,
        cover_image_path=None, new=False, disctotal=1, releasedate=None, originaldate=None, compositiondate=None,
        edition=None, catalognumber=None, genres=(), parent_genres=(), secondary_genres=(),
        parent_secondary_genres=(), descriptors=(), labels=(),
    )  # fmt: skip
    name = f"sample-{number}"
    return replace(bare, id=name, metahash=name, source_path=Path("/music", name), **values)


def _track(release: Release, number: str, title: str, artists: ArtistMapping, *, disc: str = "1") -> Track:
    name = f"{release.id}-{disc}-{number}"
    return replace(
        SAMPLE_TRACK,
        id=name, metahash=name, source_path=release.source_path / f"{number}.mp3", tracktitle=title,
        tracknumber=number, tracktotal=12, discnumber=disc, trackartists=artists, release=release,
    )  # fmt: skip


_VARIOUS = _release(
    1,
    releasetitle="Factory Songs 1978-1992", releasetype="compilation", releasedate=PartialDate(2013, 11, 4),
    disctotal=3, genres=("Post-Punk", "Synth-Pop"), labels=("Lantern", "Small Hours"), catalognumber="LAN 4CD",
    edition="Remaster", releaseartists=ArtistMapping(main=_artists("Various Artists")),
)  # fmt: skip
_CLASSICAL = _release(
    2,
    releasetitle="Piano Concertos: No. 1 / No. 3", releasetype="album", releasedate=PartialDate(1996),
    originaldate=PartialDate(1982, 5, 1), compositiondate=PartialDate(1798), genres=("Concerto",),
    releaseartists=ArtistMapping(
        main=_artists("Anna Lind"), composer=_artists("L. Berg"), conductor=_artists("Ida Falk"),
    ),
)  # fmt: skip
_NO_DATE = _release(
    3,
    releasetitle="Demo", releasetype="demo", releaseartists=ArtistMapping(main=_artists("Nobody Yet")),
)  # fmt: skip
_LONG = _release(
    4,
    releasetitle="A Title So Long That No File System Would Take It, " + "and It Goes On, " * 14 + "Until It Ends",
    releasetype="ep", releasedate=PartialDate(2001, 2, 3),
    releaseartists=ArtistMapping(main=_artists("One", "Two", "Three", "Four"), guest=_artists("Five")),
)  # fmt: skip
_UNTAGGED = _release(5, releasetitle="", releasetype="unknown", releaseartists=ArtistMapping())

SAMPLES: tuple[tuple[Release, tuple[Track, ...]], ...] = (
    (SAMPLE_RELEASE, (SAMPLE_TRACK,)),
    (
        _VARIOUS,
        (
            _track(_VARIOUS, "1", "Signals", ArtistMapping(main=_artists("The Winter Coats"))),
            _track(
                _VARIOUS, "11", "Northern Line (Night Mix)",
                ArtistMapping(
                    main=_artists("Glasshouse", "Vera Moon"), guest=_artists("Ott"), remixer=_artists("DJ Sund")
                ),
                disc="3",
            ),
        ),
    ),
    (_CLASSICAL, (_track(_CLASSICAL, "A1", "I. Allegro con brio", _CLASSICAL.releaseartists),)),
    (_NO_DATE, (_track(_NO_DATE, "1", "What? / Why?", _NO_DATE.releaseartists),)),
    (_LONG, (_track(_LONG, "4", "Track " + "of Many Words " * 20, _LONG.releaseartists),)),
    (_UNTAGGED, (_track(_UNTAGGED, "1", "", ArtistMapping()),)),
)  # fmt: skip
"""Releases, each with some of its tracks."""
