"""Connections of the platform's own transport to the session's Valkey, with a lease or without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from kombu import Connection

from platform import transport
from platform.leases import names
from platform.leases.lease import Lease

PREFIX = "{leasetest}:"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leases are of the Redis transport; RabbitMQ notices a dead worker by its connection."""
    elsewhere = os.environ.get("TEST_BROKER_URL", "").startswith("amqp")
    for item in items:
        if elsewhere and "integration/leases" in str(item.path):
            item.add_marker(pytest.mark.skip(reason="RabbitMQ has no leases"))


@pytest.fixture
def client(embedded: redis.Redis) -> redis.Redis:
    return embedded


@pytest.fixture
def new_lease(client: redis.Redis) -> Callable[..., Lease]:
    def make(ttl_s: float = 5.0) -> Lease:
        lease = Lease(client, PREFIX, names.incarnation(), ttl_s)
        lease.join()
        return lease

    return make


@pytest.fixture
def connect(redis_url: str, client: redis.Redis) -> Iterator[Callable[..., Connection]]:
    """``connect(lease)``: a kombu connection whose channels take under that lease; without one, kombu's own way."""
    made: list[Connection] = []

    def make(lease: Lease | None = None, **options: Any) -> Connection:
        full = {"global_keyprefix": PREFIX, "priority_steps": list(range(10)), "lease": lease.name if lease else ""}
        made.append(Connection(transport.url(redis_url), transport_options=full | options))
        return made[-1]

    yield make
    for connection in made:
        connection.release()
