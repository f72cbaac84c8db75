"""What running programs do about streams and subscriptions by themselves."""

from __future__ import annotations

from collections.abc import Callable

import redis

from platform.routing.subscriptions import Group, Subscriptions
from platform.settings import Settings
from platform.streams.delivery import Streams
from tests import processes
from tests.changes import entry, versions, without_hold
from tests.waiting import eventually

TASKS = "app:shop:model:task"


def test_a_worker_gives_up_gaps_and_forgets_dead_sockets(
    worker: Callable[..., processes.Worker], client: redis.Redis, streams: Streams, registry: Subscriptions
) -> None:
    worker("-Q", "batch")
    without_hold(streams).deliver([entry(1), entry(3)])
    registry.open("dead", ttl_s=0.001)
    registry.join("dead", [Group(TASKS)])
    eventually(lambda: versions(client) == [1, 3])
    eventually(lambda: registry.lookup([TASKS]).groups == {})


def test_what_was_delivered_and_to_how_many_is_in_the_metrics(
    web: Callable[..., processes.Web], streams: Streams, registry: Subscriptions
) -> None:
    registry.open("p1")
    streams.deliver([entry(1, {"p1": {"change": ["a", "b"]}}), entry(1), entry(3)])
    lines = web().http.get("/metrics").text.splitlines()
    for line in (
        'platform_stream_changes_total{outcome="appended"} 1.0',
        'platform_stream_changes_total{outcome="duplicate"} 1.0',
        'platform_stream_changes_total{outcome="held"} 1.0',
        'platform_stream_changes_total{outcome="resync"} 0.0',
        "platform_routed_groups_total 2.0",
        "platform_routed_targets_total 1.0",
        "platform_socket_processes 1.0",
    ):
        assert line in lines


def test_a_gap_is_waited_for_until_killed_workers_jobs_have_come_back(client: redis.Redis) -> None:
    for lease_ttl_s in (2, 8, 60):
        kept = Streams(client, Settings(lease_ttl_s=lease_ttl_s, max_deaths=2))
        assert kept.hold_s > 2 * 2 * lease_ttl_s + 4
