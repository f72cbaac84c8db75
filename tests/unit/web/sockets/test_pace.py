from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from web.sockets import pace
from web.sockets.pace import Pace


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=clock))
    return clock


def taken(pace: Pace, wanted: int) -> int:
    """How many of so many at once are within the pace."""
    return sum(pace.take() for _ in range(wanted))


def test_a_burst_may_come_at_once_and_no_more(clock: Clock) -> None:
    assert taken(Pace(10, 40), 100) == 40


def test_then_as_many_a_second_as_agreed(clock: Clock) -> None:
    made = Pace(10, 40)
    taken(made, 100)
    for _ in range(5):
        clock.now += 1
        assert taken(made, 100) == 10


def test_what_was_not_used_is_saved_up_to_a_burst(clock: Clock) -> None:
    made = Pace(10, 40)
    taken(made, 100)
    clock.now += 3600
    assert taken(made, 100) == 40


def test_who_keeps_to_its_pace_is_never_held_up(clock: Clock) -> None:
    made = Pace(10, 1)
    for _ in range(100):
        assert made.take()
        clock.now += 0.125


def test_it_is_said_how_long_to_wait(clock: Clock) -> None:
    made = Pace(4, 1)
    assert made.wait_s() == 0
    assert made.take()
    assert not made.take()
    assert made.wait_s() == 0.25
    clock.now += made.wait_s()
    assert made.take()


def test_after_a_rest_a_whole_burst_may_come_again(clock: Clock) -> None:
    made = Pace(10, 40)
    made.take()
    assert made.was_rested
    made.take()
    assert not made.was_rested
    clock.now += 1
    made.take()
    assert made.was_rested
