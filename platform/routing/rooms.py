"""Rooms: what somebody says in one is kept in its stream, and told to all who are in it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from platform import serialization
from platform.documents.depth import is_deeper
from platform.errors import PlatformError
from platform.routing.subscriptions import Subscriptions, subscriptions
from platform.streams.delivery import Position, Streams, streams
from platform.streams.event import as_json
from platform.streams.names import other_stream

EVENT = "message"
#: Deepest nesting of lists and objects in a message. Python's JSON readers end near 1 000 less what they stand in.
MAX_LEVELS = 256
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,128}")


class BadRoom(PlatformError):
    """The text is no name of a room."""

    def __init__(self, room: object):
        super().__init__(room)
        self.room = room

    def __str__(self) -> str:
        return f"{self.room!r} is no room; a name has 1 to 128 characters and no spaces"


class DeepMessage(PlatformError):
    """The message is nested deeper than every reader of it can be relied on to follow."""

    def __str__(self) -> str:
        return f"the message is nested more than {MAX_LEVELS} deep"


def room_channel(app_id: str, room: str) -> str:
    """The channel that the members of a tenant's room follow. Raises BadRoom."""
    if not _NAME.fullmatch(room):
        raise BadRoom(room)
    return f"app:{app_id}:room:{room}"


def room_stream(app_id: str, room: str) -> str:
    """Where a room's messages are kept."""
    return other_stream("room", f"{app_id}:{room}")


def publish(
    app_id: str, room: str, data: Any, registry: Subscriptions | None = None, kept: Streams | None = None
) -> Position:
    """Say something in a tenant's room; ``data`` is JSON, 256 levels deep at most. Returns its place in the stream.

    Whoever joins at the same time hears it once. Raises BadRoom, DeepMessage, NotJSON, BrokerUnavailable; after the
    last one it may have been said.
    """
    text = as_json(data)
    _check_depth(text)
    channel, registry = room_channel(app_id, room), registry or subscriptions()
    audience = registry.lookup([channel])
    targets: dict[str, list[str]] = {}
    for group in audience.groups.get(channel, ()):
        for process in group.processes:
            targets.setdefault(process, []).append(group.key)
    told = {"channel": channel, "room": room, "targets": targets, "seen": audience.seen}
    return (kept or streams()).append(room_stream(app_id, room), EVENT, msgspec.Raw(text.encode()), **told)  # type: ignore[arg-type]


def _check_depth(text: str) -> None:
    """Raises DeepMessage. Only what has so many brackets at all is read for it."""
    if text.count("[") + text.count("{") <= MAX_LEVELS:
        return
    try:
        if is_deeper(serialization.decode(text), MAX_LEVELS):
            raise DeepMessage
    except ValueError as exc:  # too deep even to be read
        raise DeepMessage from exc
