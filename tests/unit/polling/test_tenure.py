"""When a process knows that its lease is over: by its own clock, by the store's answer."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import redis

from platform.polling import tenure as module
from platform.polling.errors import BadWorker, LeaseLost, UnknownWorker
from platform.polling.slots import Taken
from platform.polling.tenure import Tenure, take


class Slots:
    """The store: what it answers next; an exception is raised."""

    name, ttl_s = "mailer", 8.0

    def __init__(self) -> None:
        self.answer: Any = (True, False)
        self.released: list[int] = []

    def take(self, holder: str, how: str) -> Any:
        return Taken(0, 7)

    def renew(self, number: int, holder: str, progress: Any) -> tuple[bool, bool]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def release(self, number: int, holder: str) -> None:
        self.released.append(number)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "now_s", made)
    monkeypatch.setattr(module.Heart, "start", lambda _: None)
    return made


@pytest.fixture
def slots() -> Any:
    return Slots()


def taken(slots: Any) -> Tenure:
    found = take(slots, "process", dict)
    assert isinstance(found, Tenure)
    return found


def test_each_confirmation_holds_for_another_ttl(clock: Clock, slots: Any) -> None:
    own = taken(slots)
    for _ in range(5):
        clock.now += 7.9
        own.confirm()
    assert not own.is_lost


def test_it_is_over_by_the_own_clock_before_anybody_is_asked(clock: Clock, slots: Any) -> None:
    own = taken(slots)
    clock.now += 8.1
    with pytest.raises(LeaseLost) as caught:
        own.confirm()
    assert caught.value.fence == 7


def test_the_stores_refusal_ends_it_for_good(clock: Clock, slots: Any) -> None:
    own = taken(slots)
    slots.answer = (False, False)
    with pytest.raises(LeaseLost):
        own.confirm()
    slots.answer = (True, False)
    with pytest.raises(LeaseLost):
        own.confirm()


def test_a_store_that_is_away_counts_once_the_lease_is_over(clock: Clock, slots: Any) -> None:
    own = taken(slots)
    slots.answer = redis.ConnectionError("away")
    clock.now += 7
    own.confirm()
    clock.now += 2
    with pytest.raises(LeaseLost):
        own.confirm()


def test_a_slow_answer_does_not_lengthen_it(clock: Clock, slots: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = taken(slots)

    def slowly(*_: object) -> tuple[bool, bool]:
        clock.now += 6
        return True, False

    monkeypatch.setattr(slots, "renew", slowly)
    own.confirm()
    clock.now += 2.1
    with pytest.raises(LeaseLost):
        own.check()


def test_the_answer_tells_who_is_to_stop(clock: Clock, slots: Any) -> None:
    own = taken(slots)
    slots.answer = (True, True)
    own.confirm()
    assert own.is_told_to_stop
    own.end()
    assert slots.released == [0]


@pytest.mark.parametrize(
    "error", [LeaseLost("mailer", 7), UnknownWorker("mailr", ("mailer",)), BadWorker("instances=0")]
)
def test_an_error_survives_pickling(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_an_unknown_worker_is_told_the_nearest() -> None:
    assert str(UnknownWorker("mailr", ("mailer",))) == "there is no worker 'mailr'; did you mean 'mailer'?"
    assert "PLATFORM_IMPORTS" in str(UnknownWorker("mailer"))
