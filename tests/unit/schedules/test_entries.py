from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.beat import BeatLazyFunc, ScheduleEntry
from celery.schedules import crontab, schedule

from platform.schedules.entries import Entry
from platform.schedules.timing import Foreign
from tasks import app


def entry(when: Any, **more: Any) -> Entry:
    return Entry(ScheduleEntry(name="nightly", task="t", schedule=when, app=app, **more))


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (crontab(), "* * * * *"),
        (crontab(minute=30, hour=2), "30 2 * * *"),
        (crontab(minute="*/15", hour="8-18", day_of_week="mon-fri"), "*/15 8-18 * * MON-FRI"),
        (crontab(minute=0, hour={6, 18}, day_of_week="sunday"), "0 6,18 * * SUN"),
        (crontab(minute=0, hour=0, day_of_month="1", month_of_year="*/3"), "0 0 1 */3 *"),
    ],
)
def test_a_crontab_becomes_cron(when: Any, text: str) -> None:
    made = entry(when).definition(0, None)
    assert (made.cron, made.every_s, made.timezone, made.source) == (text, None, "UTC", "code")


@pytest.mark.parametrize("when", [30, 30.0, timedelta(seconds=30), schedule(timedelta(seconds=30))])
def test_an_interval_becomes_an_interval(when: Any) -> None:
    made = entry(when).definition(7, None)
    assert (made.every_s, made.cron, made.anchor_ms) == (30.0, None, 7)


@pytest.mark.parametrize(
    "when",
    [
        crontab(minute=0, hour=0, day_of_month="1-7", day_of_week="mon"),  # both, where cron would take either
        crontab(minute=0, hour="22-3"),
        crontab(nowfun=datetime.now),
        schedule(timedelta(seconds=30), relative=True),
    ],
)
def test_what_has_no_other_form_stays_celerys(when: Any) -> None:
    made = entry(when)
    definition = made.definition(0, None)
    assert (definition.is_timed, definition.cron, definition.every_s) == (False, None, None)
    assert isinstance(made.timing(definition), Foreign)


def test_the_id_is_made_of_the_name() -> None:
    assert entry(30).id == entry(crontab()).id


def test_an_interval_that_was_kept_goes_on_from_where_it_was() -> None:
    before = entry(30).definition(100, None)
    again, other = entry(30).definition(900, before), entry(31).definition(900, before)
    assert (again, again.anchor_ms) == (before, 100)
    assert (other.anchor_ms, other.created_ms) == (900, 100)


def test_a_job_is_made_of_what_the_module_says_now() -> None:
    moments = iter([1, 2])
    made = entry(30, args=(BeatLazyFunc(lambda: next(moments)), "a"), options={"queue": "batch", "expires": 10})
    call = made.call()
    assert (call.args, call.options["queue"], call.options["expires"]) == ([1, "a"], "batch", 10)
    assert call.options["headers"] == {"celery_beat_task": True}
    assert made.call().args == [2, "a"]
    shown = made.definition(0, None)
    assert (shown.args, shown.queue) == ([], "batch")
