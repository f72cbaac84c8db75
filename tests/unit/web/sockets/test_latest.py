from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from platform.errors import BrokerUnavailable
from platform.streams.delivery import Position
from web.sockets.latest import Latest


class Store:
    """Answers when it is told to; another position every time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = Event()
        self.failure: BaseException | None = None

    def read(self, stream: str) -> Position:
        self.asked.append(stream)
        position = Position("e", len(self.asked))
        self.may_answer.wait(5)
        if self.failure is not None:
            raise self.failure
        return position


@pytest.fixture
def store() -> Store:
    return Store()


def asking(latest: Latest, *streams: str) -> list[gevent.Greenlet]:
    greenlets = [gevent.spawn(latest.position, stream) for stream in streams]
    gevent.sleep(0.01)
    return greenlets


def offsets(greenlets: list[gevent.Greenlet]) -> list[int]:
    gevent.joinall(greenlets, timeout=5, raise_error=True)
    return [greenlet.value.offset for greenlet in greenlets]


def test_those_who_ask_together_are_answered_by_one_reading(store: Store) -> None:
    asked = asking(Latest(store.read), *["room"] * 5)
    store.may_answer.set()
    assert offsets(asked) == [1] * 5
    assert store.asked == ["room"]


def test_who_asks_while_it_is_read_gets_the_next_reading(store: Store) -> None:
    latest = Latest(store.read)
    early = asking(latest, "room")
    late = asking(latest, "room", "room")
    store.may_answer.set()
    assert (offsets(early), offsets(late)) == ([1], [2, 2])


def test_streams_do_not_wait_for_each_other(store: Store) -> None:
    asked = asking(Latest(store.read), "a", "b")
    assert store.asked == ["a", "b"]
    store.may_answer.set()
    assert offsets(asked) == [1, 2]


@pytest.mark.parametrize("failure", [BrokerUnavailable("gone"), gevent.Timeout(1)])
def test_all_are_told_that_it_cannot_be_read_and_the_next_asks_again(store: Store, failure: BaseException) -> None:
    latest, store.failure = Latest(store.read), failure
    asked = asking(latest, "room", "room")
    store.may_answer.set()
    gevent.joinall(asked, timeout=5)
    assert [greenlet.exception for greenlet in asked] == [failure] * 2
    store.failure = None
    assert latest.position("room").offset == 2
