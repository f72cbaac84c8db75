"""Reading what was missed: in order, once, and honest about what is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from platform.documents.filters import parsed
from platform.settings import Settings
from platform.streams.delivery import Entry, Position, Streams
from platform.streams.history import BadPosition, Histories, History
from platform.streams.names import BadChannel
from tests.changes import change, entry, kept, replayed, without_hold
from tests.waiting import eventually

TASKS = "app:shop:model:task"


@pytest.fixture
def histories(streams: Streams) -> Histories:
    return Histories(streams)


def keeping(client: redis.Redis, entries: int = 10_000, keep_s: float = 86_400) -> Streams:
    """Streams that keep little, less than settings allow."""
    return Streams(client, Settings().model_copy(update={"stream_max_entries": entries, "keep_stream_s": keep_s}))


def frames(found: History) -> list[dict[str, Any]]:
    return [json.loads(frame.text) for frame in found.frames]


def seen(found: History) -> list[tuple[str, int]]:
    return [(frame["id"], frame["version"]) for frame in frames(found)]


def place(found: History) -> dict[str, Any]:
    return {"epoch": found.epoch, "offset": found.offset}


def test_everything_kept_is_read_as_it_was_told(streams: Streams, histories: Histories, client: redis.Redis) -> None:
    streams.deliver([entry(1), entry(2), entry(3, act="delete")])
    found = histories.read(TASKS, 0)
    created, updated, deleted = frames(found)
    offsets = [one["offset"] for one in kept(client)]
    assert [frame["offset"] for frame in (created, updated, deleted)] == offsets == [f.offset for f in found.frames]
    assert {frame["channel"] for frame in (created, updated, deleted)} == {TASKS}
    assert (created["event"], created["data"], created["version"]) == ("model_created", change(1).document, 1)
    assert replayed(created["data"], updated) == change(2).document
    assert deleted["data"] == {"appId": "shop", "userId": "ann", "type": "task", "id": "d1"}
    assert (found.offset, found.recovered, found.is_complete) == (offsets[-1], True, True)


def test_what_was_missed_comes_and_nothing_else(streams: Streams, histories: Histories) -> None:
    streams.deliver([entry(1)])
    before = histories.read(TASKS, 0)
    assert seen(histories.read(TASKS, place(before))) == []
    streams.deliver([entry(2), entry(1, id="d2")])
    missed = histories.read(TASKS, place(before))
    assert (seen(missed), missed.recovered) == ([("d1", 2), ("d2", 1)], True)


def test_a_stream_that_nothing_happened_in_has_an_epoch_already(streams: Streams, histories: Histories) -> None:
    """Or whoever subscribes first would be told that something is gone."""
    empty = histories.read(TASKS, 0)
    assert (empty.frames, empty.offset, empty.recovered, empty.is_complete) == ([], 0, True, True)
    streams.deliver([entry(1)])
    found = histories.read(TASKS, place(empty))
    assert (seen(found), found.recovered) == ([("d1", 1)], True)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (TASKS, [("d1", 1), ("d2", 1), ("d3", 1), ("d1", 2)]),
        (f"{TASKS}:d1", [("d1", 1), ("d1", 2)]),
        ("app:shop:user:ann:model:task", [("d1", 1), ("d3", 1), ("d1", 2)]),
        ("app:shop:user:ann:model:task:d3", [("d3", 1)]),
        ("app:shop:user:bob:model:task:d3", []),
        ("app:shop:model:item", []),
        ("app:other:model:task", []),
    ],
)
def test_a_channel_shows_its_documents(
    streams: Streams, histories: Histories, channel: str, expected: list[tuple[str, int]]
) -> None:
    streams.deliver([entry(1), entry(1, id="d2", user="bob"), entry(1, id="d3"), entry(2)])
    found = histories.read(channel, 0)
    assert seen(found) == expected
    assert {frame["channel"] for frame in frames(found)} <= {channel}


def test_the_channels_of_a_stream_share_epoch_and_offset(streams: Streams, histories: Histories) -> None:
    """What is not shown moves a reader on all the same."""
    streams.deliver([entry(1), entry(2), entry(1, id="d2")])
    wide, narrow = histories.read(TASKS, 0), histories.read(f"{TASKS}:d1", 0)
    assert place(wide) == place(narrow)


def test_a_filter_is_tested_as_it_was_when_it_happened(streams: Streams, histories: Histories) -> None:
    streams.deliver([entry(version) for version in range(1, 6)] + [entry(6, act="delete")])
    found = frames(histories.read(TASKS, 0, parsed({"n": {"$gte": 2, "$lt": 4}})))
    assert [(frame["event"], frame["version"]) for frame in found] == [
        ("model_created", 2),
        ("model_updated", 3),
        ("model_deleted", 4),
    ]
    assert (found[0]["entered"], found[0]["data"]) == (True, change(2).document)
    assert found[2]["left"] is True


def test_a_resync_is_read_as_one(streams: Streams, histories: Histories) -> None:
    without_hold(streams).deliver([entry(1), entry(3)])
    streams.overdue(lambda changes: [entry(3)])
    assert [frame["version"] for frame in frames(histories.read(TASKS, 0))] == [1, 3]
    left = frames(histories.read(TASKS, 0, parsed({"n": 1})))
    assert [frame["event"] for frame in left] == ["model_created", "model_deleted"]


# -- honest about what is gone


@pytest.mark.parametrize(("missed", "recovered"), [(10, True), (11, False), (25, False)])
def test_whether_something_is_gone_is_told_exactly(client: redis.Redis, missed: int, recovered: bool) -> None:
    streams = keeping(client, entries=10)
    histories = Histories(streams)
    streams.deliver([entry(1, id="first")])
    before = place(histories.read(TASKS, 0))
    for number in range(missed):
        streams.deliver([entry(1, id=f"d{number}")])
    found = histories.read(TASKS, before)
    assert (len(found.frames), found.recovered) == (10, recovered)
    assert histories.read(TASKS, 0).recovered is False  # the first is gone


def test_everything_from_the_beginning_is_recovered_while_nothing_is_gone(client: redis.Redis) -> None:
    streams = keeping(client, entries=10)
    streams.deliver([entry(version) for version in range(1, 11)])
    assert Histories(streams).read(TASKS, 0).recovered is True
    streams.deliver([entry(11)])
    assert Histories(streams).read(TASKS, 0).recovered is False


def test_what_is_too_old_is_forgotten_and_said_to_be(client: redis.Redis) -> None:
    streams = keeping(client, keep_s=1.0)
    histories = Histories(streams)
    empty = histories.read(TASKS, 0)
    streams.deliver([entry(1)])
    at_first = histories.read(TASKS, place(empty))

    def is_gone() -> bool:
        return histories.read(TASKS, place(empty)).frames == []

    eventually(is_gone)
    assert histories.read(TASKS, place(empty)).recovered is False
    assert histories.read(TASKS, place(at_first)).recovered is True


def test_old_entries_go_also_while_new_ones_come(client: redis.Redis) -> None:
    streams = keeping(client, keep_s=0.3)
    numbers: Iterator[int] = iter(range(1, 10_000))

    def first_is_gone() -> bool:
        streams.deliver([entry(1, id=f"d{next(numbers)}")])
        return kept(client, "d1") == []

    eventually(first_is_gone)
    assert len(kept(client)) > 0
    assert Histories(streams).read(TASKS, 0).recovered is False


def test_another_epoch_is_not_recovered_and_nothing_is_repeated(
    streams: Streams, histories: Histories, client: redis.Redis
) -> None:
    streams.deliver([entry(1)])
    before = place(histories.read(TASKS, 0))
    client.flushall()
    streams.deliver([entry(1, id="d2")])
    found = histories.read(TASKS, before)
    assert (seen(found), found.recovered) == ([("d2", 1)], False)
    assert found.epoch != before["epoch"]


def test_a_place_the_server_has_forgotten_is_not_recovered(streams: Streams, histories: Histories) -> None:
    streams.deliver([entry(1)])
    now = histories.read(TASKS, 0)
    found = histories.read(TASKS, {"epoch": now.epoch, "offset": now.offset + 1})
    assert (found.recovered, found.offset, found.is_complete) == (False, now.offset, True)


# -- limits


def test_a_long_history_is_read_in_parts(streams: Streams, histories: Histories) -> None:
    streams.deliver([entry(version) for version in range(1, 51)])
    read, since = [], {"epoch": "x", "offset": 0}
    parts = 0
    while True:
        found = histories.read(TASKS, since if parts else 0, limit=7)
        read += [version for _, version in seen(found)]
        since, parts = place(found), parts + 1
        if found.is_complete:
            break
        assert len(found.frames) == 7
        assert found.recovered
    assert (read, parts) == (list(range(1, 51)), 8)


@pytest.mark.parametrize("count", [499, 500, 501, 1_300])
def test_a_long_stream_is_read_to_its_end(streams: Streams, histories: Histories, count: int) -> None:
    """Whatever of it the channel shows, and however many calls that takes."""
    streams.deliver([entry(1, id=f"d{number}") for number in range(count)])
    last = histories.read(f"{TASKS}:d{count - 1}", 0)
    assert (seen(last), last.is_complete, last.recovered) == ([(f"d{count - 1}", 1)], True, True)
    assert len(histories.read(TASKS, 0, limit=5_000).frames) == count


def test_large_documents_are_read_in_parts_too(streams: Streams, histories: Histories) -> None:
    large = change(1).document | {"text": "x" * 100_000}
    streams.deliver([entry(1, id=f"d{number}", document=large) for number in range(60)])
    assert len(histories.read(TASKS, 0).frames) == 60


@pytest.mark.parametrize(
    "since",
    [
        *(None, "", "0", 1, False, 0.5, [], {}),
        *({"epoch": "a"}, {"offset": 1}, {"epoch": "", "offset": 1}, {"epoch": "a", "offset": -1}),
        *({"epoch": "a", "offset": 2**60}, {"epoch": "a", "offset": "1"}, {"epoch": 1, "offset": 1}),
    ],
)
def test_what_is_no_place_is_refused(histories: Histories, since: object) -> None:
    with pytest.raises(BadPosition, match="since is"):
        histories.read(TASKS, since)


def test_what_is_no_channel_is_refused(histories: Histories) -> None:
    with pytest.raises(BadChannel):
        histories.read("app:shop:room:lobby", 0)


def test_other_streams_are_read_the_same_way(streams: Streams, histories: Histories) -> None:
    first = streams.append(":room:lobby", "message", {"text": "hi"})
    streams.append(":room:lobby", "message", {"text": "ho"})
    found = histories.read_other(":room:lobby", "app:shop:room:lobby", Position(first.epoch, first.offset))
    [frame] = frames(found)
    assert frame == {
        "event": "message",
        "data": {"text": "ho"},
        "channel": "app:shop:room:lobby",
        "offset": found.offset,
    }


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ann", "bob"])), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(1, 8),
)
@rules(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_on_from_anywhere_gives_the_rest_of_each_channel(
    client: redis.Redis, told: list[tuple[str, str]], start: int, limit: int
) -> None:
    client.flushall()
    streams = Streams(client, Settings())
    histories = Histories(streams)
    counts: dict[str, int] = {}
    expected = []
    for id, user in told:
        name = f"{id}{user}"
        counts[name] = counts.get(name, 0) + 1
        expected.append((name, user, counts[name]))
        streams.deliver([entry(counts[name], id=name, user=user)])
    epoch = histories.read(TASKS, 0).epoch
    offset = ([0] + [one["offset"] for one in kept(client)])[min(start, len(told))]
    for user, channel in (("", TASKS), ("ann", "app:shop:user:ann:model:task")):
        since, read = {"epoch": epoch, "offset": offset}, []
        while not (found := histories.read(channel, since, limit=limit)).is_complete:
            read += seen(found)
            since = place(found)
        read += seen(found)
        rest = expected[min(start, len(told)) :]
        assert read == [(id, version) for id, who, version in rest if user in ("", who)]


@given(st.lists(st.one_of(st.integers(1, 8), st.none()), min_size=1, max_size=25))
@rules(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_given_up_following_the_stream_gives_the_document(
    client: redis.Redis, brought: list[int | None]
) -> None:
    """Versions come in any order, some never, and gaps are given up in between (None)."""
    client.flushall()
    streams = without_hold(Streams(client, Settings()))
    for version in [*brought, None]:
        if version is None:
            streams.overdue(lambda changes: [Entry(one) for one in changes])
        else:
            streams.deliver([entry(version)])
    told = frames(Histories(streams).read(f"{TASKS}:d1", 0))
    versions = [frame["version"] for frame in told]
    assert versions == sorted(set(versions))
    assert versions[-1:] == [max(seen)] if (seen := [one for one in brought if one]) else not versions
    document = None
    for frame in told:
        document = replayed(document, frame)
    assert document == (change(versions[-1]).document if versions else None)
