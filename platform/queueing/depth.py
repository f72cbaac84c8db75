"""How many messages wait in each queue: counted in Redis by priority, asked of RabbitMQ, which tells the sum only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kombu.exceptions import OperationalError

from platform import store
from platform.errors import BrokerUnavailable
from platform.queueing import place

NOT_FOUND = 404


@dataclass(frozen=True)
class Depth:
    """``by_priority`` has all of "9" to "0"; None on RabbitMQ: AMQP does not tell."""

    total: int
    by_priority: dict[str, int] | None = None


def depths(queues: Sequence[str]) -> dict[str, Depth]:
    """The messages that wait in each queue, one round trip on Redis. Raises BrokerUnavailable."""
    return _counted(queues) if place.is_redis() else _asked(queues)


def _counted(queues: Sequence[str]) -> dict[str, Depth]:
    with place.client().pipeline(transaction=False) as pipe:
        for queue in queues:
            for key in place.lists(queue).values():
                pipe.llen(key)
        sizes = iter(store.insist(pipe.execute, 0))
    counts = {queue: {str(priority): next(sizes) for priority in place.lists(queue)} for queue in queues}
    return {queue: Depth(sum(waiting.values()), waiting) for queue, waiting in counts.items()}


def _asked(queues: Sequence[str]) -> dict[str, Depth]:
    from platform.celery import app

    with app.connection_for_read() as connection:
        try:
            _ = connection.default_channel  # connects, as patiently as the settings say
            return {queue: Depth(_messages(connection, queue)) for queue in queues}
        except (OperationalError, *connection.connection_errors) as exc:
            raise BrokerUnavailable(f"the broker did not tell how deep its queues are: {exc}") from exc


def _messages(connection: Any, queue: str) -> int:
    """Messages that wait in a RabbitMQ queue; none in one that no worker has declared yet."""
    try:
        # A channel of its own: asking for what is not there closes it.
        with connection.channel() as channel:
            return channel.queue_declare(queue, passive=True).message_count
    except connection.channel_errors as exc:
        if getattr(exc, "code", None) != NOT_FOUND:
            raise
        return 0
