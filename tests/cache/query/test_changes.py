"""Reading the change feed."""

from __future__ import annotations

import msgspec

from rosecache.changes import Change, Changes, Position, changes_since, current_position, prune_changes
from rosecache.config import Config
from rosecache.database import close_connections, connect, database_path, transaction
from rosecache.update.store import feed
from tests.support.rows import release_row, remove, store, track_row


def prune(c: Config, keep: int) -> None:
    with connect(c) as connection, transaction(connection):
        prune_changes(connection, keep=keep)


def append(c: Config, *names: str) -> None:
    with connect(c) as connection, transaction(connection):
        for name in names:
            feed(connection, "collage", name, "added")


def test_changes_since_a_position(c: Config) -> None:
    start = current_position(c)
    assert start.sequence == 0
    store(c, release_row("r", title="Old", tracks=[track_row("t")]))
    after_first = current_position(c)
    store(c, release_row("r", title="New", tracks=[track_row("t")]))
    append(c, "Road Trip")
    remove(c, "r")
    end = current_position(c)

    later = (
        Change("release", "r", "changed"),
        Change("collage", "Road Trip", "added"),
        Change("release", "r", "removed"),
    )
    assert changes_since(c, after_first) == Changes(end, resync=False, changes=later)
    assert changes_since(c, start) == Changes(
        end, resync=False, changes=(Change("release", "r", "added"), *later)
    )
    assert changes_since(c, end) == Changes(end, resync=False, changes=())


def test_an_update_without_a_change_adds_nothing(c: Config) -> None:
    row = release_row("r", tracks=[track_row("t")])
    store(c, row)
    position = current_position(c)
    store(c, row)
    assert current_position(c) == position


def test_what_was_rolled_back_is_not_in_the_feed(c: Config) -> None:
    append(c, "one")
    position = current_position(c)
    with connect(c) as connection:
        connection.execute("BEGIN IMMEDIATE")
        feed(connection, "collage", "two", "added")
        connection.execute("ROLLBACK")
    append(c, "three")
    assert changes_since(c, position).changes == (Change("collage", "three", "added"),)


def test_a_reader_that_knows_nothing_resyncs(c: Config) -> None:
    append(c, "one")
    assert changes_since(c, None) == Changes(current_position(c), resync=True, changes=())


def test_a_position_of_another_database_resyncs(c: Config) -> None:
    append(c, "one", "two")
    position = current_position(c)
    close_connections()
    database_path(c).unlink()
    append(c, "three", "four")
    found = changes_since(c, position)
    assert found.resync
    assert found.position == current_position(c)
    assert found.position.epoch != position.epoch


def test_a_position_that_was_never_given_out_resyncs(c: Config) -> None:
    append(c, "one")
    now = current_position(c)
    assert changes_since(c, Position(now.epoch, now.sequence + 1)).resync
    assert changes_since(c, Position(now.epoch, -1)).resync


def test_pruned_positions_resync_and_others_do_not(c: Config) -> None:
    append(c, *"abcde")
    end = current_position(c)
    prune(c, keep=2)
    epoch = end.epoch
    assert [changes_since(c, Position(epoch, sequence)).resync for sequence in range(6)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert [change.id for change in changes_since(c, Position(epoch, 3)).changes] == ["d", "e"]


def test_a_feed_that_was_pruned_to_nothing_still_knows_where_it_ends(c: Config) -> None:
    append(c, *"abc")
    end = current_position(c)
    prune(c, keep=0)
    assert current_position(c) == end
    assert changes_since(c, end) == Changes(end, resync=False, changes=())
    assert changes_since(c, Position(end.epoch, end.sequence - 1)).resync
    append(c, "d")
    assert [change.id for change in changes_since(c, end).changes] == ["d"]


def test_pruning_keeps_a_short_feed_whole(c: Config) -> None:
    prune(c, keep=10)
    append(c, *"abc")
    prune(c, keep=3)
    assert len(changes_since(c, Position(current_position(c).epoch, 0)).changes) == 3


def test_another_configuration_with_the_same_database_sees_the_same_feed(c: Config) -> None:
    append(c, "one")
    other = msgspec.structs.replace(c, max_proc=7)
    assert current_position(other) == current_position(c)
