"""RabbitMQ, looked at once over AMQP alone: its version, its alarms, and the queues it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import AMQPError, NotFound, PreconditionFailed  # type: ignore[import-untyped]

from platform import endpoints
from platform.audit.servers import Away, Place
from platform.settings import Settings


@dataclass(frozen=True)
class Rabbit:
    """``waiting`` and ``consumers`` of the queues that exist; ``mismatches``: queues declared otherwise, and how."""

    place: Place
    version: str
    alarm: str = ""
    waiting: dict[str, int] = field(default_factory=dict)
    consumers: dict[str, int] = field(default_factory=dict)
    mismatches: dict[str, str] = field(default_factory=dict)


def look(app: Any, config: Settings) -> Rabbit | Away:
    """Declares nothing that is not there. Every step takes the broker timeout at most."""
    place = Place("the broker", endpoints.broker_url(config))
    connection = app.connection_for_write(transport_options=_timeouts(app, config))
    try:
        established = connection.transport.establish_connection()
    except (OSError, AMQPError) as exc:
        return Away(place, str(exc) or type(exc).__name__)
    try:
        rabbit = Rabbit(place, str(established.server_properties.get("version", "")), _alarm(established, config))
        if not rabbit.alarm:
            for queue in app.amqp.queues.values():
                _look_at(established, queue, rabbit)
        return rabbit
    except (OSError, AMQPError) as exc:
        return Away(place, str(exc) or type(exc).__name__)
    finally:
        established.collect()  # not close(): a server under an alarm reads no more, and would be waited for


def _timeouts(app: Any, config: Settings) -> dict[str, Any]:
    bounds = {"read_timeout": config.broker_timeout_s, "write_timeout": config.broker_timeout_s}
    return {**app.conf.broker_transport_options, **bounds, "confirm_publish": True}


def _alarm(established: Any, config: Settings) -> str:
    """Publish a message to nowhere: a server short of memory or disk space takes it, and nothing more from us."""
    from amqp.basic_message import Message  # type: ignore[import-untyped]

    said: list[str] = []
    established.on_blocked = said.append
    channel = established.channel()
    try:
        channel.basic_publish(Message(""), "", "doctor.nowhere", confirm_timeout=config.broker_timeout_s)
        established.channel()
    except TimeoutError:
        return said[0] if said else "it answers no more once something is published"
    return ""


def _look_at(established: Any, queue: Any, rabbit: Rabbit) -> None:
    try:
        found = established.channel().queue_declare(queue.name, passive=True)
    except NotFound:
        return  # the first worker declares it
    except AMQPError as exc:
        rabbit.mismatches[queue.name] = str(exc)
        return
    rabbit.waiting[queue.name], rabbit.consumers[queue.name] = found.message_count, found.consumer_count
    try:
        queue.bind(established.channel()).queue_declare(passive=False)
    except PreconditionFailed as exc:
        rabbit.mismatches[queue.name] = exc.reply_text
