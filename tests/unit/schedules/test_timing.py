from __future__ import annotations

from datetime import timedelta

from celery.schedules import schedule

from platform.schedules.timing import Every, Foreign, times


def test_an_interval_is_counted_from_its_anchor() -> None:
    every = Every(10_000, anchor_ms=3_000)
    assert [every.after(moment) for moment in (0, 3_000, 12_999, 13_000, 99_000)] == [
        *(13_000, 13_000, 13_000, 23_000, 103_000)
    ]


def test_times_are_those_up_to_the_last() -> None:
    assert list(times(Every(10, 0), 10, 35)) == [10, 20, 30]
    assert list(times(Every(10, 0), 10, 5)) == []


def test_a_schedule_object_of_celery_is_asked_as_beat_asks_it() -> None:
    foreign = Foreign(schedule(timedelta(seconds=60)))
    due, seconds = foreign.ask(0)
    assert (due, seconds) == (True, 60)
    assert foreign.after(0) > 60_000
