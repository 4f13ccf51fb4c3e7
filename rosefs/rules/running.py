"""Running rules: what they would change, by what the files say, and changing it.

A plan is made in memory: each file is read once, later rules see what earlier ones made of it, and what is left at the
end is what is shown and written. Writing, and all that can go wrong with it, is ``library.retag``'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rosecache.config import Config
from rosecache.errors import UnreadableAudioError
from rosecache.genres import GenreTree, load_genre_tree
from rosecache.model import ROLES, Artist, ArtistMapping, PartialDate, Release, Track
from rosecache.query.tracks import get_tracks_of_release
from rosecache.tags import AudioTags, TagChanges, read_tags
from rosecache.tags.fields import Container
from rosecache.update import Problem
from rosefs.library.files import Progress, no_progress
from rosefs.library.journal import Journal
from rosefs.library.retag import ReleaseEdit, TrackEdit, retag
from rosefs.rules.acting import act
from rosefs.rules.errors import RuleTimeError, RuleValueError
from rosefs.rules.matching import find_tracks
from rosefs.rules.model import DERIVED_TAGS, TAGS, Action, Rule, Tag
from rosefs.rules.values import TagValues, artists_of, matches_track, texts_of, values_of_track

NEW: Tag = "new"
"""The one tag that no audio file holds, but the datafile of the release."""


class TagChange(msgspec.Struct, frozen=True):
    """What becomes of one tag: its values before and after, in order."""

    tag: Tag
    old: tuple[str, ...]
    new: tuple[str, ...]


class TrackChange(msgspec.Struct, frozen=True):
    """What rules change of a track. ``before`` is what its file said when that was planned."""

    track: Track
    before: AudioTags
    changes: tuple[TagChange, ...]


class Plan(msgspec.Struct, frozen=True):
    """What rules would change.

    Attributes:
        matched: How many tracks they are about.
        changes: The tracks that they change, in the order in which they were found.
        problems: The tracks that cannot be read, or of which a rule makes what cannot be.
    """

    matched: int
    changes: tuple[TrackChange, ...]
    problems: tuple[Problem, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a plan that was carried out: the tracks that were changed, and what went wrong."""

    changed: tuple[TrackChange, ...]
    problems: tuple[Problem, ...]


def plan_rules(c: Config, rules: Iterable[Rule], progress: Progress = no_progress) -> Plan:
    """Plans what rules change, each on what those before have left.

    A track is one of a rule's if its file says so: the cache, which finds it, has of the tags that all tracks of a
    release share only what the first file says. How many tracks there are, and whether the release is new, the cache
    says.

    Args:
        c: The settings.
        rules: The rules, in order.
        progress: Told how many files of a rule are read, and how many there are.
    """
    planning = _Planning(load_genre_tree(c))
    for rule in rules:
        found = find_tracks(c, rule.matcher, rule.ignore)
        changed = [seen.track for seen in planning.seen.values() if seen.is_changed]
        for release, _ in planning.new.values():
            changed += get_tracks_of_release(c, release)
        for seen in planning.read({track.id: track for track in (*found, *changed)}.values(), progress):
            values = planning.values_of(seen)
            if matches_track(rule.matcher, values) and not any(matches_track(m, values) for m in rule.ignore):
                planning.act(rule.actions, seen)
    return planning.plan()


def plan_actions(
    c: Config, tracks: Iterable[Track], actions: Sequence[Action], progress: Progress = no_progress
) -> Plan:
    """Plans what actions change of some tracks; ``progress`` is told how many files are read."""
    planning = _Planning(load_genre_tree(c))
    for seen in planning.read(tracks, progress):
        planning.act(actions, seen)
    return planning.plan()


def run(c: Config, journal: Journal, plan: Plan, progress: Progress = no_progress) -> Outcome:
    """Carries out a plan through the journal, as what one undo takes back. See :func:`retag`.

    A file that says something else than when the plan was made is left as it is, and is a problem.
    """
    edits: dict[str, ReleaseEdit] = {}
    for release_id, changes in _by_release(plan.changes).items():
        tracks = [
            TrackEdit(change.track.source_path, change.before, tag_changes)
            for change in changes
            if (tag_changes := tag_changes_of(change)) != TagChanges()
        ]
        new = next((each.new == ("true",) for each in _changes_of_new(changes)), None)
        edits[release_id] = ReleaseEdit(changes[0].track.release, tracks, new=new)
    done = retag(c, journal, list(edits.values()), progress=progress)
    paths = set(done.changed)
    changed = tuple(
        change
        for change in plan.changes
        if change.track.source_path in paths
        or (any(_changes_of_new([change])) and change.track.release.source_path in paths)
    )
    return Outcome(changed, tuple(done.problems))


def tag_changes_of(change: TrackChange) -> TagChanges:
    """Returns what is to be written into a track's file."""
    new = {each.tag: each.new for each in change.changes}
    wanted: dict[str, Any] = {}
    for tag, values in new.items():
        if tag in _FIELDS:
            name, made = _FIELDS[tag]
            wanted[name] = made(values)
    for kind in ("trackartist", "releaseartist"):
        before: ArtistMapping = getattr(change.before, f"{kind}s")
        if any(f"{kind}[{role}]" in new for role in ROLES):
            wanted[f"{kind}s"] = ArtistMapping(
                **{
                    role: tuple(map(Artist, new.get(f"{kind}[{role}]", _names(artists))))
                    for role, artists in before.items()
                }
            )
    return TagChanges(**wanted)


class _Seen(msgspec.Struct):
    """A track whose file was read."""

    track: Track
    before: AudioTags
    old: TagValues
    now: TagValues
    is_matched: bool = False

    @property
    def is_changed(self) -> bool:
        return any(self.now[tag] != self.old[tag] for tag in TAGS if tag not in DERIVED_TAGS)


class _Planning(msgspec.Struct):
    """A plan in the making."""

    genres: GenreTree
    seen: dict[str, _Seen] = msgspec.field(default_factory=dict)
    """By the id of the track."""
    unreadable: set[str] = msgspec.field(default_factory=set)
    problems: list[Problem] = msgspec.field(default_factory=list)
    new: dict[str, tuple[Release, tuple[str, ...]]] = msgspec.field(default_factory=dict)
    """Releases of which a rule has changed whether they are new, by their ids, and what they are then."""

    def read(self, tracks: Iterable[Track], progress: Progress) -> Iterator[_Seen]:
        """Yields what the files of tracks say, as far as they can be read; each is read only once."""
        listed = list(tracks)
        for number, track in enumerate(listed, 1):
            seen = self._seen(track)
            progress(number, len(listed))
            if seen is not None:
                yield seen

    def _seen(self, track: Track) -> _Seen | None:
        if track.id not in self.seen and track.id not in self.unreadable:
            try:
                before = read_tags(track.source_path)
            except (OSError, UnreadableAudioError) as error:
                reason = error.reason if isinstance(error, UnreadableAudioError) else error.strerror
                self.problems.append(Problem(track.source_path, reason or str(error)))
                self.unreadable.add(track.id)
            else:
                values = _values(track, before)
                self.seen[track.id] = _Seen(track, before, values, values)
        return self.seen.get(track.id)

    def values_of(self, seen: _Seen) -> TagValues:
        """Returns what rules see of a track now."""
        _, new = self.new.get(seen.track.release.id, (None, seen.now[NEW]))
        return {
            **seen.now,
            NEW: new,
            "parentgenre": self.genres.parents_of_all(seen.now["genre"]),
            "parentsecondarygenre": self.genres.parents_of_all(seen.now["secondarygenre"]),
        }

    def act(self, actions: Sequence[Action], seen: _Seen) -> None:
        """Has actions change what is planned for a track. If one cannot, nothing that they would do is."""
        seen.is_matched = True
        values = self.values_of(seen)
        try:
            made = act(actions, values, _container_of(seen.track))
        except (RuleValueError, RuleTimeError) as error:
            self.problems.append(Problem(seen.track.source_path, str(error)))
            return
        seen.now = made
        if made[NEW] != values[NEW]:
            self.new[seen.track.release.id] = seen.track.release, made[NEW]

    def plan(self) -> Plan:
        changes = []
        for seen in self.seen.values():
            now = self.values_of(seen) if seen.is_matched else seen.old
            changed = tuple(
                TagChange(tag, seen.old[tag], now[tag])
                for tag in TAGS
                if tag not in DERIVED_TAGS and now[tag] != seen.old[tag]
            )
            if changed:
                changes.append(TrackChange(seen.track, seen.before, changed))
        matched = sum(seen.is_matched for seen in self.seen.values())
        return Plan(matched, tuple(changes), tuple(self.problems))


def _container_of(track: Track) -> Container:
    # Only M4A files hold numbers as numbers; what the others cannot hold is the same for all of them.
    return "mp4" if track.source_path.suffix.lower() == ".m4a" else "vorbis"


def _values(track: Track, tags: AudioTags) -> TagValues:
    """Returns the values of a track by what its file says, and what no file says by the cache."""
    from_cache = values_of_track(track)
    return {
        **{tag: from_cache[tag] for tag in (*DERIVED_TAGS, NEW)},
        **{tag: texts_of(getattr(tags, name)) for tag, (name, _) in _FIELDS.items()},
        **dict(artists_of("trackartist", tags.trackartists)),
        **dict(artists_of("releaseartist", tags.releaseartists)),
    }


def _names(artists: Iterable[Artist]) -> tuple[str, ...]:
    return tuple(artist.name for artist in artists)


def _text(values: tuple[str, ...]) -> str | None:
    return values[0] if values else None


def _date(values: tuple[str, ...]) -> PartialDate | None:
    return PartialDate.parse(_text(values))


def _list(values: tuple[str, ...]) -> tuple[str, ...]:
    return values


_FIELDS: Mapping[Tag, tuple[str, Callable[[tuple[str, ...]], object]]] = {
    "tracktitle": ("tracktitle", _text),
    "tracknumber": ("tracknumber", _text),
    "discnumber": ("discnumber", _text),
    "releasetitle": ("releasetitle", _text),
    "releasetype": ("releasetype", _text),
    "releasedate": ("releasedate", _date),
    "originaldate": ("originaldate", _date),
    "compositiondate": ("compositiondate", _date),
    "genre": ("genres", _list),
    "secondarygenre": ("secondary_genres", _list),
    "descriptor": ("descriptors", _list),
    "label": ("labels", _list),
    "catalognumber": ("catalognumber", _text),
    "edition": ("edition", _text),
}
"""The fields of files that tags are in, but for artists, and how values become what is written there."""


def _by_release(changes: Iterable[TrackChange]) -> dict[str, list[TrackChange]]:
    found: dict[str, list[TrackChange]] = {}
    for change in changes:
        found.setdefault(change.track.release.id, []).append(change)
    return found


def _changes_of_new(changes: Iterable[TrackChange]) -> list[TagChange]:
    return [each for change in changes for each in change.changes if each.tag == NEW]
