"""The opening handshake, RFC 6455 section 4.2: from a request's environ to the bytes of the answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from platform.errors import PlatformError

VERSION = "13"
#: The one subprotocol there is; a client need not ask for it.
SUBPROTOCOL = "platform.v1"
KEY_BYTES = 16
#: An answer with Upgrade must have both (RFC 9110, 7.8); gunicorn lets them pass, as it does no other of their kind.
TO_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3


class BadHandshake(PlatformError):
    """The request opens no WebSocket. To be answered by ``status``, 400 or 426, with ``headers``."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str]):
        super().__init__(status, detail, headers)
        self.status, self.detail, self.headers = status, detail, headers

    def __str__(self) -> str:
        return self.detail


def accept(environ: Mapping[str, Any]) -> bytes:
    """The complete answer, 101, to the GET request of a WSGI environ.

    No extension is ever agreed on: with permessage-deflate every client would need frames of its own.
    Raises BadHandshake.
    """
    _check_upgrade(environ)
    _check_request(environ)
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {_proof(_key(environ))}",
    ]
    # A browser that offers some and is given none closes the connection: leave the rest to it.
    if _listed(environ, "HTTP_SEC_WEBSOCKET_PROTOCOL").count(SUBPROTOCOL) == 1:
        lines.append(f"Sec-WebSocket-Protocol: {SUBPROTOCOL}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _check_upgrade(environ: Mapping[str, Any]) -> None:
    upgrades = [token.lower() for token in _listed(environ, "HTTP_UPGRADE")]
    if "websocket" not in upgrades:
        if "HTTP_SEC_WEBSOCKET_KEY" in environ:
            raise _bad("the header Upgrade does not say websocket; a proxy in between must pass it on")
        raise BadHandshake(426, "only WebSocket is spoken here; connect with a WebSocket client", TO_UPGRADE)
    if "upgrade" not in [token.lower() for token in _listed(environ, "HTTP_CONNECTION")]:
        raise _bad("the header Connection does not say Upgrade; a proxy in between must pass it on")


def _check_request(environ: Mapping[str, Any]) -> None:
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise _bad("a WebSocket needs HTTP/1.1; a proxy in between must speak it")
    if not environ.get("HTTP_HOST"):
        raise _bad("the header Host is missing")
    if environ.get("CONTENT_LENGTH") not in {None, "", "0"} or "HTTP_TRANSFER_ENCODING" in environ:
        raise _bad("a handshake has no body; its bytes could pass for frames")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != VERSION:
        detail = f"the header Sec-WebSocket-Version must be {VERSION}"
        raise BadHandshake(426, detail, {**TO_UPGRADE, "Sec-WebSocket-Version": VERSION})


def _key(environ: Mapping[str, Any]) -> str:
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip()
    try:
        is_long_enough = len(base64.b64decode(key, validate=True)) == KEY_BYTES
    except ValueError as exc:
        raise _bad("the header Sec-WebSocket-Key must be base64") from exc
    if not is_long_enough:
        raise _bad(f"the header Sec-WebSocket-Key must be {KEY_BYTES} bytes in base64")
    return key


def _proof(key: str) -> str:
    digest = hashlib.sha1((key + GUID).encode("ascii"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def _listed(environ: Mapping[str, Any], name: str) -> list[str]:
    """The members of a comma-separated header, which may be empty; a repeated header comes joined by commas."""
    return [member.strip() for member in environ.get(name, "").split(",")]


def _bad(detail: str) -> BadHandshake:
    return BadHandshake(400, detail, {})
