"""The leased channel: what is taken is recorded, whatever it is; and what is relied on of kombu's own."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Producer, Queue
from kombu.transport import redis as stock

from platform.leases import channel as leased
from platform.leases.lease import Lease
from tests.integration.leases.conftest import PREFIX

QUEUE = Queue("q", routing_key="q")


def publish(connection: Connection, *bodies: Any, **options: Any) -> None:
    with Producer(connection.channel()) as producer:
        for body in bodies:
            producer.publish(body, routing_key="q", exchange="", serializer="json", **options)


def take(connection: Connection, count: int, timeout_s: float = 5.0) -> list[Any]:
    """Consume ``count`` messages, unacknowledged; the consumer stays, with its channel."""
    got: list[Any] = []
    consumer = Consumer(connection.channel(), [QUEUE], callbacks=[lambda body, message: got.append((body, message))])
    consumer.consume()
    deadline = time.monotonic() + timeout_s
    while len(got) < count and time.monotonic() < deadline:
        try:
            connection.drain_events(timeout=0.2)
        except TimeoutError:
            continue
    return got


def held(client: redis.Redis, lease: Lease) -> int:
    return client.hlen(f"{PREFIX}held:{lease.name}")


def test_what_is_taken_is_recorded_and_an_acknowledgement_ends_that(
    connect: Callable[..., Connection], new_lease: Callable[..., Lease], client: redis.Redis
) -> None:
    lease = new_lease()
    publish(connect(), "a", "b")
    got = take(connect(lease), 2)
    assert [body for body, _ in got] == ["a", "b"]
    assert held(client, lease) == 2
    for _, message in got:
        message.ack()
    assert held(client, lease) == 0


def test_the_most_urgent_comes_first(connect: Callable[..., Connection], new_lease: Callable[..., Lease]) -> None:
    for priority in (0, 9, 5, 3, 9):
        publish(connect(), priority, priority=priority)
    assert [body for body, _ in take(connect(new_lease()), 5)] == [9, 9, 5, 3, 0]


def test_a_message_put_back_is_taken_again_first_and_marked(
    connect: Callable[..., Connection], new_lease: Callable[..., Lease], client: redis.Redis
) -> None:
    lease = new_lease()
    publish(connect(), "a", "b")
    connection = connect(lease)
    ((_, message),) = take(connection, 1)[:1]
    message.requeue()
    again = take(connect(lease), 1)[0]
    assert (again[0], again[1].delivery_info["redelivered"]) == ("a", True)


@pytest.mark.parametrize("garbage", [b"not json", b"[1]", b"7", b'{"body": ""}', b"\xff\xfe", b"[" * 5000, b"~1~x"])
def test_bytes_that_are_no_message_are_kept_and_the_next_message_comes(
    connect: Callable[..., Connection], new_lease: Callable[..., Lease], client: redis.Redis, garbage: bytes
) -> None:
    lease = new_lease()
    client.lpush(f"{PREFIX}q", garbage)
    publish(connect(), "good", priority=9)
    assert [body for body, _ in take(connect(lease), 1)] == ["good"]
    kept = client.lrange(f"{PREFIX}undecodable", 0, -1)
    assert kept == [b"q\n" + garbage.removeprefix(b"~1~")]
    assert held(client, lease) == 1  # the good one


def test_a_blocked_worker_wakes_when_something_is_published(
    connect: Callable[..., Connection], new_lease: Callable[..., Lease]
) -> None:
    connection, got = connect(new_lease()), []
    consumer = Consumer(connection.channel(), [QUEUE], callbacks=[lambda body, message: got.append(time.monotonic())])
    consumer.consume()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.05)
    publish(connect(), "a")
    published = time.monotonic()
    while not got:
        try:
            connection.drain_events(timeout=0.5)
        except TimeoutError:
            continue
    assert got[0] - published < 0.5  # it was not the end of the wait that woke it: that lasts a second


def test_a_server_that_has_forgotten_its_scripts_learns_them_again(
    connect: Callable[..., Connection], new_lease: Callable[..., Lease], client: redis.Redis
) -> None:
    connection = connect(new_lease())
    publish(connect(), "a")
    assert len(take(connection, 1)) == 1
    client.script_flush()
    publish(connect(), "b")
    assert [body for body, _ in take(connect(new_lease()), 1)] == ["b"]


def test_a_worker_taken_for_dead_joins_again_before_it_takes_anything(
    connect: Callable[..., Connection], new_lease: Callable[..., Lease], client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lease = new_lease()
    monkeypatch.setattr(leased.LeasedChannel, "rejoin", staticmethod(lease.join))
    client.delete(f"{PREFIX}lease:{lease.name}")
    publish(connect(), "a")
    assert len(take(connect(lease), 1)) == 1
    assert client.exists(f"{PREFIX}lease:{lease.name}") == 1


def test_a_program_without_a_lease_consumes_kombus_own_way(
    connect: Callable[..., Connection], client: redis.Redis
) -> None:
    publish(connect(), "a")
    got = take(connect(), 1)
    assert client.hlen(f"{PREFIX}unacked") == 1
    got[0][1].ack()
    assert client.hlen(f"{PREFIX}unacked") == 0


@pytest.mark.parametrize(
    ("owner", "method", "parameters"),
    [
        (stock.Channel, "_put", ["self", "queue", "message", "kwargs"]),
        (stock.Channel, "_brpop_start", ["self", "timeout"]),
        (stock.Channel, "_brpop_read", ["self", "options"]),
        (stock.Channel, "_get_message_priority", ["self", "message", "reverse"]),
        (stock.Channel, "_connparams", ["self", "asynchronous"]),
        (stock.Channel, "_create_client", ["self", "asynchronous"]),
        (stock.QoS, "append", ["self", "message", "delivery_tag"]),
        (stock.QoS, "ack", ["self", "delivery_tag"]),
        (stock.QoS, "reject", ["self", "delivery_tag", "requeue"]),
        (stock.QoS, "restore_unacked", ["self", "client"]),
        (stock.QoS, "restore_visible", ["self", "start", "num", "interval"]),
    ],
)
def test_kombu_still_has_what_is_overridden(owner: type, method: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, method)).parameters) == parameters


def test_kombus_own_scheme_is_left_alone() -> None:
    from kombu.transport import TRANSPORT_ALIASES

    assert TRANSPORT_ALIASES["redis"] == "kombu.transport.redis:Transport"
    assert TRANSPORT_ALIASES["valkey"] == "platform.transport:Transport"
