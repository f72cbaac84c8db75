"""``GET /events``: the same frames as server-sent events, for ``EventSource`` and ``curl -N``.

An event's id says where the reader stands in each of the channels it follows, so ``Last-Event-ID`` resumes.
"""

from __future__ import annotations

import logging
import re
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import gevent
from flask import Response, g, request
from gevent.event import Event
from pydantic import BaseModel, ConfigDict, Field

from platform import serialization, store
from platform.streams.history import LAST, BadPosition, position_of
from web.identity import Caller
from web.problems import Problem
from web.routing import Routes
from web.schemas.body import EventStream
from web.sockets.authority import topic_of
from web.sockets.connection import SEND_BUFFER_BYTES
from web.sockets.endpoint import let_in
from web.sockets.outgoing import Burst, Outgoing
from web.sockets.protocol.answers import Subscribed
from web.sockets.protocol.messages import Channel, Refused, Wish
from web.sockets.server import Server, server
from web.sockets.topics import Start, Topic, check_place

log = logging.getLogger(__name__)

routes = Routes(tag="Events")

#: How often something is sent when nothing happens, in seconds: proxies cut what is silent.
HEARTBEAT_S = 15.0
#: What an EventSource waits before it connects again, in ms.
RETRY_MS = 2_000
#: Handed to the kernel at once, if no event alone has more: a reader that takes that much is not stuck.
SENT_BYTES = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
STATUS = {"forbidden": 403, "unknown_model": 404, "not_found": 404, "too_many": 429}
#: In an event's id, of a channel whose first event has not come.
NOWHERE = "."
_WORDS = {NOWHERE: None, "0": 0, LAST: LAST}
_OFFSET = re.compile("[0-9]{1,16}")


class EventsQuery(BaseModel):
    """What to follow: documents of a model, rooms, a job, a batch; at least one of them."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(None, description="documents of this type")
    id: str = Field("", description="only the one with this id")
    userId: str = Field("", description="only this user's")
    filter: str | None = Field(None, description="a filter, as JSON")
    room: str | None = None
    job: str | None = None
    batch: str | None = None
    since: str | None = Field(
        None, description="as `Last-Event-ID`; 0 for everything that is kept, last for the last one alone"
    )
    token: str | None = Field(None, description="a socket token, where no header can be sent")


@routes.get(
    "/events",
    query=EventsQuery,
    auth="user",
    tokens=True,
    answers={200: EventStream},
    problems=(404, 422, 429, 503),
    summary="What happens, as server-sent events",
)
def events(query: EventsQuery) -> Any:
    """Each event's `data` is a frame as on a socket, its `event` the frame's, its `id` resumes by `Last-Event-ID`.

    Comments come every 15 seconds when nothing happens. A reader that is too slow is cut off and may resume.
    """
    let_in(as_reader=True)
    wishes = _wishes(query)
    if not wishes:
        raise _invalid("model", "say what to follow: model, room, job or batch")
    topics = [_topic(wish) for wish in wishes]
    places = _places(request.headers.get("Last-Event-ID") or query.since, len(topics))
    _check_places(topics, places)
    store.insist(store.client().ping, 0)  # once 200 is said it cannot be taken back
    sock = request.environ.get("gunicorn.socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    reader = _Reader(server(), g.caller, dict(zip(topics, places, strict=True)), sock)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(reader.stream(), headers=headers, content_type="text/event-stream")


def _wishes(query: EventsQuery) -> list[Wish]:
    found = []
    if query.model is not None:
        found.append(Wish(channel=Channel(query.model, query.id, query.userId), filter=_filter(query.filter)))
    elif query.id or query.userId or query.filter:
        raise _invalid("model", "say which model's documents are meant")
    for kind in ("room", "job", "batch"):
        if (name := getattr(query, kind)) is not None:
            found.append(Wish(**{kind: name}))
    return found


def _filter(text: str | None) -> dict[str, Any] | None:
    found = _json(text, "filter") if text else {}
    if not isinstance(found, dict):
        raise _invalid("filter", 'is an object, such as {"status":"open"}')
    return found or None


def _json(text: str, name: str) -> Any:
    try:
        return serialization.decode(text)
    except ValueError as exc:
        raise _invalid(name, f"is no JSON: {exc}") from exc


def _topic(wish: Wish) -> Topic:
    try:
        return topic_of(g.caller, wish)
    except Refused as exc:
        if exc.code in STATUS:
            raise Problem(STATUS[exc.code], exc.message) from exc
        name = "filter" if exc.code == "bad_filter" else "room" if wish.room is not None else "model"
        raise _invalid(name, exc.message) from exc


def _places(said: str | None, channels: int) -> list[Any]:
    """Where the reader stands in each channel, with commas between; a single 0, or position as JSON, is of all."""
    if said is None or said == "":
        return [None] * channels
    if said in _WORDS:
        return [_WORDS[said]] * channels
    if said.startswith("{"):
        return [_json(said, "since")] * channels
    places = [_place(text) for text in said.split(",")]
    return places if len(places) == channels else [said] * channels


def _place(text: str) -> Any:
    """``epoch.offset``, 0, LAST, or NOWHERE of a channel that had not begun; else the text, which is no position."""
    if text in _WORDS:
        return _WORDS[text]
    epoch, _, offset = text.rpartition(".")
    return {"epoch": epoch, "offset": int(offset)} if _OFFSET.fullmatch(offset) else text


def _as_text(place: Any) -> str:
    """The opposite of ``_place``."""
    if place is None or place == LAST:
        return place or NOWHERE
    position = position_of(place)
    return f"{position.epoch}.{position.offset}" if position.epoch else "0"


def _check_places(topics: Iterable[Topic], places: Iterable[Any]) -> None:
    try:
        for topic, place in zip(topics, places, strict=True):
            check_place(topic, place)
    except BadPosition as exc:
        text = (
            "is the id of an event, 0 for everything that is kept, or, except of documents, last for the last one alone"
        )
        raise _invalid("since", text) from exc


def _invalid(name: str, text: str) -> Problem:
    return Problem(422, "the query does not fit", errors=[{"loc": ["query", name], "msg": text}])


class _Reader:
    """A follower whose frames wait to be taken by the response, bounded in bytes."""

    def __init__(self, sockets: Server, caller: Caller, wanted: dict[Topic, Any], sock: Any):
        self._server, self._sock = sockets, sock
        self._wanted = wanted
        self.caller: Caller | None = None
        self._known = caller
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._more = Event()
        self._is_over = False
        self._sending_since: float | None = None
        # Of a channel that has not begun again it is where the reader stood before.
        self._places = {topic.told: _as_text(since) for topic, since in wanted.items()}

    # -- a follower

    def push(self, burst: Burst) -> None:
        self._server.frames += len(burst.frames)
        for frame in burst.frames:
            if not self._is_over:
                self._push(frame)

    def _push(self, frame: Outgoing) -> None:
        epoch = self._places[frame.channel].rpartition(".")[0]
        self._places[frame.channel] = f"{epoch}.{frame.offset}"
        name = _name_of(frame.text)
        self._put(f"id: {','.join(self._places.values())}\nevent: {name}\ndata: {frame.text}\n\n".encode())

    def restart(self, why: str) -> None:
        """An EventSource connects again by itself, with the id of its last event."""
        self._end()

    def revoke(self) -> None:
        self._end()

    def wait_until_taken(self) -> None:
        while not self._is_over and self._bytes > self._server.limits.queue_bytes // 2:
            gevent.sleep(0.01)

    # -- the request

    def stream(self) -> Iterator[bytes]:
        """The response's body; whatever ends it, nothing is followed afterwards."""
        self._server.readers.add(self)
        self._server.recognise(self, self._known)
        self._put(f"retry: {RETRY_MS}\n\n".encode())
        following = gevent.spawn(self._follow)
        try:
            while (chunk := self._next()) is not None:
                self._sending_since = time.monotonic()
                yield chunk
                self._sending_since = None
        finally:
            self._server.readers.discard(self)
            self._is_over = True
            following.kill(block=False)
            self._let_go()

    def check(self, now: float) -> None:
        """About once a second: whether there is still somebody who reads."""
        if self._sending_since is not None and now - self._sending_since > self._server.limits.write_s:
            self._cut()
        elif self._is_expired():
            self._end()

    def _next(self) -> bytes | None:
        """What is to be sent next, once there is something; None at the end."""
        while not self._waiting:
            if self._is_over or self._is_expired():
                return None
            self._more.clear()
            if not self._more.wait(HEARTBEAT_S):
                return b": nothing happened\n\n"
        several = [self._waiting.popleft()]
        size = len(several[0])
        while self._waiting and size + len(self._waiting[0]) <= SENT_BYTES:
            several.append(self._waiting.popleft())
            size += len(several[-1])
        self._bytes -= size
        return b"".join(several)

    def _follow(self) -> None:
        try:
            for topic, since in self._wanted.items():
                self._server.follow(self, topic, since, self._started(topic))
        except Exception:  # the response has begun: its end makes the reader come again
            log.warning("a reader of events cannot follow what it asked for", exc_info=True)
            self._end()

    def _started(self, topic: Topic) -> Any:
        def started(start: Start) -> None:
            self._places[topic.told] = f"{start.position.epoch}.{start.position.offset}"
            position = start.position
            told = Subscribed(topic.told, position.epoch, position.offset, start.recovered).encoded().decode()
            self._put(f"id: {','.join(self._places.values())}\nevent: subscribed\ndata: {told}\n\n".encode())

        return started

    def _put(self, chunk: bytes) -> None:
        if self._is_over:  # what came before this may have found no room: its id must not be passed over
            return
        if self._bytes > self._server.limits.queue_bytes:
            self._end()
            return
        self._waiting.append(chunk)
        self._bytes += len(chunk)
        self._more.set()

    def _end(self) -> None:
        self._is_over = True
        self._more.set()

    def _cut(self) -> None:
        """Whoever sends, and waits for a peer that takes nothing, is let go; nothing stays behind in the kernel."""
        self._end()
        if self._sock is None:
            return
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._sock.shutdown(socket.SHUT_RDWR)

    def _is_expired(self) -> bool:
        expires_at = self._known.expires_at
        return expires_at is not None and time.time() > expires_at.timestamp()

    def _let_go(self) -> None:
        for topic in self._wanted:
            self._server.leave(self, topic)
        self._server.forget_credential(self)


#: Every frame begins so (``platform.streams.event``); it need not be read whole, however deep its data are nested.
_BEGINNING = re.compile('{"event":"([a-z_]+)"')


def _name_of(text: str) -> str:
    found = _BEGINNING.match(text)
    assert found, text[:100]
    return found[1]
