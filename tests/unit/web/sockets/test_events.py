from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from platform.streams.delivery import Position
from web.sockets.events import _Reader
from web.sockets.outgoing import Burst, outgoing
from web.sockets.topics import Room, Start, Topic

FIRST, SECOND = Room("shop", "first"), Room("shop", "second")
QUEUE_BYTES = 10_000


class Hall:
    """In place of this process's sockets; the second room can be followed once the test says so."""

    def __init__(self) -> None:
        self.limits = SimpleNamespace(queue_bytes=QUEUE_BYTES, write_s=10)
        self.readers: set[Any] = set()
        self.frames = 0
        self.may_follow = Event()

    def recognise(self, *_: Any) -> None: ...

    def forget_credential(self, *_: Any) -> None: ...

    def leave(self, *_: Any) -> None: ...

    def follow(self, follower: Any, topic: Topic, since: object, started: Any) -> None:
        if topic is SECOND:
            self.may_follow.wait(5)
        started(Start(Position("e", 1), recovered=True))


def said(offset: int, chars: int = 3_000) -> Burst:
    frame = '{"event":"message","data":"%s"}' % ("x" * chars)
    return Burst([outgoing(frame, FIRST.told, offset)])


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_the_last_id_is_of_nothing_that_found_no_room(hall: Hall) -> None:
    """What is sent after a reader was too slow would have it resume behind what it was not sent."""
    caller: Any = SimpleNamespace(expires_at=None)
    reader = _Reader(hall, caller, {FIRST: None, SECOND: None}, None)  # type: ignore[arg-type]
    stream = reader.stream()
    sent = [next(stream)]
    gevent.sleep(0.01)
    sent.append(next(stream))
    for offset in range(2, 9):
        reader.push(said(offset))
    sent.append(next(stream))
    hall.may_follow.set()
    gevent.sleep(0.01)
    lines = b"".join([*sent, *stream]).decode().splitlines()
    ids = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
    told = [line for line in lines if line.startswith("data: ") and "message" in line]
    assert ids[-1] == f"e.{1 + len(told)},."
    assert hall.frames == 7
