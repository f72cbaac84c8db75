from __future__ import annotations

import pytest

from platform.schedules.cron import Cron
from platform.schedules.missed import LATE_MS, MAKE_UP_MS, Missed, Plan, plan
from platform.schedules.timing import Every

SECOND, HOUR = 1_000, 3_600_000
SECONDLY, HOURLY = Every(SECOND, 0), Every(HOUR, 0)
POLICIES: tuple[Missed, ...] = ("skip", "once", "all")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_on_time_is_handed_out(policy: Missed) -> None:
    assert plan(HOURLY, HOUR, HOUR + 5, policy) == Plan(HOUR, 2 * HOUR, 0)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_late_by_a_fail_over_is_handed_out(policy: Missed) -> None:
    assert plan(HOURLY, HOUR, HOUR + LATE_MS, policy) == Plan(HOUR, 2 * HOUR, 0)


def test_skip_leaves_out_what_is_later() -> None:
    assert plan(HOURLY, HOUR, HOUR + LATE_MS + 1, "skip") == Plan(None, 2 * HOUR, 1)
    assert plan(HOURLY, HOUR, 4 * HOUR + 1, "skip") == Plan(4 * HOUR, 5 * HOUR, 3)


def test_once_makes_one_for_all_of_them() -> None:
    assert plan(HOURLY, HOUR, 4 * HOUR + 1, "once") == Plan(HOUR, 5 * HOUR, 3)


@pytest.mark.parametrize("policy", ["skip", "once"])
def test_of_several_that_are_merely_late_one_is_handed_out(policy: Missed) -> None:
    assert plan(SECONDLY, 10 * SECOND, 18 * SECOND, policy) == Plan(10 * SECOND, 19 * SECOND, 8)


def test_all_makes_one_after_the_other() -> None:
    due, handed_out = HOUR, []
    while due <= 4 * HOUR + 1:
        step = plan(HOURLY, due, 4 * HOUR + 1, "all")
        handed_out.append(step.run_ms)
        assert (step.missed, step.following_ms) == (0, due + HOUR)
        due += HOUR
    assert handed_out == [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]


def test_all_goes_back_for_a_day() -> None:
    now = HOUR + 3 * MAKE_UP_MS
    assert plan(HOURLY, HOUR, now, "all") == Plan(now - MAKE_UP_MS, now - MAKE_UP_MS + HOUR, 48)


def test_the_runs_of_years_are_left_out_without_counting_them_all() -> None:
    year = 366 * MAKE_UP_MS
    assert plan(SECONDLY, SECOND, year, "once").missed == 999
    assert plan(Cron("* * * * *", "Europe/Berlin"), 60_000, year, "skip").missed == 999
