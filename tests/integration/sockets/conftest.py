"""Conversations on sockets, in few words: connect, ask, hear. Whatever is waited for has a deadline."""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from platform import store
from platform.endpoints import redis_url
from platform.errors import BrokerUnavailable
from platform.routing import rooms
from platform.routing.subscriptions import Subscriptions
from platform.settings import load
from platform.streams.delivery import Position, Streams
from tests.integration.conftest import Shop
from tests.processes import Web
from tests.waiting import eventually

TIMEOUT_S = 20.0
#: Of what takes a program's start.
DEADLINE_S = 60.0
LAST = -1

Frame = dict[str, Any]
Connect = Callable[..., "Client"]


@dataclass(frozen=True)
class Closing:
    """How the server closed a connection; code None: without a close frame."""

    code: int | None
    reason: str


class Client:
    """One socket. Data frames that come while an answer is waited for are kept in their order."""

    def __init__(self, ws: ClientConnection):
        self.ws = ws
        self._ahead: deque[Frame] = deque()

    def say(self, **message: Any) -> None:
        self.ws.send(json.dumps(message))

    def next(self, timeout_s: float = TIMEOUT_S) -> Frame:
        """The next frame, of whatever kind."""
        return self._ahead.popleft() if self._ahead else json.loads(self.ws.recv(timeout_s))

    @property
    def read_ahead(self) -> int:
        """How many frames are there for ``next`` to return at once."""
        return len(self._ahead)

    def answer(self) -> Frame:
        """The next frame about the connection."""
        while True:
            frame = json.loads(self.ws.recv(TIMEOUT_S))
            if "type" in frame:
                return frame
            self._ahead.append(frame)

    def ask(self, **message: Any) -> Frame:
        self.say(**message)
        return self.answer()

    def follow(self, **message: Any) -> Frame:
        """Subscribe, which must be allowed; what is said then."""
        answer = self.ask(type="subscribe", **message)
        assert answer["type"] == "subscribed", answer
        return answer

    def told(self, count: int) -> list[Frame]:
        """The next data frames."""
        frames = [self.next() for _ in range(count)]
        assert all("event" in frame for frame in frames), frames
        return frames

    def rest(self) -> list[Frame]:
        """All data frames that were on their way here, up to one that this client causes itself, which is left out."""
        room = f"mark-{secrets.token_hex(4)}"
        self.follow(room=room)
        self.say(type="publish", room=room, data=0)
        found = []
        while (frame := self.next()).get("room") != room:
            found.append(frame)
        assert self.ask(type="unsubscribe", room=room)["type"] == "unsubscribed"
        return found

    def closed(self, timeout_s: float = TIMEOUT_S) -> Closing:
        """Read on until the server closes."""
        try:
            while True:
                self._ahead.append(json.loads(self.ws.recv(timeout_s)))
        except ConnectionClosed as exc:
            return Closing(exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else Closing(None, "")


def token_of(caller: httpx2.Client, **wanted: Any) -> str:
    """A socket token of that user: ``token_of(ann, device_id="phone", scope={"jobs": False})``."""
    answer = caller.post("/session/tokens", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def account_of(caller: httpx2.Client) -> dict[str, Any]:
    return caller.get("/session").json()["user"]


def stored(caller: httpx2.Client, model: str, **fields: Any) -> dict[str, Any]:
    """A new document, once it is stored."""
    return _done(caller.post(f"/model/{model}", json=fields, headers={"Prefer": "wait=20"}), 201)


def patched(caller: httpx2.Client, document: dict[str, Any], **fields: Any) -> dict[str, Any]:
    operations = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in fields.items()]
    return _done(caller.patch(_path(document), json=operations, headers={"Prefer": "wait=20"}), 200)


def deleted(caller: httpx2.Client, document: dict[str, Any]) -> dict[str, Any]:
    return _done(caller.delete(_path(document), headers={"Prefer": "wait=20"}), 200)


def _path(document: dict[str, Any]) -> str:
    return f"/model/{document['type']}/{document['id']}"


def _done(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return answer.json()


class Inside:
    """What any program of the platform has: the store, and who follows what; here of the platform under test."""

    def __init__(self, shop: Shop):
        self.config = load(shop.env).settings
        self.client = store.connect(redis_url(self.config), self.config, timeout_s=10)
        self.registry = Subscriptions(self.client, self.config)
        self.streams = Streams(self.client, self.config)

    def publish(self, room: str, *several: Any, app_id: str | None = None) -> list[Position]:
        """Say something in a room, one thing after the other."""
        app_id = app_id or self.config.app_id
        return [rooms.publish(app_id, room, data, self.registry, self.streams) for data in several]

    def close(self) -> None:
        self.client.close()


def metric(web: Web, name: str) -> float:
    """A number of ``GET /metrics``; 0 if it is not there yet."""
    lines = web.http.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def on_its_way(web: Web, port: int) -> int | None:
    """Bytes the kernel keeps for that port of a client's; None if the server has no such connection any more."""
    ends = f":{web.port:04X}", f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(ends[0]) and remote.endswith(ends[1]):
            return int(queues.partition(":")[0], 16)
    return None


@pytest.fixture
def open_socket() -> Iterator[Connect]:
    """``open_socket(web, token, how="query", origin=…)``; nothing has been read. Closed after the test.

    ``how`` is ``header``, ``query`` or ``frame``; without a token nobody says who it is.
    """
    held = ExitStack()

    def make(web: Web, token: str | None = None, how: str = "header", **options: Any) -> Client:
        headers = {"Authorization": f"Bearer {token}"} if token and how == "header" else {}
        query = f"?token={token}" if token and how == "query" else ""
        headers |= options.pop("headers", {})
        rules: dict[str, Any] = {"compression": None, "proxy": None, "max_size": None, "max_queue": None}
        url = f"ws://127.0.0.1:{web.port}/ws{query}"
        client = Client(held.enter_context(connect(url, additional_headers=headers, **rules | options)))
        if token and how == "frame":
            client.say(type="auth", token=token)
        return client

    with held:
        yield make


@pytest.fixture
def join(open_socket: Connect, shop_web: Web) -> Connect:
    """A socket of that user to the module's platform, whose ``connected`` has been read: ``join(ann, device_id=…)``."""

    def make(caller: httpx2.Client, web: Web | None = None, **wanted: Any) -> Client:
        client = open_socket(web or shop_web, token_of(caller, **wanted))
        assert client.answer()["type"] == "connected"
        return client

    return make


@pytest.fixture
def inside(shop: Shop, shop_web: Web) -> Iterator[Inside]:
    made = Inside(shop)
    yield made
    made.close()


# -- somebody who speaks, and many who listen, whatever happens meanwhile


class Speaker(threading.Thread):
    """Counts aloud in a room, as long as it is asked to; ``said`` is what was."""

    def __init__(self, inside: Inside, room: str):
        super().__init__()
        self.inside, self.room = inside, room
        self.said: list[int] = []
        self.offsets: list[int] = []
        #: What may have been said or not: the store did not answer.
        self.doubtful: set[int] = set()
        self.is_over = threading.Event()

    def run(self) -> None:
        numbers = count(1)
        while not self.is_over.wait(0.005):
            self.say(next(numbers))

    def say(self, number: int) -> None:
        try:
            [position] = self.inside.publish(self.room, number)
        except BrokerUnavailable:
            self.doubtful.add(number)
        else:
            self.said.append(number)
            self.offsets.append(position.offset)


@contextmanager
def speaking(inside: Inside, room: str) -> Iterator[Speaker]:
    """Somebody counts meanwhile, and says LAST at the end."""
    speaker = Speaker(inside, room)
    speaker.start()
    try:
        yield speaker
    finally:
        speaker.is_over.set()
        speaker.join()
        speaker.say(LAST)


class Listener(threading.Thread):
    """Somebody who hears numbers until LAST; ``sent_away`` says how often, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []
        self.sent_away: list[object] = []
        self.is_over = threading.Event()

    @property
    def is_done(self) -> bool:
        return (bool(self.heard) and self.heard[-1] == LAST) or self.is_over.is_set()


class SocketListener(Listener):
    """Comes back, with the place of the last, whenever it is sent away."""

    def __init__(self, web: Web, token: str, room: str, since: object = 0):
        super().__init__()
        self.url, self.room = f"ws://127.0.0.1:{web.port}/ws?token={token}", room
        self.since: Any = since
        #: Where it stood when it was first let in.
        self.began = 0

    def run(self) -> None:
        while not self.is_done:
            try:
                with connect(self.url, compression=None, proxy=None) as ws:
                    self._listen(ws)
            except ConnectionClosed as exc:
                self.sent_away.append(exc.rcvd and exc.rcvd.code)
                wait_ms = json.loads(exc.rcvd.reason)["retry_after_ms"] if exc.rcvd else 0
                self.is_over.wait(wait_ms / 1000)
            except InvalidStatus as exc:  # by a process that is going
                self.is_over.wait(float(exc.response.headers["Retry-After"]))

    def _listen(self, ws: ClientConnection) -> None:
        self._subscribe(ws)
        while not self.is_done:
            frame = json.loads(ws.recv(DEADLINE_S))
            if frame.get("type") == "subscribed":
                self.since = {"epoch": frame["epoch"], "offset": frame["offset"]}
                self.began = self.began or frame["offset"]
                self.sent_away += [] if frame["recovered"] else ["not recovered"]
            elif frame.get("code") == "unavailable":
                self.is_over.wait(0.5)
                self._subscribe(ws)
            elif "event" in frame:
                self.heard.append(frame["data"])
                self.since |= {"offset": frame["offset"]}

    def _subscribe(self, ws: ClientConnection) -> None:
        since = {} if self.since is None else {"since": self.since}
        ws.send(json.dumps({"type": "subscribe", "room": self.room, **since}))


def goes_on(speaker: Speaker, listeners: Sequence[Listener]) -> None:
    """Return once all have heard fifty more that are said from now on."""
    reached = speaker.said[-1]
    assert eventually(lambda: all(listener.heard[-1] > reached + 50 for listener in listeners), DEADLINE_S)


Listening = Callable[[Sequence[Listener]], None]


@pytest.fixture
def listening() -> Iterator[Listening]:
    """Have some listen, and return when all have heard something; whatever becomes of the test, they end with it."""
    started: list[Listener] = []

    def start(listeners: Sequence[Listener]) -> None:
        for listener in listeners:
            listener.start()
            started.append(listener)
        assert eventually(lambda: all(listener.heard for listener in listeners), DEADLINE_S)

    yield start
    for listener in started:
        listener.is_over.set()
