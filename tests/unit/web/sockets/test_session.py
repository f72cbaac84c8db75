from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from platform.streams.delivery import Position
from web.identity import Caller
from web.sockets.followed import TURN
from web.sockets.protocol.messages import Resume, Wish
from web.sockets.session import Session
from web.sockets.topics import Start, Topic

MOST = 8


class Wire:
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        self.is_open = True
        self.sent: list[dict[str, Any]] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(json.loads(frame[frame.index(b"{") :]))


class Hall:
    """In place of this process's sockets; ``followed`` are the topics somebody asked the store about."""

    def __init__(self, then: Callable[[], None]):
        self.config = SimpleNamespace(socket_subscriptions=MOST)
        self.followed: list[Topic] = []
        self.left: list[Topic] = []
        self._then = then

    def follow(self, follower: Session, topic: Topic, since: object, started: Callable[[Start], None]) -> None:
        self.followed.append(topic)
        started(Start(Position("e", 1), recovered=True))
        self._then()

    def leave(self, follower: Session, topic: Topic) -> None:
        self.left.append(topic)


def resumed(count: int, then: Callable[[Wire, Hall], None] = lambda wire, hall: None) -> tuple[Wire, Hall]:
    """What came of one message that resumes so many rooms; ``then`` happens when one is followed."""
    wire = Wire()
    hall = Hall(lambda: then(wire, hall))
    session = Session(hall, wire)  # type: ignore[arg-type]
    session.caller = Caller("ann", "ann@example.com", "user", "shop", "key")
    session._resume(Resume([Wish(ref=number, room=f"room-{number}") for number in range(count)], ref="all"))
    return wire, hall


@pytest.mark.parametrize("more", [0, 1, 500])
def test_one_message_resumes_as_many_as_may_be_followed_and_of_the_rest_each_is_refused(more: int) -> None:
    wire, hall = resumed(MOST + more)
    assert len(hall.followed) == MOST
    *answers, last = [(said["type"], said["ref"], said.get("code")) for said in wire.sent]
    assert answers[:MOST] == [("subscribed", number, None) for number in range(MOST)]
    assert answers[MOST:] == [("error", MOST + number, "too_many") for number in range(more)]
    assert (last, wire.sent[-1]["count"]) == (("resumed", "all", None), MOST)


def test_those_that_are_the_same_count_as_often_as_they_are_said() -> None:
    wire, hall = Wire(), Hall(lambda: None)
    session = Session(hall, wire)  # type: ignore[arg-type]
    session.caller = Caller("ann", "ann@example.com", "user", "shop", "key")
    session._resume(Resume([Wish(room="lobby")] * (3 * MOST)))
    assert len(hall.followed) == MOST
    assert wire.sent[-1]["count"] == 1


def test_who_has_gone_meanwhile_follows_nothing_more() -> None:
    def go(wire: Wire, hall: Hall) -> None:
        wire.is_open = len(hall.followed) < 3

    wire, hall = resumed(MOST, go)
    assert len(hall.followed) == 3
    assert hall.left == hall.followed[2:]
    assert "resumed" not in [said["type"] for said in wire.sent]


def test_a_long_message_gives_others_a_turn() -> None:
    turns: list[int] = []
    gevent.spawn(turns.append, 1)
    resumed(TURN - 1)
    assert not turns
    resumed(TURN)
    assert turns
