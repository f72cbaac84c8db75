"""Rooms, from a task or any other program: ``publish("lobby", {"text": "hello"})`` reaches every socket in it."""

from __future__ import annotations

from typing import Any

from platform.routing import rooms
from platform.routing.rooms import BadRoom, DeepMessage
from platform.settings import settings
from platform.streams.delivery import Position

__all__ = ["BadRoom", "DeepMessage", "publish"]


def publish(room: str, data: Any, app_id: str | None = None) -> Position:
    """Say something in a room of a tenant (``PLATFORM_APP_ID`` if none is named); returns its place in the stream.

    Raises BadRoom, DeepMessage, NotJSON, BrokerUnavailable; after the last one it may have been said.
    """
    return rooms.publish(settings().app_id if app_id is None else app_id, room, data)
