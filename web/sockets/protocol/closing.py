"""Why a socket is closed."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """The codes this server closes with; docs/sockets.md says what a client should do about each."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    INVALID = 1007
    SERVER_ERROR = 1011
    RESTART = 1012
    TOO_SLOW = 4008
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    AUTH_TIMEOUT = 4408
    TOO_BIG = 4413
    TOO_MANY = 4429
