"""``/session`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.client.exchange import Flow, Request, path, read
from web.client.models import SessionInfo, Token


def sign_in(email: str, password: str) -> Flow[SessionInfo]:
    """A new session with its access token. Raises AuthenticationError, RateLimitError."""
    response = yield Request("POST", "/session", body={"email": email, "password": password})
    return read(response, SessionInfo)


def session() -> Flow[SessionInfo]:
    """Who is asking, and until when. Raises AuthenticationError."""
    return read((yield Request("GET", "/session")), SessionInfo)


def socket_token(
    device_id: str | None = None, ttl_s: int | None = None, scope: Mapping[str, Any] | None = None
) -> Flow[Token]:
    """A token for sockets and server-sent events; ``ttl_s`` seconds, None: as long as the server allows.

    ``scope`` narrows what it allows: ``{"models": ["task"], "rooms": ["team-*"], "publish": False}``.
    """
    given = {"device_id": device_id, "ttl_s": ttl_s, "scope": scope}
    body = {name: value for name, value in given.items() if value is not None}
    return read((yield Request("POST", "/session/tokens", body=body)), Token)


def revoke_device(device_id: str) -> Flow[None]:
    """End the tokens that were made for a device of one's own; its sockets close within seconds."""
    yield Request("DELETE", path("session", "devices", device_id))
