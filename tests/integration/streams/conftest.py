"""Streams on the session's empty Valkey, and documents that change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis

from platform.settings import Settings
from platform.streams.delivery import Streams
from tests.changes import Follower


@pytest.fixture
def client(embedded: redis.Redis, redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield text_client


@pytest.fixture
def streams(client: redis.Redis) -> Streams:
    return Streams(client, Settings())


@pytest.fixture
def follower(client: redis.Redis) -> Iterator[Callable[[str], Follower]]:
    """Hear what one socket process is told from now on: ``follower("p1").items(3)``."""
    heard: list[redis.client.PubSub] = []

    def start(process: str) -> Follower:
        pubsub = client.pubsub()
        heard.append(pubsub)
        channel = f"{{platform}}:sockets:{process}"
        pubsub.subscribe(channel)
        deadline = time.monotonic() + 5
        while pubsub.get_message(timeout=1) is None:
            assert time.monotonic() < deadline, "the subscription was not confirmed"
        return Follower(pubsub)

    yield start
    for pubsub in heard:
        pubsub.close()
