"""Where queues are, and their keys: the broker's Redis, or the record store's beside a RabbitMQ.

What holds back a queue is kept on the server that has the queue, so that the script which takes messages sees it.
"""

from __future__ import annotations

from functools import cache

import redis
from kombu.transport.redis import Channel

from platform import endpoints, store
from platform.leases import names
from platform.queues import MAX_PRIORITY, MIN_PRIORITY
from platform.settings import settings
from platform.transport import key_prefix


def is_redis() -> bool:
    """Whether the queues themselves are in Redis."""
    return endpoints.is_redis(endpoints.broker_url(settings()))


@cache
def client() -> redis.Redis:
    """This process's client of that server."""
    config = settings()
    if not is_redis() or endpoints.records_are_beside_queues():
        return store.client()
    return store.connect(endpoints.broker_url(config), config, timeout_s=config.broker_timeout_s)


def paused() -> str:
    """The hash of paused queues."""
    return names.paused(key_prefix(settings()))


def bell(queue: str) -> str:
    return f"{key_prefix(settings())}bell:{queue}"


def lists(queue: str) -> dict[int, str]:
    """The queue's lists by their priority, the most urgent first; the one of 9 has the queue's bare name."""
    plain = f"{key_prefix(settings())}{queue}"
    steps = range(MAX_PRIORITY, MIN_PRIORITY - 1, -1)
    return {p: plain if p == MAX_PRIORITY else f"{plain}{Channel.sep}{MAX_PRIORITY - p}" for p in steps}
