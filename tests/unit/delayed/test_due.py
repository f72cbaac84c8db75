"""What ``countdown`` and ``eta`` mean, and which of them no job could wait for."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from platform.delayed.due import UnusableTime, due_ms

HOUR_MS = 3_600_000
EAST = timezone(timedelta(hours=5))
NOON = datetime(2400, 1, 1, 12, tzinfo=UTC)


def in_ms(seconds: float) -> int:
    return int((time.time() + seconds) * 1000)


@pytest.mark.parametrize("seconds", [3600, 3600.0, "3600"])
def test_a_countdown_counts_from_now(seconds: object) -> None:
    found = due_ms(countdown=seconds)
    assert found is not None
    assert abs(found - in_ms(3600)) < 1000


@pytest.mark.parametrize(
    "eta",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(EAST),
        NOON.isoformat(),
        "2400-01-01T12Z",
    ],
)
def test_an_eta_is_a_time_and_of_utc_if_it_names_no_zone(eta: object) -> None:
    assert due_ms(eta=eta) == int(NOON.timestamp() * 1000)


def test_where_both_are_given_countdown_counts() -> None:
    assert (due_ms(countdown=60, eta=NOON) or 0) < in_ms(61)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"countdown": 0},
        {"countdown": -5},
        {"countdown": -1e300},
        {"countdown": float("-inf")},
        {"eta": datetime(1999, 1, 1, tzinfo=UTC)},
        {"eta": "1999-01-01T00:00:00"},
    ],
)
def test_what_is_not_to_come_does_not_wait(given: dict) -> None:
    assert due_ms(**given) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"countdown": float("inf")}, "year 9998 at the latest"),
        ({"countdown": 1e300}, "year 9998 at the latest"),
        ({"countdown": 10**400}, "is not a number of seconds"),
        ({"eta": datetime.max.replace(tzinfo=UTC)}, "year 9998 at the latest"),
        ({"countdown": float("nan")}, "nan is not a number of seconds"),
        ({"countdown": "soon"}, "'soon' is not a number of seconds"),
        ({"countdown": timedelta(1)}, "is not a number of seconds"),
        ({"eta": "tomorrow"}, "eta 'tomorrow' is not a datetime"),
        ({"eta": date(2400, 1, 1)}, "is not a datetime"),
        ({"eta": 17}, "eta 17 is not a datetime"),
    ],
)
def test_what_is_no_time_is_refused_in_a_sentence(given: dict, words: str) -> None:
    with pytest.raises(UnusableTime, match=words):
        due_ms(**given)
