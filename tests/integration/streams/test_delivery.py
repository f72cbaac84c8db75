"""Each version of a document once and in order, whatever comes twice, late, early or never."""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from platform.documents.change import Committed
from platform.errors import BrokerUnavailable
from platform.settings import Settings
from platform.streams import delivery
from platform.streams.delivery import Entry, Report, Streams
from tests.changes import (
    Follower,
    change,
    document,
    entry,
    kept,
    replayed,
    versions,
    without_hold,
)
from tests.processes import Program, environment
from tests.samples import deliverer
from tests.waiting import eventually

Start = Callable[[str], Follower]


def for_nobody(changes: Sequence[Committed]) -> list[Entry]:
    return [Entry(one) for one in changes]


def for_one(changes: Sequence[Committed]) -> list[Entry]:
    return [Entry(one, {"p1": {"change": ["g"]}}) for one in changes]


def test_versions_that_come_in_order_are_appended_with_growing_offsets(streams: Streams, client: redis.Redis) -> None:
    assert streams.deliver([entry(1), entry(2)]) == Report(appended=2)
    assert streams.deliver([entry(3)]) == Report(appended=1)
    assert versions(client) == [1, 2, 3]
    offsets = [one["offset"] for one in kept(client)]
    assert offsets == sorted(set(offsets))
    assert [int(one["prev"]) for one in kept(client)] == [0, *offsets[:-1]]


def test_nothing_to_deliver_is_no_call(streams: Streams, client: redis.Redis) -> None:
    assert streams.deliver([]) == Report()
    assert client.keys("*") == []


def test_an_entry_holds_the_document_the_one_before_and_the_operations(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1), entry(2), entry(3, act="delete")])
    created, updated, deleted = kept(client)
    assert [one["event"] for one in (created, updated, deleted)] == ["model_created", "model_updated", "model_deleted"]
    assert json.loads(created["document"]) == change(1).document
    assert json.loads(updated["document"]) == change(2).document
    assert json.loads(updated["before"]) == change(1).document
    assert json.loads(deleted["document"]) == change(2).document
    assert "before" not in created | deleted
    assert [one["path"] for one in json.loads(updated["operations"])] == [["n"], ["version"]]


def test_what_comes_again_is_dropped(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1), entry(2)])
    assert streams.deliver([entry(2), entry(1), entry(3), entry(3)]) == Report(appended=1, dropped=3)
    assert versions(client) == [1, 2, 3]


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 6))))
def test_every_order_of_five_versions_ends_the_same(
    streams: Streams, client: redis.Redis, order: Sequence[int]
) -> None:
    for version in order:
        streams.deliver([entry(version)])
    assert versions(client) == [1, 2, 3, 4, 5]
    assert client.keys("*held*") + client.keys("*gaps*") == []


def test_what_comes_too_early_waits_and_follows_what_it_waited_for(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1)])
    assert streams.deliver([entry(3), entry(4), entry(4)]) == Report(held=2, dropped=1)
    assert versions(client) == [1]
    assert streams.deliver([entry(2)]) == Report(appended=3, released=2)
    assert versions(client) == [1, 2, 3, 4]


def test_documents_do_not_wait_for_each_other(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(2, id="late"), entry(1, id="prompt"), entry(2, id="prompt")])
    assert versions(client, "prompt") == [1, 2]
    assert versions(client, "late") == []


def test_a_document_made_again_after_its_deletion_goes_on_counting(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(3, act="create", before_ms=0), entry(2, act="delete"), entry(1)])
    assert [one["event"] for one in kept(client)] == ["model_created", "model_deleted", "model_created"]
    assert versions(client) == [1, 2, 3]


def test_a_document_that_did_not_change_for_long_goes_on_where_it_was(streams: Streams, client: redis.Redis) -> None:
    """Its line is forgotten, so nobody knows which version was the last."""
    assert streams.deliver([entry(7, id="old", before_ms=1_000)]) == Report(appended=1)
    assert streams.deliver([entry(7, id="new")]) == Report(held=1)


def test_lines_and_streams_are_forgotten_in_time(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1)])
    keep_ms = 86_400_000
    for key in ("streams:line:shop:task:d1", "stream:shop:task"):
        assert keep_ms - 60_000 < client.pttl(f"{{platform}}:{key}") <= keep_ms
    assert client.pttl("{platform}:streams:meta:shop:task") > keep_ms


# -- gaps


def test_a_gap_that_is_not_filled_in_time_becomes_a_resync(
    streams: Streams, client: redis.Redis, follower: Start
) -> None:
    without_hold(streams)
    streams.deliver([entry(1), entry(3), entry(4)])
    heard = follower("p1")
    assert streams.overdue(for_one) == 1
    assert versions(client) == [1, 4]
    [item] = heard.items(1)
    assert item["frame"]["event"] == "model_updated"
    [operation] = item["frame"]["data"]
    assert (operation["op"], operation["path"], operation["value"]) == ("replace", [], [change(4).document])
    assert operation["metadata"]["channels"][0] == "app:shop:model:task"
    assert replayed(document(1, n=1), item["frame"]) == change(4).document
    assert streams.deliver([entry(2), entry(3), entry(5)]) == Report(appended=1, dropped=2)
    assert versions(client) == [1, 4, 5]
    assert streams.counts()["resyncs"] == 1


def test_a_gap_still_in_time_is_left_alone(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1), entry(3)])
    assert streams.overdue(for_nobody) == 0
    streams.deliver([entry(2)])
    assert versions(client) == [1, 2, 3]


def test_a_gap_filled_while_it_is_given_up_is_filled(streams: Streams, client: redis.Redis) -> None:
    without_hold(streams)
    streams.deliver([entry(1), entry(3)])

    def fill_meanwhile(changes: Sequence[Committed]) -> list[Entry]:
        streams.deliver([entry(2)])
        return for_nobody(changes)

    assert streams.overdue(fill_meanwhile) == 0
    assert versions(client) == [1, 2, 3]


def test_many_who_give_a_gap_up_give_it_up_once(streams: Streams, client: redis.Redis) -> None:
    without_hold(streams)
    streams.deliver([entry(1), entry(3)])
    barrier, done = threading.Barrier(4), []

    def together(changes: Sequence[Committed]) -> list[Entry]:
        barrier.wait(10)
        return for_nobody(changes)

    threads = [threading.Thread(target=lambda: done.append(streams.overdue(together))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == [0, 0, 0, 1]
    assert versions(client) == [1, 3]


def test_what_comes_while_a_gap_is_given_up_follows_it(streams: Streams, client: redis.Redis) -> None:
    without_hold(streams)
    streams.deliver([entry(1), entry(3)])

    def more_meanwhile(changes: Sequence[Committed]) -> list[Entry]:
        streams.deliver([entry(4), entry(6)])
        return for_nobody(changes)

    streams.overdue(more_meanwhile)
    assert versions(client) == [1, 3, 4]
    streams.overdue(for_nobody)
    assert versions(client) == [1, 3, 4, 6]


@pytest.mark.parametrize(("act", "event"), [("create", "model_created"), ("delete", "model_deleted")])
def test_a_gap_before_a_creation_or_deletion_needs_no_other_event(
    streams: Streams, client: redis.Redis, act: str, event: str
) -> None:
    without_hold(streams)
    streams.deliver([entry(1), entry(4, act=act)])
    streams.overdue(for_nobody)
    assert [one["event"] for one in kept(client)] == ["model_created", event]


def test_an_entry_that_waits_outlives_whoever_brought_it(client: redis.Redis) -> None:
    Streams(client, Settings()).deliver([entry(2)])
    client.connection_pool.disconnect()
    assert client.pttl("{platform}:streams:held:shop:task:d1") == -1
    Streams(client, Settings()).deliver([entry(1)])
    assert versions(client) == [1, 2]


def test_a_server_that_forgot_the_last_version_does_not_stop_a_document(streams: Streams, client: redis.Redis) -> None:
    without_hold(streams)
    streams.deliver([entry(1), entry(2)])
    client.delete("{platform}:streams:line:shop:task:d1")
    streams.deliver([entry(3)])
    streams.overdue(for_nobody)
    assert versions(client) == [1, 2, 3]


def test_a_very_long_wait_is_released_in_parts(streams: Streams, client: redis.Redis) -> None:
    """One call must not keep the server's other clients waiting."""
    streams.deliver([entry(version) for version in range(2, 1_203)])
    assert streams.deliver([entry(1)]) == Report(appended=501, released=500)
    while streams.overdue(for_nobody) or len(versions(client)) < 1_202:
        continue
    assert versions(client) == list(range(1, 1_203))
    assert client.keys("*held*") + client.keys("*gaps*") == []
    assert "resyncs" not in streams.counts()


# -- the socket processes


def test_each_process_is_told_once_for_a_call(streams: Streams, follower: Start) -> None:
    one, other = follower("p1"), follower("p2")
    streams.deliver(
        [entry(1, {"p1": {"change": ["a", "b"]}}), entry(2, {"p1": {"enter": ["c"]}, "p2": {"leave": ["d"]}})]
    )
    first, second = one.items(2)
    assert len(one.messages) == 1
    assert (first["groups"], first["frame"]["event"], first["channel"]) == (
        ["a", "b"],
        "model_created",
        "app:shop:model:task",
    )
    assert first["frame"]["data"] == change(1).document
    assert (second["frame"]["event"], second["frame"]["entered"]) == ("model_created", True)
    assert second["frame"]["data"] == change(2).document
    [left] = other.items(1)
    assert (left["frame"]["event"], left["frame"]["left"], left["groups"]) == ("model_deleted", True, ["d"])
    assert left["frame"]["data"] == {"appId": "shop", "userId": "ann", "type": "task", "id": "d1"}
    assert left["offset"] == second["offset"] > first["offset"]


def test_frames_say_which_document_and_version(streams: Streams, follower: Start) -> None:
    heard = follower("p1")
    streams.deliver([entry(1, {"p1": {"change": ["g"]}}), entry(2, {"p1": {"change": ["g"]}})])
    _, second = heard.items(2)
    frame = second["frame"]
    assert (frame["model"], frame["id"], frame["version"], frame["event"]) == ("task", "d1", 2, "model_updated")
    assert frame["data"][0]["metadata"]["channels"] == [
        "app:shop:model:task",
        "app:shop:model:task:d1",
        "app:shop:user:ann:model:task",
        "app:shop:user:ann:model:task:d1",
    ]


def test_what_waited_is_told_when_its_turn_comes(streams: Streams, follower: Start) -> None:
    heard = follower("p1")
    streams.deliver([entry(2, {"p1": {"change": ["g"]}})])
    streams.deliver([entry(1, {"p1": {"change": ["g"]}})])
    assert [item["frame"]["version"] for item in heard.items(2)] == [1, 2]


def test_nothing_is_told_again(streams: Streams, follower: Start) -> None:
    heard = follower("p1")
    for _ in range(3):
        streams.deliver([entry(1, {"p1": {"change": ["g"]}})])
    streams.deliver([entry(2, {"p1": {"change": ["g"]}})])
    assert [item["frame"]["version"] for item in heard.items(2)] == [1, 2]


def test_large_documents_are_told_in_several_messages(streams: Streams, follower: Start) -> None:
    """One message must not be so large that the server cuts its reader off."""
    heard = follower("p1")
    large = {"document": document(1, n=1, text="x" * 250_000)}
    streams.deliver([entry(1, {"p1": {"change": ["g"]}}, id=f"d{i}", **large) for i in range(10)])
    heard.items(10)
    assert max(len(message) for message in heard.messages) <= 5


# -- streams of other things


def test_an_event_about_no_document_is_appended_and_told(
    streams: Streams, client: redis.Redis, follower: Start
) -> None:
    heard = follower("p1")
    first = streams.append(":room:lobby", "message", {"text": "hi"}, targets={"p1": ["lobby"]})
    second = streams.append(":room:lobby", "message", {"text": "ho"})
    assert second.offset > first.offset
    assert second.epoch == first.epoch
    [item] = heard.items(1)
    assert item["frame"] == {"event": "message", "data": {"text": "hi"}}
    assert (item["channel"], item["offset"], item["epoch"]) == (":room:lobby", first.offset, first.epoch)
    assert len(kept_events(client, ":room:lobby")) == 2


def test_an_append_whose_answer_was_lost_is_not_done_twice(
    streams: Streams, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lost = delivery.run, []

    def lose_the_first(*args: object, **kwargs: object) -> object:
        answer = run(*args, **kwargs)  # type: ignore[arg-type]
        if not lost:
            lost.append(answer)
            raise redis.ConnectionError("the answer was lost")
        return answer

    monkeypatch.setattr(delivery, "run", lose_the_first)
    patient = Streams(client, Settings(), lambda: 5.0)
    position = patient.append(":room:lobby", "message", 1)
    assert [position.offset] == [int(offset) for offset, _ in lost]
    assert len(kept_events(client, ":room:lobby")) == 1


def kept_events(client: redis.Redis, stream: str) -> list[tuple[str, dict[str, str]]]:
    return client.xrange(f"{{platform}}:stream:{stream}")


def test_a_store_that_is_away_is_said_to_be(data_dir: object) -> None:
    nobody = redis.Redis(unix_socket_path=f"{data_dir}/no.sock", decode_responses=True)
    with pytest.raises(BrokerUnavailable, match="record store"):
        Streams(nobody, Settings()).deliver([entry(1)])


# -- epochs and trimming


def test_an_offset_is_larger_than_those_a_server_forgot(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1)])
    forgotten = kept(client)[-1]["offset"]
    client.flushall()  # as if nothing had been saved
    streams.deliver([entry(1, id="other")])
    assert kept(client)[0]["offset"] > forgotten


def test_a_stream_whose_epoch_is_lost_begins_again(streams: Streams, client: redis.Redis) -> None:
    streams.deliver([entry(1)])
    before = client.hget("{platform}:streams:meta:shop:task", "epoch")
    client.delete("{platform}:streams:meta:shop:task")
    streams.deliver([entry(2)])
    assert client.hget("{platform}:streams:meta:shop:task", "epoch") != before
    assert versions(client) == [2]


def test_a_stream_keeps_so_many_entries(client: redis.Redis) -> None:
    streams = Streams(client, Settings(stream_max_entries=10))
    for version in range(1, 26):
        streams.deliver([entry(version)])
    assert versions(client) == list(range(16, 26))


# -- many at once


def test_eight_who_deliver_everything_twice_and_shuffled_deliver_each_version_once_in_order(
    client: redis.Redis,
) -> None:
    streams = Streams(client, Settings())
    changes = [(f"d{number}", version) for number in range(40) for version in range(1, 51)]
    dealt = [random.Random(seed).sample(changes, len(changes))[: len(changes) // 2] for seed in range(7)]
    # The last has all of them, so that none is missing.
    dealt.append(random.Random(8).sample(changes, len(changes)))

    def bring(mine: list[tuple[str, int]]) -> None:
        for start in range(0, len(mine), 50):
            streams.deliver([entry(version, id=id) for id, version in mine[start : start + 50]])

    threads = [threading.Thread(target=bring, args=(mine,)) for mine in dealt]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(40):
        assert versions(client, f"d{number}") == list(range(1, 51))
    assert client.keys("*held*") == []


def test_programs_killed_while_they_deliver_leave_no_gap_and_nothing_twice(
    client: redis.Redis, redis_url: str, data_dir: Path, programs: list[Program]
) -> None:
    env = environment() | {"STREAMS_URL": redis_url}
    for seed in range(3):
        before = client.hget("{platform}:streams:counts", "held") or 0
        started = Program([sys.executable, "-m", "tests.samples.deliverer", str(seed)], data_dir / f"{seed}.log", env)
        programs.append(started)
        eventually(lambda old=before: (client.hget("{platform}:streams:counts", "held") or 0) != old, 30, poll_s=0.001)
        started.kill()
        started.wait()
    streams = Streams(client, Settings())
    half_done = len(kept(client))
    streams.deliver([entry(version, id=id) for id, version in deliverer.CHANGES])
    assert half_done < len(deliverer.CHANGES)
    for id in deliverer.DOCUMENTS:
        assert versions(client, id) == list(deliverer.VERSIONS)


@given(st.lists(st.tuples(st.sampled_from(["d1", "d2", "d3"]), st.integers(1, 6)), min_size=1, max_size=40), st.data())
@rules(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_what_is_kept_has_no_gap_and_nothing_twice(
    client: redis.Redis, brought: list[tuple[str, int]], data: st.DataObject
) -> None:
    client.flushall()
    streams = Streams(client, Settings())
    left = brought
    while left:
        size = data.draw(st.integers(1, len(left)))
        streams.deliver([entry(version, id=id) for id, version in left[:size]])
        left = left[size:]
    for id in {id for id, _ in brought}:
        seen = {version for other, version in brought if other == id}
        whole = next(version for version in itertools.count(1) if version not in seen) - 1
        assert versions(client, id) == list(range(1, whole + 1))
