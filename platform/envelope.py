"""A task's message apart from any broker: what is kept of one that waits for its time, or has died.

Its text is the JSON that kombu's Redis transport keeps in a list, so that there a script moves it as it is; on
RabbitMQ it is published again from its parts.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kombu.utils.json import dumps, loads

from platform.queues import DEFAULT_PRIORITY

PERSISTENT = 2
#: How often an operator has sent the message back from the dead letters.
REPLAYS_HEADER = "replays"
#: Properties that belong to one delivery, or that the envelope has apart; and ``expiration``, by which RabbitMQ drops a
#: message in silence.
_OF_A_DELIVERY = frozenset(
    {
        *("delivery_tag", "delivery_info", "body_encoding", "deaths", "expiration"),
        *("application_headers", "content_type", "content_encoding"),
    }
)


def replays_of(headers: Mapping[str, Any]) -> int:
    """How often a message with these headers was replayed."""
    found = headers.get(REPLAYS_HEADER)
    return found if isinstance(found, int) and found > 0 else 0


@dataclass(frozen=True)
class Envelope:
    """A message's parts as they came. ``body`` is what the serializer wrote, still compressed if it was."""

    body: bytes
    headers: dict[str, Any]
    content_type: str
    content_encoding: str
    properties: dict[str, Any]
    queue: str

    @property
    def priority(self) -> int:
        """0–9, 9 most urgent; 5 where the message says nothing usable."""
        found = self.properties.get("priority")
        return found if isinstance(found, int) and 0 <= found <= 9 else DEFAULT_PRIORITY

    def with_headers(self, **changed: Any) -> Envelope:
        return replace(self, headers=self.headers | changed)

    def as_text(self) -> str:
        """The envelope as kombu's Redis transport would write it, under a delivery tag of its own."""
        properties = self.properties | {
            "delivery_mode": self.properties.get("delivery_mode") or PERSISTENT,
            "delivery_info": {"exchange": "", "routing_key": self.queue},
            "delivery_tag": str(uuid.uuid4()),
            "body_encoding": "base64",
            "priority": self.priority,
        }
        return dumps(
            {
                "body": base64.b64encode(self.body).decode(),
                "content-encoding": self.content_encoding,
                "content-type": self.content_type,
                "headers": self.headers,
                "properties": properties,
            }
        )

    def publish(self, producer: Any, **options: Any) -> None:
        """Send it to its queue through a kombu producer, on any broker; raises what kombu raises.

        ``options`` are ``Producer.publish``'s own: ``declare``, ``retry``, ``retry_policy``.
        """
        producer.publish(
            self.body,
            exchange="",
            routing_key=self.queue,
            content_type=self.content_type,
            content_encoding=self.content_encoding,
            headers=dict(self.headers),
            **self.properties | {"priority": self.priority, "delivery_mode": PERSISTENT} | options,
        )


def from_text(text: str | bytes, queue: str = "") -> Envelope:
    """Read a Redis list's item. Raises ValueError for bytes that are no envelope."""
    try:
        parts = loads(text.decode() if isinstance(text, bytes) else text)
        properties = dict(parts["properties"])
        body = parts["body"]
        raw = base64.b64decode(body) if properties.get("body_encoding") == "base64" else str(body).encode()
        return Envelope(
            body=raw,
            headers=dict(parts["headers"]),
            content_type=str(parts["content-type"]),
            content_encoding=str(parts["content-encoding"]),
            properties=_lasting(properties),
            queue=queue or _routing_key(properties),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as exc:
        raise ValueError(f"these bytes are no message: {type(exc).__name__}: {exc}") from exc


def of_message(message: Any, queue: str = "") -> Envelope:
    """The envelope of a kombu message that was delivered, of either transport."""
    body = message.body
    headers = dict(message.headers) if isinstance(message.headers, dict) else {}
    if not message.errors:
        headers.pop("compression", None)  # kombu has undone it already
    return Envelope(
        body=body.encode() if isinstance(body, str) else bytes(body or b""),
        headers=headers,
        content_type=str(message.content_type or ""),
        content_encoding=str(message.content_encoding or ""),
        properties=_lasting(message.properties or {}),
        queue=queue or str((message.delivery_info or {}).get("routing_key") or ""),
    )


def _lasting(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in _OF_A_DELIVERY}


def _routing_key(properties: dict[str, Any]) -> str:
    return str(properties.get("delivery_info", {}).get("routing_key") or "")
