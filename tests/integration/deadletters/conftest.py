"""A register on the session's empty Valkey, and messages of the real app taken from their queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from kombu import Connection, Queue

from platform.deadletters.letter import Reason
from platform.deadletters.register import DeadLetters, Death
from platform.envelope import Envelope, of_message
from platform.jobs.ledger import Ledger
from platform.settings import Settings
from tasks import app
from tests.waiting import eventually

CONFIG = Settings(keep_failed_s=120, keep_dead_letters_s=600)
ERROR = {"type": "ValueError", "message": "no", "traceback": "Traceback …\nValueError: no\n"}


@pytest.fixture
def client(embedded: redis.Redis) -> redis.Redis:
    return embedded


@pytest.fixture
def letters(client: redis.Redis) -> DeadLetters:
    return DeadLetters(client, CONFIG)


@pytest.fixture
def ledger(redis_url: str, client: redis.Redis) -> Iterator[Ledger]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield Ledger(text_client, CONFIG)


@dataclass(frozen=True)
class Sent:
    """A job whose message no worker will ever get: it was taken from its queue."""

    job_id: str
    envelope: Envelope

    def death(self, reason: Reason = Reason.RETRIES_EXHAUSTED, **more: Any) -> Death:
        known = {
            "reason": reason,
            "error": ERROR,
            "message": self.envelope.as_text(),
            "job_id": self.job_id,
            "task": self.envelope.headers["task"],
            "queue": self.envelope.queue,
            "attempts": 1,
        }
        return Death(**known | more)


@pytest.fixture
def send(broker_url: str) -> Callable[..., Sent]:
    """``send("shop.add", 1, 2, queue="batch")``: publish through the real app, and take the message away."""

    def publish(task: str, *args: Any, **options: Any) -> Sent:
        queue = options.get("queue", "offload")
        with bound(queue):  # RabbitMQ's queues were deleted after the last test, which the app does not know
            job_id = app.send_task(task, args, **options).id
        return Sent(job_id, taken(queue))

    return publish


@contextmanager
def bound(queue: str) -> Iterator[Queue]:
    """A queue, declared, on a connection of its own."""
    with Connection(app.conf.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        found = app.amqp.queues[queue](connection.channel())
        found.declare()
        yield found


def taken(queue: str) -> Envelope:
    """The next message of a queue, acknowledged."""
    with bound(queue) as found:
        message = eventually(lambda: found.get(no_ack=True, accept=["json", "platform-json"]))
        return of_message(message, queue)
