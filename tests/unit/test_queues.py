"""Queues and the one scale of priority."""

from __future__ import annotations

import pytest

from platform import queues
from platform.settings import Settings
from platform.transport import Channel, stock_url, url


def test_the_queues_are_those_of_the_contract_and_the_configured_ones() -> None:
    config = Settings(queues="reports,offload")
    names = ["offload", "batch", "pipeline.write", "pipeline.route", "fanout", "dead-letter", "reports"]
    assert queues.names(config) == names
    assert queues.served_by_default(config) == [name for name in names if name != "dead-letter"]
    assert all(queue.queue_arguments["x-max-priority"] == 9 for queue in queues.declared(config))


@pytest.mark.parametrize("priority", [-1, 10, 11])
def test_a_priority_outside_the_scale_is_refused(priority: int) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 9"):
        queues.checked_priority(priority)


def test_no_priority_means_5() -> None:
    assert (queues.checked_priority(None), queues.checked_priority(0), queues.checked_priority(9)) == (5, 0, 9)


@pytest.mark.parametrize(("priority", "asked_as"), [(9, 0), (5, 4), (0, 9), (99, 0), (-3, 9), (None, 4), ("x", 4)])
def test_redis_is_asked_for_the_most_urgent_first(priority: object, asked_as: int) -> None:
    channel = Channel.__new__(Channel)
    assert channel._get_message_priority({"properties": {"priority": priority}}) == asked_as


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("redis://h:1/0", "valkey://h:1/0"),
        ("rediss://h", "valkeys://h"),
        ("redis+socket:///tmp/x", "valkey+socket:///tmp/x"),
        ("sentinel://a;sentinel://b", "valkey-sentinel://a;valkey-sentinel://b"),
        ("amqp://h//", "amqp://h//"),
    ],
)
def test_redis_addresses_get_the_transports_own_scheme(theirs: str, ours: str) -> None:
    assert url(theirs) == ours
    if ";" not in theirs:
        assert stock_url(ours) == theirs


def test_a_task_is_routed_to_the_queue_it_was_declared_with() -> None:
    class Declared:
        default_queue = "batch"

    assert queues.route("t", (), {}, {}, Declared()) == {"queue": "batch"}
    assert queues.route("t", (), {}, {}, None) is None


def test_quorum_queues_ask_for_no_priorities_and_for_no_end_of_deliveries() -> None:
    for queue in queues.declared(Settings(queue_type="quorum")):
        assert queue.queue_arguments == {
            "x-queue-type": "quorum",
            "x-delivery-limit": 2**31 - 1,
            "x-consumer-timeout": 30 * 24 * 3600 * 1000,
        }
