from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from platform.schedules.definition import Definition, checked
from platform.schedules.errors import BadSchedule


def new(**more: Any) -> Definition:
    return Definition(**{"name": "nightly", "task": "t", "cron": "30 2 * * *"} | more)


def problems(**more: Any) -> dict[str, str]:
    with pytest.raises(BadSchedule) as refused:
        checked(new(**more))
    return {".".join(problem["loc"]): problem["msg"] for problem in refused.value.problems}


def test_what_makes_sense_is_taken_as_it_is() -> None:
    assert checked(new(timezone="Europe/Berlin")).timing.after(0) == (24 + 1) * 3_600_000 + 1_800_000 - 86_400_000
    assert checked(new(cron=None, every_s=2.5, anchor_ms=7)).timing.after(0) == 2_507


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"cron": "61 * * * *"}, "cron", "minute: 61 is out of range; it is 0–59"),
        ({"every_s": 5.0}, "cron", "give cron or every_s, not both"),
        ({"cron": None}, "cron", "give cron, such as '*/5 * * * *', or every_s, in seconds"),
        ({"cron": None, "every_s": 0.5}, "every_s", "an interval is 1 to 31622400 seconds (366 days)"),
        ({"cron": None, "every_s": float("nan")}, "every_s", "an interval is 1 to 31622400 seconds (366 days)"),
        ({"timezone": "Berlin"}, "timezone", "there is no time zone 'Berlin'; did you mean 'Europe/Berlin'?"),
        ({"queue": "ofload"}, "queue", "there is no queue 'ofload'; did you mean 'offload'?"),
        ({"queue": "dead-letter"}, "queue", "the queue dead-letter takes no jobs"),
        ({"priority": 10}, "priority", "a priority is 0 to 9, 9 most urgent"),
        ({"missed": "onec"}, "missed", "'onec' is not skip, once, all; did you mean 'once'?"),
        ({"overlap": "no"}, "overlap", "'no' is not allow, skip, replace"),
        ({"name": " a"}, "name", "a name has 1 to 128 printable characters and no space at its ends"),
        ({"name": "a\nb"}, "name", "a name has 1 to 128 printable characters and no space at its ends"),
    ],
)
def test_what_does_not_is_refused_with_its_field(given: dict[str, Any], field: str, message: str) -> None:
    assert problems(**given) == {field: message}


def test_every_problem_is_told_at_once() -> None:
    assert set(problems(name="", cron="x", timezone="x", priority=11)) == {"name", "cron", "timezone", "priority"}


def test_another_cron_takes_an_intervals_place_and_the_reverse() -> None:
    every = new().changed(50, every_s=60.0)
    assert (every.cron, every.every_s, every.anchor_ms) == (None, 60.0, 50)
    cron = every.changed(70, cron="@daily")
    assert (cron.cron, cron.every_s, cron.anchor_ms) == ("@daily", None, 50)
    with pytest.raises(BadSchedule, match="not both"):
        checked(every.changed(70, cron="@daily", every_s=5.0))


def test_the_times_are_the_same_unless_cron_zone_or_interval_are_others() -> None:
    assert new().is_timed_as(new(name="b", args=[1], priority=9))
    assert not new().is_timed_as(new(timezone="Europe/Berlin"))
    assert not new().is_timed_as(new().changed(0, every_s=60.0))


def test_it_is_kept_whole() -> None:
    made = new(args=[1, {"a": None}], kwargs={"b": "ü"}, owner="u", queue="batch", priority=0)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Definition) == made


def test_a_refusal_survives_pickling() -> None:
    refused = BadSchedule([{"loc": ["cron"], "msg": "no"}])
    assert str(pickle.loads(pickle.dumps(refused))) == str(refused) == "cron: no"
