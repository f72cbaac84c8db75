"""A ledger on the session's empty Valkey."""

from __future__ import annotations

import pytest
import redis

from platform.jobs.ledger import Ledger
from platform.settings import Settings


@pytest.fixture
def client(embedded: redis.Redis, redis_url: str) -> redis.Redis:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield text_client


@pytest.fixture
def ledger(client: redis.Redis) -> Ledger:
    return Ledger(client, Settings(keep_completed_s=60, keep_failed_s=120, keep_cancelled_s=60))
