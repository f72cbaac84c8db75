"""A schedule on the session's empty Valkey, the queues of this run's broker, and a client that sends to both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu import pools

from platform.delayed.pump import Pump
from platform.delayed.schedule import Schedule
from platform.envelope import Envelope
from platform.jobs.ledger import Ledger
from platform.settings import settings
from platform.transport import key_prefix
from tests import processes

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield text_client


@pytest.fixture
def ledger(client: redis.Redis) -> Ledger:
    return Ledger(client, settings())


@pytest.fixture
def schedule(ledger: Ledger) -> Schedule:
    return Schedule(ledger)


@pytest.fixture
def sender(broker_url: str) -> Celery:
    """The app in this process, which sends to this run's broker and has declared nothing there yet."""
    from tasks import app

    pools.reset()
    app._pool = app.amqp._producer_pool = None
    return app


WAYS = ["elsewhere"] if os.environ.get("TEST_BROKER_URL") else ["beside", "elsewhere"]


@pytest.fixture(params=WAYS)
def pump(request: pytest.FixtureRequest, schedule: Schedule, sender: Celery) -> Pump:
    """A pump that moves messages by script, and one that publishes them."""
    return Pump(schedule, sender, key_prefix(settings()) if request.param == "beside" else None)


@pytest.fixture
def delivered(sender: Celery) -> Callable[[], list[Envelope]]:
    """Take everything out of the queue ``offload``."""
    from platform.envelope import of_message

    def take() -> list[Envelope]:
        with sender.connection_for_read() as connection, connection.channel() as channel:
            queue = sender.amqp.queues["offload"](channel)
            queue.declare()
            return [of_message(message, "offload") for message in iter(lambda: queue.get(no_ack=True), None)]

    return take


@pytest.fixture
def new_worker(worker: Callable[..., processes.Worker]) -> Callable[..., processes.Worker]:
    """A worker that knows the module ``waits``; arguments as of the fixture ``worker``."""
    return lambda *args, **more: worker(*args, imports="waits", folder=SAMPLES, **more)
