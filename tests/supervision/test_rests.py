"""What keeps dying rests longer and longer; what dies once in a while does not."""

from __future__ import annotations

import pytest

from deploy.supervision import rests
from deploy.supervision.rests import Rests


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only element."""
    now = [1000.0]
    monkeypatch.setattr(rests.time, "monotonic", lambda: now[0])
    return now


def rest_s(kept: Rests, clock: list[float]) -> float:
    """How long until ``web`` may be started."""
    began = clock[0]
    while not kept.is_over("web"):
        clock[0] += 0.5
    return clock[0] - began


def test_the_first_deaths_cost_nothing() -> None:
    kept = Rests()
    assert [kept.after_death("web", 5) for _ in range(2)] == [False, False]
    assert kept.is_over("web")


def test_each_further_short_life_doubles_the_rest_up_to_a_bound(clock: list[float]) -> None:
    kept = Rests()
    found = []
    for _ in range(9):
        kept.after_death("web", 5)
        found.append(rest_s(kept, clock))
    assert found == [0, 0, 1, 2, 4, 8, 16, 30, 30]


def test_a_long_life_is_a_new_beginning(clock: list[float]) -> None:
    kept = Rests()
    for _ in range(6):
        kept.after_death("web", 5)
    kept.end("web")
    assert not kept.after_death("web", 60)
    assert not kept.after_death("web", 5)


def test_what_supervisord_gave_up_rests_once_and_not_for_ever(clock: list[float]) -> None:
    kept = Rests()
    kept.when_given_up("web")
    clock[0] += rests.GIVEN_UP_REST_S - 1
    kept.when_given_up("web")
    assert not kept.is_over("web")
    assert rest_s(kept, clock) == 1


def test_one_programs_rest_is_not_anothers() -> None:
    kept = Rests()
    for _ in range(5):
        kept.after_death("web", 1)
    assert kept.is_over("beat")
