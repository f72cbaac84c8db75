"""Who is told of a change, and how, up to what a socket process hears."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import redis

from platform.documents.change import Committed
from platform.documents.filters import parsed
from platform.routing import matching
from platform.routing.direct import device_channel, send
from platform.routing.matching import Router
from platform.routing.subscriptions import Group, Subscriptions
from platform.streams.delivery import Entry, Streams
from tests.changes import Follower, change, document, versions, without_hold

TASKS = "app:shop:model:task"
Joins = Callable[..., Group]
Start = Callable[[str], Follower]


def targets(router: Router, one: Committed, **more: Any) -> dict[str, dict[str, list[str]]]:
    [entry] = router.route([one], **more)
    return entry.targets


def test_a_change_that_nobody_follows_has_no_targets(router: Router, joins: Joins) -> None:
    joins("p1", "app:shop:model:item")
    joins("p1", "app:other:model:task")
    joins("p1", "app:shop:user:bob:model:task")
    joins("p1", f"{TASKS}:d2")
    assert targets(router, change(1)) == {}


def test_nothing_to_route_is_no_question(router: Router) -> None:
    assert router.route([]) == []


@pytest.mark.parametrize(
    "channel", [TASKS, f"{TASKS}:d1", "app:shop:user:ann:model:task", "app:shop:user:ann:model:task:d1"]
)
def test_each_of_the_four_channels_is_told(router: Router, joins: Joins, channel: str) -> None:
    joins("p1", channel)
    assert targets(router, change(1)) == {"p1": {"change": [channel]}}


def test_a_process_is_named_once_with_all_its_groups(router: Router, joins: Joins) -> None:
    groups = [joins(process, channel) for process in ("p1", "p2") for channel in (TASKS, f"{TASKS}:d1")]
    keys = [group.key for group in groups[:2]]
    assert targets(router, change(2)) == {"p1": {"change": keys}, "p2": {"change": keys}}


@pytest.mark.parametrize(
    ("filter", "kind"),
    [({"n": {"$gte": 2}}, "change"), ({"n": 3}, "enter"), ({"n": 2}, "leave"), ({"n": 1}, None)],
)
def test_a_filter_is_tested_before_and_after_the_change(
    router: Router, joins: Joins, filter: dict[str, object], kind: str | None
) -> None:
    group = joins("p1", TASKS, filter)
    assert targets(router, change(3)) == ({"p1": {kind: [group.key]}} if kind else {})


@pytest.mark.parametrize(("act", "n"), [("create", 3), ("delete", 2)])
def test_a_filter_chooses_creations_and_deletions_by_the_document(
    router: Router, joins: Joins, act: Any, n: int
) -> None:
    group = joins("p1", TASKS, {"n": n})
    joins("p2", TASKS, {"n": 4})
    assert targets(router, change(3, act)) == {"p1": {"change": [group.key]}}


def test_system_fields_can_be_filtered(router: Router, joins: Joins) -> None:
    group = joins("p1", TASKS, {"userId": "ann", "version": {"$gt": 1}})
    assert targets(router, change(1)) == {}
    assert targets(router, change(2)) == {"p1": {"enter": [group.key]}}


def test_a_resync_tells_everybody_what_they_may_have_missed(router: Router, joins: Joins) -> None:
    matching, other = joins("p1", TASKS, {"n": 3}), joins("p1", TASKS, {"n": 2})
    assert targets(router, change(3), is_resync=True) == {"p1": {"change": [matching.key], "leave": [other.key]}}


def test_each_filter_is_tested_once_for_a_change(router: Router, joins: Joins, monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[int] = []

    def counting(filter: dict[str, object]) -> Any:
        real = parsed(filter)

        def matches(document: Any) -> bool:
            tested.append(document["n"])
            return real.matches(document)

        return type(real)(real.text, real.key, matches, real.conditions)

    monkeypatch.setattr(matching, "parsed", counting)
    for channel in (TASKS, f"{TASKS}:d1", "app:shop:user:ann:model:task"):
        for process in ("p1", "p2"):
            joins(process, channel, {"n": {"$gt": 0}})
    [entry] = router.route([change(2)])
    assert len(entry.targets["p2"]["change"]) == 3
    assert tested == [1, 2]


def test_a_batch_is_looked_up_by_one_command(router: Router, joins: Joins, client: redis.Redis) -> None:
    joins("p1", TASKS, {"n": {"$gt": 0}})
    router.route([change(1)])  # its filter is compiled now
    before = client.info("commandstats")
    entries = router.route([change(version, id=f"d{version}") for version in range(1, 101)])
    after = client.info("commandstats")
    calls = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert len(entries) == 100
    # Those inside the script are counted too; it is the only call from outside beside INFO.
    assert {name for name, number in calls.items() if number} == {
        "cmdstat_evalsha",
        "cmdstat_get",
        "cmdstat_hgetall",
        "cmdstat_info",
        "cmdstat_mget",
    }
    assert calls["cmdstat_evalsha"] == 1


def test_a_filter_nobody_understands_matches_nothing_and_stops_nothing(
    router: Router, joins: Joins, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    strange, whole = joins("p1", TASKS, {"n": 1}), joins("p1", TASKS)
    assert strange.filter is not None
    client.hset("{platform}:routing:filters", strange.filter.key, '{"n":{"$near":1}}')
    assert targets(router, change(1)) == {"p1": {"change": [whole.key]}}
    assert "cannot be read" in caplog.text


def test_routed_changes_travel_as_json(router: Router, joins: Joins) -> None:
    joins("p1", TASKS, {"n": {"$gt": 0}})
    routed = router.route([change(1), change(2)])
    plain = json.loads(json.dumps(msgspec.to_builtins(routed)))
    assert msgspec.convert(plain, list[Entry]) == routed


# -- together with delivery


def test_who_joined_while_a_change_was_on_its_way_is_told_to_read_again(
    router: Router, joins: Joins, streams: Streams, follower: Start
) -> None:
    joins("early", TASKS)
    routed = router.route([change(1), change(2, id="d2", before_ms=1)])
    late = joins("late", TASKS, {"n": 1})
    joins("late", f"{TASKS}:d9")
    early_ears, late_ears = follower("early"), follower("late")
    streams.deliver(routed)
    first, second = late_ears.items(2)
    assert (first["reread"], first["groups"], first["channel"]) == (True, [late.key], TASKS)
    assert "frame" not in first
    # Not asked of those whom routing knew.
    assert [item["offset"] for item in early_ears.items(2)] == [first["offset"], second["offset"]]
    assert len(early_ears.items(2)) == 2
    assert streams.counts()["rereads"] == 2


def test_who_joined_before_routing_is_told_once(
    router: Router, joins: Joins, streams: Streams, follower: Start
) -> None:
    joins("p1", TASKS)
    heard = follower("p1")
    streams.deliver(router.route([change(1)]))
    streams.deliver(router.route([change(2)]))
    assert [("reread" in item, item["frame"]["version"]) for item in heard.items(2)] == [(False, 1), (False, 2)]
    assert "rereads" not in streams.counts()


def test_a_gap_is_given_up_for_all_who_follow(
    router: Router, joins: Joins, streams: Streams, client: redis.Redis, follower: Start
) -> None:
    whole, part = joins("p1", TASKS), joins("p2", TASKS, {"n": {"$lt": 3}})
    without_hold(streams)
    streams.deliver([Entry(change(1)), Entry(change(3))])
    one, other = follower("p1"), follower("p2")

    def reroute(changes: Sequence[Committed]) -> list[Entry]:
        return router.route(changes, is_resync=True)

    assert streams.overdue(reroute) == 1
    [item] = one.items(1)
    assert (item["groups"], item["frame"]["data"][0]["value"]) == ([whole.key], [document(3, n=3)])
    [left] = other.items(1)
    assert (left["groups"], left["frame"]["left"]) == ([part.key], True)
    assert versions(client) == [1, 3]


def test_what_was_matched_is_counted_once(router: Router, joins: Joins, streams: Streams) -> None:
    for process in ("p1", "p2"):
        joins(process, TASKS)
        joins(process, TASKS, {"n": {"$gt": 0}})
    for _ in range(2):
        streams.deliver(router.route([change(1)]))
    counts = streams.counts()
    assert (counts["appended"], counts["dropped"], counts["groups"], counts["targets"]) == (1, 1, 2, 2)


# -- devices


def test_a_message_to_a_device_reaches_every_process_that_has_it(
    registry: Subscriptions, joins: Joins, follower: Start
) -> None:
    channel = device_channel("shop", "ann", "phone")
    joins("p1", channel)
    joins("p2", channel)
    joins("p3", device_channel("shop", "bob", "phone"))
    one, two = follower("p1"), follower("p2")
    assert send("shop", "ann", "phone", "message", {"text": "hi"}, registry) == 2
    [item] = one.items(1)
    assert item == {"frame": {"event": "message", "data": {"text": "hi"}}, "channel": channel, "groups": [channel]}
    assert two.items(1) == [item]


def test_a_device_that_is_away_is_said_to_be(registry: Subscriptions) -> None:
    assert send("shop", "ann", "phone", "message", 1, registry) == 0
