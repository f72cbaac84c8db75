from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform.schedules.cron import BadCron, Cron, UnknownZone

BERLIN = "Europe/Berlin"


def ms(text: str, zone: str = BERLIN) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)


def runs(expression: str, after: str, until: str, zone: str = BERLIN) -> list[str]:
    """Its times between two moments of UTC, as the clock on the wall shows them, with the offset."""
    cron, moment, found = Cron(expression, zone), ms(after, "UTC"), []
    while (moment := cron.after(moment)) < ms(until, "UTC"):
        found.append(datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).strftime("%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("*/20 9 * * *", ["23 09:00+0100", "23 09:20+0100", "23 09:40+0100"]),
        ("0 8-10,22 * * *", ["23 08:00+0100", "23 09:00+0100", "23 10:00+0100", "23 22:00+0100"]),
        ("15 6 * NOV mon", ["23 06:15+0100"]),
        ("15 6 * nov 1-5/2", ["23 06:15+0100"]),
        ("0 0 24 11 MON", ["23 00:00+0100"]),  # as in cron: the day of the month or that of the week
        ("0 12 * * 7", []),
        ("5-5/15 9 * * *", ["23 09:05+0100"]),
        ("40,5-5/15 9 * * *", ["23 09:05+0100", "23 09:40+0100"]),
        ("45/5 9 * * *", ["23 09:45+0100", "23 09:50+0100", "23 09:55+0100"]),
        ("15 6 * NOV-11/1 sun-0/1", []),
        ("@daily", ["23 00:00+0100"]),
        ("5 4 * * sun,MON", ["23 04:05+0100"]),
    ],
)
def test_fields_have_values_names_ranges_steps_and_lists(expression: str, times: list[str]) -> None:
    assert runs(expression, "2026-11-22T22:59", "2026-11-23T22:59") == times  # a Monday in Berlin


@pytest.mark.parametrize(("name", "other"), [("@midnight", "@daily"), ("@annually", "@yearly")])
def test_the_names_that_crontabs_also_have_mean_the_same(name: str, other: str) -> None:
    assert Cron(name).expression == Cron(other).expression


SPRING = ("2026-03-28T12:00", "2026-03-30T12:00")  # the clocks go from 02:00 to 03:00 on the 29th
FALL = ("2026-10-24T12:00", "2026-10-26T12:00")  # from 03:00 to 02:00 on the 25th


def test_a_daily_job_whose_time_does_not_exist_runs_at_the_first_that_does() -> None:
    assert runs("30 2 * * *", *SPRING) == ["29 03:00+0200", "30 02:30+0200"]


def test_a_daily_job_whose_time_comes_twice_runs_the_first_time() -> None:
    assert runs("30 2 * * *", *FALL) == ["25 02:30+0200", "26 02:30+0100"]


def test_several_times_that_do_not_exist_are_one_run() -> None:
    assert runs("0,30 2 29 3 *", *SPRING) == ["29 03:00+0200"]


def test_an_hourly_job_runs_every_hour_whatever_the_clocks_do() -> None:
    assert runs("30 * * * *", "2026-10-24T23:00", "2026-10-25T03:00") == [
        *("25 01:30+0200", "25 02:30+0200", "25 02:30+0100", "25 03:30+0100")
    ]
    assert runs("30 * * * *", "2026-03-28T23:00", "2026-03-29T03:00") == [
        *("29 00:30+0100", "29 01:30+0100", "29 03:30+0200", "29 04:30+0200")
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-05", 24)])
def test_an_every_minute_job_runs_in_each_minute_there_is(day: str, hours: int) -> None:
    cron, first = Cron("* * * * *", BERLIN), ms(f"{day}T00:00")
    last = int((datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZoneInfo(BERLIN)).timestamp() * 1000)
    moments = [first]
    while moments[-1] < last:
        moments.append(cron.after(moments[-1]))
    assert len(moments) - 1 == hours * 60
    assert {later - earlier for earlier, later in pairwise(moments)} == {60_000}


def test_a_schedule_made_in_the_second_of_two_equal_hours_waits_for_the_next_day() -> None:
    between = ms("2026-10-25T01:10+00:00")  # 02:10, for the second time
    assert Cron("30 2 * * *", BERLIN).after(between) == ms("2026-10-26T02:30")


def test_a_zone_without_changes_and_utc_run_as_they_say() -> None:
    assert runs("30 2 * * *", *SPRING, "UTC") == ["29 02:30+0000", "30 02:30+0000"]
    assert runs("30 2 * * *", *FALL, "Asia/Kolkata") == ["25 02:30+0530", "26 02:30+0530"]


EXPRESSIONS = ["30 2 * * *", "*/7 * * * *", "0 */3 * * *", "5 1,2,3 * * *", "0 0 * * SUN", "59 23 28 * *"]
ZONES = [BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "UTC", "Asia/Kathmandu"]


@settings(deadline=None)
@given(
    expression=st.sampled_from(EXPRESSIONS),
    zone=st.sampled_from(ZONES),
    moment=st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1)),
)
def test_the_next_time_is_later_and_none_lies_between(expression: str, zone: str, moment: datetime) -> None:
    cron, now = Cron(expression, zone), int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    following = cron.after(now)
    assert following > now
    assert cron.after(following - 1) == following == cron.after((now + following) // 2)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", "minute: 61 is out of range; it is 0–59"),
        ("0 24 * * *", "hour: 24 is out of range; it is 0–23"),
        ("0 0 0 * *", "day of month: 0 is out of range; it is 1–31"),
        ("0 0 * 13 *", "month: 13 is out of range; it is 1–12 or JAN–DEC"),
        ("0 0 * * 8", "day of week: 8 is out of range; it is 0–7 or SUN–SAT"),
        ("0 0 * * MOM", "day of week: 'MOM' is no value; it is 0–7 or SUN–SAT; did you mean 'MON'?"),
        ("*/0 * * * *", "minute: the step of '*/0' is 0; it is 1 at least"),
        ("0 22-6 * * *", "hour: '22-6' runs backwards; write 22-23,0-6"),
        ("5,,7 * * * *", "minute: '' is neither *, a value, a range (1-5) nor one with a step (*/15)"),
        ("-5 * * * *", "minute: '-5' is neither *, a value, a range (1-5) nor one with a step (*/15)"),
        ("* * * *", "'* * * *' has 4 fields; there are five: minute, hour, day of month, month, day of week"),
        ("0 0 * * * *", "'0 0 * * * *' has 6 fields; there are five: minute, hour, day of month, month, day of week"),
        ("0 0 30 2 *", "'0 0 30 2 *' never comes: no such day in any year"),
        ("@dayly", "there is no '@dayly'; did you mean '@daily'?"),
        ("", "'' has 0 fields; there are five: minute, hour, day of month, month, day of week"),
        ("* " * 200, "a cron expression has 255 characters at most"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_field_and_its_range(expression: str, message: str) -> None:
    with pytest.raises(BadCron) as refused:
        Cron(expression)
    assert str(refused.value) == message


@settings(deadline=None)
@given(st.text("0123456789*,-/@ SUNMONJAN", max_size=24))
def test_whatever_is_written_is_a_cron_or_refused(text: str) -> None:
    with suppress(BadCron):
        assert Cron(text, BERLIN).after(0) > 0


@pytest.mark.parametrize(
    ("zone", "hint"),
    [("Europe/Berln", "did you mean 'Europe/Berlin'?"), ("europe/berlin", "'Europe/Berlin'"), ("x", "such as Europe")],
)
def test_an_unknown_zone_is_refused_with_the_nearest(zone: str, hint: str) -> None:
    with pytest.raises(UnknownZone, match=f"there is no time zone '{zone}'") as refused:
        Cron("* * * * *", zone)
    assert hint in str(refused.value)
