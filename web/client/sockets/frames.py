"""Frames as text, and those of the server's whose members matter here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from web.client.sockets.errors import SocketClosed

T = TypeVar("T")


class SessionFacts(msgspec.Struct, frozen=True):
    """``expires_at`` None: the connection may stay as long as the account does."""

    expires_at: datetime | None = None


class Connected(msgspec.Struct, frozen=True):
    conn_id: str
    device_id: str
    session: SessionFacts = SessionFacts()


class Refreshed(msgspec.Struct, frozen=True):
    expires_at: datetime | None = None


class Subscribed(msgspec.Struct, frozen=True):
    ref: int
    channel: str
    epoch: str
    offset: int
    recovered: bool = True


def encoded(frame: Mapping[str, Any]) -> str:
    """Raises TypeError for what is no JSON."""
    return msgspec.json.encode(frame).decode()


def decoded(text: str | bytes) -> dict[str, Any]:
    """Raises SocketClosed for what is no frame."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise SocketClosed(1007, str(exc)) from exc


def read(frame: Mapping[str, Any], kind: type[T]) -> T:
    """The frame's members; numbers may be times, in seconds since 1970. Raises SocketClosed if one does not fit."""
    try:
        return msgspec.convert(frame, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise SocketClosed(1007, str(exc)) from exc
