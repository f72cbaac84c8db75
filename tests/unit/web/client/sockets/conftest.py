"""A scripted server made with websockets, and both sockets behind one blocking interface.

Every test that takes ``user`` runs twice: with the blocking socket, and with the asynchronous one.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.unit.web.client.conftest import Answer, Server
from web.client import AsyncClient, Client

WAIT_S = 10.0
CONNECTED = {"type": "connected", "conn_id": "c-1", "device_id": "d-1", "session": {"expires_at": None}}
TASKS = "app:myapp:model:task"


def subscribed(ref: int, channel: str = TASKS, *, offset: int = 10, epoch: str = "e1", recovered: bool = True) -> dict:
    return {
        "type": "subscribed",
        "ref": ref,
        "channel": channel,
        "epoch": epoch,
        "offset": offset,
        "recovered": recovered,
    }


def created(offset: int, id: str = "t-1", channel: str = TASKS, version: int = 1) -> dict[str, Any]:
    document = {"type": "task", "id": id, "version": version, "title": "bread"}
    about = {"event": "model_created", "model": "task", "id": id, "version": version, "data": document}
    return {**about, "channel": channel, "offset": offset}


def message(offset: int | None, data: Any, channel: str = "app:myapp:room:lobby") -> dict[str, Any]:
    frame = {"event": "message", "room": channel.rpartition(":")[2], "data": data, "channel": channel}
    return frame if offset is None else {**frame, "offset": offset}


class Wire:
    """The server's end of one connection."""

    def __init__(self, connection: ServerConnection):
        self._connection = connection
        self.is_over = threading.Event()

    @property
    def headers(self) -> dict[str, str]:
        assert self._connection.request is not None
        return dict(self._connection.request.headers.raw_items())

    def hear(self) -> Any:
        """The next frame of the client's."""
        return json.loads(self._connection.recv(timeout=WAIT_S))

    def hears_nothing(self, for_s: float = 0.2) -> bool:
        try:
            self._connection.recv(timeout=for_s)
        except TimeoutError:
            return True
        return False

    def say(self, *frames: dict[str, Any] | str) -> None:
        for frame in frames:
            self._connection.send(frame if isinstance(frame, str) else json.dumps(frame))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._connection.close(code, reason)
        self.is_over.set()

    def drop(self) -> None:
        """The connection is cut without a word."""
        self._connection.close_socket()
        self.is_over.set()

    def wait_closed(self) -> int | None:
        """The code with which the client closed; None if it went without a word."""
        with pytest.raises(ConnectionClosed) as caught:
            deque(iter(lambda: self._connection.recv(timeout=WAIT_S), None))
        self.is_over.set()
        return caught.value.rcvd and caught.value.rcvd.code


class Platform:
    """Connections as they come; ``refuse`` answers the next handshakes with a status instead."""

    def __init__(self) -> None:
        self.wires: queue.Queue[Wire] = queue.Queue()
        self.attempts = 0
        self._all: list[Wire] = []
        self._refusals: list[tuple[HTTPStatus, dict[str, str]]] = []
        self._server = serve(
            self._handle, "127.0.0.1", 0, process_request=self._admit, compression=None, close_timeout=1
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def accept(self, *, greets: bool = True) -> Wire:
        """The next connection, greeted or not."""
        wire = self.wires.get(timeout=WAIT_S)
        if greets:
            wire.say(CONNECTED)
        return wire

    def refuse(self, status: int, **headers: str) -> None:
        self._refusals.append((HTTPStatus(status), {k.replace("_", "-"): v for k, v in headers.items()}))

    def close(self) -> None:
        for wire in self._all:
            wire.is_over.set()
        self._server.shutdown()
        self._thread.join()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.attempts += 1
        if not self._refusals:
            return None
        status, headers = self._refusals.pop(0)
        response = connection.respond(status, "no")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    def _handle(self, connection: ServerConnection) -> None:
        wire = Wire(connection)
        self._all.append(wire)
        self.wires.put(wire)
        wire.is_over.wait()


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    yield made
    made.close()


class User:
    """Does things with a socket of either kind: ``user.do(lambda socket: socket.next(1))``, or begins them."""

    def __init__(self, kind: type, url: str):
        self.is_async = kind is AsyncClient
        self._kind, self._url = kind, url
        self._pool = ThreadPoolExecutor(8)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client: Any = None
        self.socket: Any = None

    def connects_with(self, *, timeout_s: float = 5.0, **options: Any) -> Future[Any]:
        """Begin to open a socket with these options of ``client.socket()``."""
        self._client = self._kind(self._url, "pk_test", timeout_s=timeout_s)
        self.socket = self._client.socket(**options)
        return self.begin(lambda socket: socket.open())

    def begin(self, act: Callable[[Any], Any]) -> Future[Any]:
        if self.is_async:
            return asyncio.run_coroutine_threadsafe(_awaited(act, self.socket), self._loop)
        return self._pool.submit(act, self.socket)

    def do(self, act: Callable[[Any], Any]) -> Any:
        return self.begin(act).result(WAIT_S)

    def next(self, timeout_s: float = WAIT_S) -> Any:
        return self.do(lambda socket: socket.next(timeout_s))

    def close(self) -> None:
        self.do(lambda socket: socket.aclose() if self.is_async else socket.close())

    def all(self, owner: Any) -> list[Any]:
        """Whatever iterating gives until it ends by itself."""
        return self.do(lambda _: _gathered(owner) if self.is_async else list(owner))

    def end(self) -> None:
        if self.socket is not None:
            self.close()
            self.do(lambda _: self._client.aclose() if self.is_async else self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown()


async def _awaited(act: Callable[[Any], Any], socket: Any) -> Any:
    outcome = act(socket)
    return await outcome if asyncio.iscoroutine(outcome) else outcome


async def _gathered(items: Any) -> list[Any]:
    return [item async for item in items]


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "async"])
def user(request: pytest.FixtureRequest, server: Server) -> Iterator[User]:
    """Someone whose client gets the token ``t-secret`` from ``server``."""
    server.answers(Answer(201, {"token": "t-secret", "expires_at": "2026-11-22T22:00:00Z"}))
    made = User(request.param, server.url)
    yield made
    made.end()


@pytest.fixture
def wire(user: User, platform: Platform) -> Wire:
    """The user is connected; the server's end of it."""
    opening = user.connects_with(base_url=platform.url)
    found = platform.accept()
    opening.result(WAIT_S)
    return found


def follow(user: User, wire: Wire, channel: str = TASKS, offset: int = 10, **wanted: Any) -> Any:
    """A subscription that the server has answered."""
    asked = user.begin(lambda socket: socket.subscribe(**(wanted or {"model": "task"})))
    wire.say(subscribed(wire.hear()["ref"], channel, offset=offset))
    return asked.result(WAIT_S)


def ping(user: User, wire: Wire) -> float:
    """What the server had said before has come when this returns."""
    pinged = user.begin(lambda socket: socket.ping())
    wire.say({"type": "pong", "ref": wire.hear()["ref"]})
    return pinged.result(WAIT_S)
