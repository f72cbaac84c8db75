"""What earlier tests left in RabbitMQ, removed through AMQP alone: no management plug-in, no rights of root."""

from __future__ import annotations

from kombu import Connection


def clear(url: str) -> None:
    """Delete the platform's queues with everything in them; workers declare them again when they start."""
    with Connection(url, connect_timeout=5) as connection:
        channel = connection.default_channel
        for name in queue_names():
            channel.queue_delete(name)


def queue_names() -> list[str]:
    from tasks import app

    return sorted({*app.amqp.queues, *(q.name for q in app.amqp.queues.values())})
