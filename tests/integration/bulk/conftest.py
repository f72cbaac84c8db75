"""Many jobs submitted by this process, and what lies in the broker and the record store afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import pools

from platform.envelope import Envelope, from_text, of_message
from platform.jobs.ledger import Ledger, ledger
from platform.queueing import place

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield text_client


@pytest.fixture(autouse=True)
def sender(broker_url: str) -> Celery:
    """The app in this process, which sends to this run's broker and has declared nothing there yet."""
    from tasks import app

    pools.reset()
    app._pool = app.amqp._producer_pool = None
    return app


@pytest.fixture
def records(redis_url: str) -> Ledger:
    """This process's own ledger, on the session's empty Valkey."""
    return ledger()


@pytest.fixture
def take(client: redis.Redis, sender: Celery) -> Callable[[str], list[Envelope]]:
    """Take every message of a queue: the most urgent first, then in the order they were submitted."""

    def from_lists(queue: str) -> list[Envelope]:
        lists = place.lists(queue).values()
        return [from_text(text) for name in lists for text in reversed(client.lrange(name, 0, -1))]

    def from_broker(queue: str) -> list[Envelope]:
        found: list[Envelope] = []
        with sender.connection_for_read() as connection, connection.channel() as channel:
            while message := sender.amqp.queues[queue](channel).get(no_ack=True):
                found.append(of_message(message, queue))
        return found

    return from_lists if place.is_redis() else from_broker


@pytest.fixture
def kept(client: redis.Redis, records: Ledger) -> Callable[[], dict[str, Any]]:
    """Everything in the record store by its key, the queues' lists aside."""

    def read(key: str) -> Any:
        ask = {"hash": client.hgetall, "string": client.get}
        return ask.get(client.type(key), lambda name: client.zrange(name, 0, -1, withscores=True))(key)

    keys = f"{records.prefix}[!q]*"
    return lambda: {key: read(key) for key in sorted(client.scan_iter(keys))}
