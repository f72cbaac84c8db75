"""Messages no worker can run, or run as they are: what is wrong with each, and what becomes of it.

``WHOLE`` are items of a Redis list that are no envelope; ``PARTS`` are bodies and headers, as any broker carries them.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import redis
from kombu import Connection

from platform import losses, transport
from platform.leases.scripts import run
from platform.settings import Settings
from tests.chaos.deployment import Deployment

QUEUE = "offload"
JSON = "application/json"
TASK = "toil.work"
BODY = b"[[0], {}, {}]"


@dataclass(frozen=True, eq=False)
class Part:
    """One message; ``headers`` are added to good ones, unless ``only`` says that they are all."""

    what: str
    reason: str
    body: bytes = BODY
    content_type: str = JSON
    headers: dict[str, Any] = field(default_factory=dict)
    only: Any = ...
    # Beside its name, for a job's id is used once, and a deployment may see these more than once.
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def all_headers(self) -> Any:
        if self.only is not ...:
            return self.only
        return {"id": f"{self.what} {self.mark}", "task": TASK, "retries": 0} | self.headers

    def envelope(self) -> bytes:
        """As kombu's Redis transport keeps it."""
        properties = {
            "correlation_id": self.mark,
            "delivery_tag": self.mark,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "delivery_mode": 2,
            "body_encoding": "base64",
            "priority": 5,
        }
        return json.dumps(
            {
                "body": base64.b64encode(self.body).decode(),
                "headers": self.all_headers,
                "content-type": self.content_type,
                "content-encoding": "utf-8",
                "properties": properties,
            }
        ).encode()


def undecodable(what: str, body: bytes = BODY, content_type: str = JSON, **more: Any) -> Part:
    return Part(what, "undecodable", body, content_type, **more)


def invalid(what: str, body: bytes = BODY, **more: Any) -> Part:
    return Part(what, "invalid", body, **more)


PARTS = [
    undecodable("body not JSON", b"{not json"),
    undecodable("body not UTF-8", b'[["\xff\xfe"], {}, {}]'),
    undecodable("body of garbage", bytes(range(256))),
    undecodable("body nested too deep", b"[" * 100_000),
    undecodable("body with a type nobody knows", b'[[{"__type__": "nope", "__value__": 1}], {}, {}]'),
    undecodable("pickled body", b"cos\nsystem\n(S'true'\ntR.", "application/x-python-serialize"),
    undecodable("body in YAML", b"[[0], {}, {}]", "application/x-yaml"),
    undecodable("unknown content type", content_type="application/x-nobody-knows"),
    undecodable("unknown compression", headers={"compression": "application/x-nobody-knows"}),
    undecodable("body not compressed though it says so", headers={"compression": "application/x-gzip"}),
    undecodable("no headers", only=None),
    undecodable("empty headers", only={}),
    undecodable("headers without id", only={"task": TASK}),
    undecodable("headers without task", only={"id": "without a task"}),
    undecodable("id a number", headers={"id": 7}),
    undecodable("empty id", headers={"id": ""}),
    undecodable("task a list", headers={"task": [TASK]}),
    undecodable("unregistered without id", only={"task": "toil.nobody_knows"}),
    invalid("empty body", b""),
    invalid("body null", b"null"),
    invalid("body a number", b"5"),
    invalid("body a text", b'"words"'),
    invalid("body an object", b'{"task": "toil.work", "args": [0]}'),
    invalid("body a pair", b"[[0], {}]"),
    invalid("body no JSON at all", b"[[0], {}, {}]", content_type="application/data"),
    invalid("arguments a number", b"[5, {}, {}]"),
    invalid("keyword arguments a list", b"[[0], [1], {}]"),
    invalid("options a number", b"[[0], {}, 7]"),
    invalid("eta no time", headers={"eta": "tomorrow"}),
    invalid("eta a number", headers={"eta": 7}),
    invalid("eta beyond the calendar", headers={"eta": "9999-12-31T23:59:59+00:00"}),
    invalid("expires no time", headers={"expires": "never"}),
    invalid("time limit a word", headers={"timelimit": "soon"}),
    invalid("time limits below zero", headers={"timelimit": [-1, None]}),
    invalid("one time limit", headers={"timelimit": [5]}),
    invalid("retries a text", headers={"retries": "many"}),
    invalid("stamped headers a number", headers={"stamped_headers": 7}),
    invalid("wrong arguments", b"[[1, 2, 3], {}, {}]"),
    Part("unregistered", "unregistered", headers={"task": "toil.nobody_knows"}),
    Part("expired", "expired", headers={"expires": "2001-01-01T00:00:00+00:00"}),
]


def _whole(without: str = "", **changed: Any) -> bytes:
    """A good envelope, of a job of its own, but for these parts."""
    good = json.loads(Part("good", "").envelope()) | changed
    return json.dumps({name: part for name, part in good.items() if name != without}).encode()


WHOLE = [
    b"\xff\x00 not a message",
    b"",
    b"words",
    b"7",
    b"null",
    b'"a text"',
    b"[1, 2]",
    b"{}",
    b"{" * 5_000,
    _whole(without="properties"),
    _whole(without="body"),
    _whole(properties=[]),
    _whole(properties={}),
    _whole(body=None),
    _whole(body=7),
    _whole(body="not base64"),
    _whole(headers=["id", "task"]),
    _whole(headers="words"),
    _whole(**{"content-type": None}),
    _whole(properties={"delivery_tag": "1", "body_encoding": "rot13"}),
]


class Slot:
    """Where messages are put past everything that would look at them: a Redis list, or a queue of RabbitMQ."""

    def __init__(self, deployment: Deployment):
        self.is_redis = deployment.broker is deployment.records
        self._url = deployment.broker.url

    def put(self, part: Part) -> None:
        if self.is_redis:
            self.put_bytes(part.envelope())
            return
        with Connection(self._url) as connection:
            channel = connection.default_channel
            properties = {"correlation_id": part.mark}
            message = channel.prepare_message(
                part.body, 5, part.content_type, "utf-8", part.all_headers, properties=properties
            )
            channel.basic_publish(message, exchange="", routing_key=QUEUE)

    def put_bytes(self, item: bytes) -> None:
        """Into the list for the default priority."""
        prefix = transport.key_prefix(Settings())
        with redis.Redis.from_url(self._url) as client:
            run(client, "put", keys=[f"{prefix}{QUEUE}\x06\x164", f"{prefix}bell:{QUEUE}"], args=[item])


def is_of(part: Part, letter: dict[str, Any], is_redis: bool) -> bool:
    """Whether a letter, in full, is this message's: on Redis with its very bytes, else with its body and headers.

    One that had to wait for a worker that knows its task was written anew, with a note of that in its headers.
    """
    came = base64.b64decode(letter["message"]["base64"])
    if is_redis and part.reason != "unregistered":
        return came == part.envelope()
    if part.mark.encode() not in came:
        return False
    kept = json.loads(came)
    headers = {name: value for name, value in kept["headers"].items() if name != losses.UNKNOWN_HEADER}
    return base64.b64decode(kept["body"]) == part.body and headers == (part.all_headers or {})
