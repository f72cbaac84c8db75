"""Why a connection ended or did not come to be, and whether another one may fare better."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHeader,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
    SecurityError,
    WebSocketException,
)

from web.client.errors import APIError, AppError, AuthenticationError, RateLimitError, ServerUnreachable
from web.client.sockets.errors import SocketClosed

ABNORMAL = 1006
RESTART = 1012
BAD_TOKEN = 4401
#: Whoever connects again after these is closed again.
FINAL = frozenset({1002, 1003, 1007, 1009, 4403, 4413})
#: What connecting again does not mend: a certificate, an address, or a server that speaks something else.
HOPELESS = (ssl.SSLCertVerificationError, InvalidURI, InvalidProxy, InvalidHeader, NegotiationError, SecurityError)


class Hangup(Exception):
    """This side ends a connection that is of no use, and wants another."""


@dataclass(frozen=True)
class Loss:
    """``error`` is what to raise if nothing follows. ``retry_after_s``: what the server asked for."""

    error: Exception
    code: int = ABNORMAL
    retry_after_s: float | None = None
    is_final: bool = False

    @property
    def has_own_time(self) -> bool:
        """Whether ``retry_after_s`` is this client's alone, and not what everybody is answered."""
        return self.code == RESTART

    @property
    def reason(self) -> str:
        return str(self.error) or type(self.error).__name__


def loss_of(exc: Exception, url: str) -> Loss:
    """What an exception of connecting, reading or fetching a token means.

    What a user's own function raises, and what nobody expects here, is final.
    """
    match exc:
        case ConnectionClosed():
            return _closed(exc, url)
        case InvalidStatus():
            return _answered(exc, url)
        case AppError():
            return Loss(exc, retry_after_s=getattr(exc, "retry_after", None), is_final=not _passes(exc))
        case Hangup() | OSError() | WebSocketException():
            return Loss(_unreachable(url, exc), is_final=isinstance(exc, HOPELESS))
    return Loss(exc, is_final=True)


def _closed(exc: ConnectionClosed, url: str) -> Loss:
    if exc.rcvd is None:
        return Loss(_unreachable(url, exc))
    code, reason = int(exc.rcvd.code), exc.rcvd.reason
    return Loss(SocketClosed(code, reason), code, _retry_after_s(code, reason), code in FINAL)


def _retry_after_s(code: int, reason: str) -> float | None:
    """Of 1012 the reason is ``{"retry_after_ms": 1234}``; text of something on the way says nothing."""
    if code != RESTART:
        return None
    with suppress(msgspec.DecodeError, KeyError, TypeError, ValueError):
        return max(0.0, float(msgspec.json.decode(reason)["retry_after_ms"]) / 1000)
    return None


def _answered(exc: InvalidStatus, url: str) -> Loss:
    """The handshake was answered with a status of HTTP."""
    status, headers = exc.response.status_code, exc.response.headers
    if status in (401, 403):
        return Loss(AuthenticationError(f"{url} refused the token with {status}", status), is_final=True)
    message = f"{url} was answered {status}; is it the platform's address?"
    retry_after_s = None
    with suppress(ValueError):
        retry_after_s = max(0.0, float(headers.get("Retry-After", "")))
    error = APIError(message, status)
    return Loss(error, retry_after_s=retry_after_s, is_final=not _is_passing(status))


def _passes(exc: AppError) -> bool:
    if isinstance(exc, APIError):
        return isinstance(exc, RateLimitError) or _is_passing(exc.status_code)
    return isinstance(exc, ServerUnreachable)


def _is_passing(status: int) -> bool:
    return status == 429 or status >= 500


def _unreachable(url: str, exc: Exception) -> ServerUnreachable:
    return ServerUnreachable(f"{url} got no answer: {str(exc) or type(exc).__name__}")
