"""An envelope keeps a message's bytes and reads what kombu's Redis transport writes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from kombu import Connection, Producer, Queue
from kombu.compression import compress
from kombu.message import Message

from platform.envelope import Envelope, from_text, of_message

ENVELOPE = Envelope(
    body=b"[[1], {}, {}] \xff",
    headers={"id": "x", "task": "shop.add"},
    content_type="application/x-platform+json",
    content_encoding="utf-8",
    properties={"correlation_id": "x", "reply_to": "", "priority": 7},
    queue="offload",
)


def test_what_is_written_is_read_again() -> None:
    back = from_text(ENVELOPE.as_text())
    assert (back.body, back.headers, back.queue, back.priority) == (ENVELOPE.body, ENVELOPE.headers, "offload", 7)


def test_the_text_has_the_parts_kombus_own_messages_have() -> None:
    with Connection("memory://") as connection, connection.channel() as channel:
        queue = Queue("offload", channel=channel)
        queue.declare()
        Producer(channel).publish([[1], {}, {}], routing_key="offload", priority=7, headers={"id": "x"})
        theirs = channel._get("offload")
    ours = json.loads(from_text(json.dumps(theirs)).as_text())
    assert set(ours) == set(theirs)
    assert set(ours["properties"]) == set(theirs["properties"])
    assert ours["body"] == theirs["body"]


def test_a_delivered_message_becomes_the_envelope_it_was_published_from() -> None:
    with Connection("memory://") as connection, connection.channel() as channel:
        queue = Queue("offload", channel=channel)
        queue.declare()
        ENVELOPE.publish(Producer(channel))
        message = queue.get(no_ack=True)
        assert message is not None
        back = of_message(message)
    assert (back.body, back.headers, back.content_type, back.priority) == (
        ENVELOPE.body,
        ENVELOPE.headers,
        ENVELOPE.content_type,
        7,
    )
    assert back.queue == "offload"


@pytest.mark.parametrize("text", ["", "7", "[]", "{}", '{"properties": {}}', b"\xff\xfe", "[" * 100_000])
def test_what_is_no_envelope_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="no message"):
        from_text(text)


@pytest.mark.parametrize("priority", [None, "x", 99, -1])
def test_an_unusable_priority_counts_as_the_default(priority: object) -> None:
    assert from_text(ENVELOPE.as_text()).with_headers(a=1).headers["a"] == 1
    assert Envelope(b"", {}, "", "", {"priority": priority}, "q").priority == 5


def test_what_amqp_has_among_the_properties_is_not_told_twice() -> None:
    message = SimpleNamespace(
        body=b"[[], {}, {}]",
        headers={"id": "x"},
        content_type="application/json",
        content_encoding="utf-8",
        properties={"content_type": "application/json", "content_encoding": "utf-8", "expiration": "5", "priority": 3},
        delivery_info={"routing_key": "offload"},
        errors=[],
    )
    assert of_message(message).properties == {"priority": 3}


def test_a_message_of_amqp_keeps_nothing_twice() -> None:
    """Content type, encoding and headers are among AMQP's properties; published again they must not collide."""
    properties = {"content_type": "x", "content_encoding": "y", "application_headers": {}, "correlation_id": "c"}
    message = Message(b"body", content_type="x", content_encoding="y", properties=properties, headers={"id": "1"})
    with Connection("memory://") as connection, connection.channel() as channel:
        Queue("offload", channel=channel).declare()
        back = of_message(message, "offload")
        back.publish(Producer(channel))
    assert back.properties == {"correlation_id": "c"}


def test_a_body_that_kombu_has_expanded_is_not_called_compressed() -> None:
    body, kind = compress(b"[[], {}, {}]", "gzip")
    found = of_message(Message(body, headers={"compression": kind}), "offload")
    assert (found.body, found.headers) == (b"[[], {}, {}]", {})
    broken = of_message(Message(b"x", headers={"compression": kind}), "offload")
    assert (broken.body, broken.headers) == (b"x", {"compression": kind})
