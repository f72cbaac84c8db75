"""``GET /ws``: flask-sock's decorator, and underneath a connection of our own.

The request answers the handshake and is over; the socket lives on without it (``web.sockets.connection`` says why).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import flask_sock
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from platform.settings import settings
from web.identity import COOKIE, Caller, bearer, caller_from, from_cookie
from web.problems import Problem
from web.sockets import connection
from web.sockets.connection import NotTakeable
from web.sockets.protocol.closing import CloseCode
from web.sockets.protocol.handshake import BadHandshake, accept
from web.sockets.server import Refusal, server
from web.tokens import BadToken

log = logging.getLogger(__name__)


class Sock(flask_sock.Sock):
    """flask-sock, but for what its ``Server`` does: the decorated function gets the socket and what was read ahead.

    The function returns at once; whoever it gave the socket to goes on with it.
    """

    def route(self, path: str, bp: Any = None, **options: Any) -> Callable[[Callable[..., None]], None]:
        def decorate(function: Callable[..., None]) -> None:
            @wraps(function)
            def view(**arguments: Any) -> Response:
                handshake = _handshake()
                sock, read_ahead = _taken()
                sock.setblocking(True)
                sock.sendall(handshake)  # some 130 bytes into an empty buffer
                sock.setblocking(False)
                function(sock, read_ahead, **arguments)
                return _Handled()

            target = bp or self.app
            target.route(path, websocket=True, **options)(view)
            # What asks for no upgrade would be 400, with no word of what is spoken here.
            plain = {**options, "endpoint": f"{options['endpoint']} without upgrade"}
            target.route(path, **plain)(view)

        return decorate


class _Handled(Response):
    """Tells gunicorn that the request needs no answer any more."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise StopIteration


def mount(app: Flask) -> None:
    sock = Sock(app)

    @sock.route("/ws", endpoint="GET /ws", methods=["GET"])
    def sockets(taken: Any, read_ahead: bytes) -> None:
        caller, refused = _caller()
        session = server().open(taken, caller, read_ahead)
        if refused is not None:
            session.connection.close(*refused)


def let_in(as_reader: bool = False) -> None:
    """As ``Server.let_in``. Raises Problem 503 when nobody is let in now."""
    try:
        server().let_in(as_reader)
    except Refusal as exc:
        raise Problem(503, exc.why, headers={"Retry-After": str(math.ceil(exc.retry_after_s))}) from exc


def may_connect(origin: str | None) -> bool:
    """Whether a page of that origin may: one of this host's, of PLATFORM_CORS_ORIGINS, or no page at all."""
    return origin is None or _is_trusted(origin) or "*" in settings().cors_origins


def _is_trusted(origin: str) -> bool:
    """Whether what a browser sends by itself counts on such a page; ``*`` names nobody."""
    return _host_of(origin) == request.host or origin in settings().cors_origins


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None  # such as http://[


def _handshake() -> bytes:
    try:
        answer = accept(request.environ)
    except BadHandshake as exc:
        raise Problem(exc.status, exc.detail, headers=exc.headers) from exc
    let_in()
    return answer


def _taken() -> tuple[Any, bytes]:
    try:
        return connection.take(request.environ)
    except NotTakeable as exc:
        raise Problem(501, str(exc)) from exc


def _caller() -> tuple[Caller | None, tuple[int, str] | None]:
    """Who connects, None if that will be said; or the code and reason with which it is closed at once."""
    origin = request.headers.get("Origin")
    if not may_connect(origin):
        return None, (CloseCode.FORBIDDEN, f"pages of {origin} may not connect; PLATFORM_CORS_ORIGINS names who may")
    try:
        credential = bearer(request) or request.args.get("token")
        if credential:
            return caller_from(credential, tokens=True), None
        cookie = request.cookies.get(COOKIE)
        return (from_cookie(cookie) if cookie and origin and _is_trusted(origin) else None), None
    except BadToken as exc:
        return None, (CloseCode.UNAUTHORIZED, str(exc))
    except HTTPException:
        raise
    except Exception:  # the handshake is answered: what is wrong can only be said in a close frame
        log.exception("a socket's credential could not be checked")
        return None, (CloseCode.SERVER_ERROR, "the credential cannot be checked now")
