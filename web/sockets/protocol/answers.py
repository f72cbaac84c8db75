"""What the server says: answers to a client's messages, and the frames of what happened.

Frames of data are put together as text elsewhere, once for thousands (``platform.streams.event``); their types here
are what that text is.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from platform import serialization
from web.sockets.protocol.messages import Message, Ref, Refused


class _Answer(msgspec.Struct, tag_field="type", omit_defaults=True, frozen=True):
    """A control frame. ``ref`` is the one of the message it answers, if that had one."""

    def encoded(self) -> bytes:
        return serialization.encode(self)


class User(msgspec.Struct, frozen=True):
    id: str
    email: str
    app_id: str


class Signed(msgspec.Struct, frozen=True):
    """Who is connected; ``expires_at`` is null for an API key, which does not."""

    user: User
    roles: list[str]
    expires_at: str | None


class Connected(_Answer, tag="connected", frozen=True):
    conn_id: str
    device_id: str
    session: Signed


class Subscribed(_Answer, tag="subscribed", frozen=True):
    """Every frame of the channel that follows has a larger offset."""

    channel: str
    epoch: str
    offset: int
    recovered: bool
    ref: Ref | None = None


class Resumed(_Answer, tag="resumed", frozen=True):
    """``count`` channels are followed now."""

    count: int
    ref: Ref | None = None


class Unsubscribed(_Answer, tag="unsubscribed", frozen=True):
    channel: str
    ref: Ref | None = None


class Published(_Answer, tag="published", frozen=True):
    channel: str
    epoch: str
    offset: int
    ref: Ref | None = None


class Reply(_Answer, tag="reply", frozen=True):
    result: Any
    job_id: str
    ref: Ref | None = None


class Pong(_Answer, tag="pong", frozen=True):
    ref: Ref | None = None


class Refreshed(_Answer, tag="refreshed", frozen=True):
    expires_at: str | None
    ref: Ref | None = None


class Error(_Answer, tag="error", frozen=True):
    """The message was not done; the connection stays up. ``job_id`` is that of a call."""

    code: str
    message: str
    job_id: str | None = None
    ref: Ref | None = None


Answer = Connected | Subscribed | Resumed | Unsubscribed | Published | Reply | Pong | Refreshed | Error


class _Event(msgspec.Struct, tag_field="event", frozen=True):
    """``offset`` is missing from what is not kept, such as what is sent to one device."""

    channel: str
    offset: int


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of JSON Patch; ``path`` and ``from`` are lists of segments, ``value`` is a list of one where there is one."""

    op: Literal["add", "remove", "replace", "move", "copy"]
    path: list[str]
    value: list[Any] = []
    from_: list[str] = msgspec.field(default=[], name="from")
    metadata: dict[str, Any] = {}


class Address(msgspec.Struct, frozen=True):
    appId: str
    userId: str
    type: str
    id: str


class ModelCreated(_Event, tag="model_created", frozen=True, kw_only=True):
    """``entered``: it was there before, and passes the filter now."""

    model: str
    id: str
    version: int
    data: dict[str, Any]
    entered: bool = False


class ModelUpdated(_Event, tag="model_updated", frozen=True, kw_only=True):
    model: str
    id: str
    version: int
    data: list[Operation]


class ModelDeleted(_Event, tag="model_deleted", frozen=True, kw_only=True):
    """``left``: it is still there, and does not pass the filter any more."""

    model: str
    id: str
    version: int
    data: Address
    left: bool = False


class JobChanged(_Event, tag="job", frozen=True, kw_only=True):
    """``data`` is the job as ``GET /jobs/{id}`` answers."""

    data: dict[str, Any]


class BatchChanged(_Event, tag="batch", frozen=True, kw_only=True):
    data: dict[str, Any]


class Said(_Event, tag="message", frozen=True, kw_only=True):
    room: str
    data: Any


Event = ModelCreated | ModelUpdated | ModelDeleted | JobChanged | BatchChanged | Said


def error(refused: Refused, ref: Ref | None = None) -> bytes:
    """The answer to a message that was refused."""
    return Error(refused.code, refused.message, refused.facts.get("job_id"), ref).encoded()


def schema() -> dict[str, Any]:
    """JSON Schema, 2020-12, of everything that is said on a socket: ``message``, ``answer`` and ``event``."""
    kinds = {"message": Message, "answer": Answer, "event": Event}
    schemas, definitions = msgspec.json.schema_components(kinds.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What is said on a socket",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": {**dict(zip(kinds, schemas, strict=True)), **definitions},
    }
