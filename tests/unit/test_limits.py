"""A task's limits are read once, checked at import, and counted by the value of an argument where one is named."""

from __future__ import annotations

import pytest

from platform.celery import Platform
from platform.limits import BadLimit, Limit, check_task, interval_ms, limits_of

#: Apart from the one app, whose tasks are everybody's.
app = Platform("limits-test", set_as_current=False, config_source="celeryconfig")


@pytest.mark.parametrize(
    ("text", "ms"), [(None, 0), ("10/s", 100), ("100/m", 600), ("5/h", 720_000), (4, 250), ("0.5/s", 2000)]
)
def test_a_rate_is_the_time_from_one_start_to_the_next(text: str | None, ms: float) -> None:
    assert interval_ms(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["fast", "10/x", "-1/s", 0, "0/s", [], "1/0"])
def test_a_rate_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(BadLimit, match="rate limit"):
        interval_ms(text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"concurrency": 0}, "between 1 and 1000"),
        ({"concurrency": True}, "between 1 and 1000"),
        ({"concurrency": "two"}, "between 1 and 1000"),
        ({"rate_limit": "x"}, "write 10/s"),
        ({"limit_by": "customer"}, "needs a rate_limit or a concurrency"),
        ({"limit_by": 7, "concurrency": 1}, "an argument's name"),
    ],
)
def test_limits_that_cannot_work_are_refused_where_they_are_written(options: dict, text: str) -> None:
    with pytest.raises(BadLimit, match=text):
        check_task(options)
    with pytest.raises(BadLimit):
        app.task(name="limits-test.bad", **options)


@app.task(name="limits-test.plain")
def plain(customer, n=1): ...


@app.task(name="limits-test.each", concurrency=2, rate_limit="10/s", limit_by="customer")
def each(customer, n=1): ...


@app.task(name="limits-test.computed", concurrency=1, limit_by=lambda customer, n=1: n % 2)
def computed(customer, n=1): ...


def test_a_task_without_limits_has_none() -> None:
    assert limits_of(plain, (1,), {}) == []


def test_each_value_is_counted_apart_however_it_is_given() -> None:
    wanted = [Limit("task:limits-test.each:ann", 2, 100)]
    assert limits_of(each, ("ann",), {}) == wanted
    assert limits_of(each, (), {"customer": "ann", "n": 3}) == wanted
    assert limits_of(each, ("bob",), {}) != wanted


def test_a_value_may_be_computed() -> None:
    assert [limits_of(computed, ("ann", n), {})[0].key for n in (2, 3)] == [
        "task:limits-test.computed:0",
        "task:limits-test.computed:1",
    ]


def test_a_value_that_is_no_good_name_is_hashed() -> None:
    key = limits_of(each, ("x" * 10_000,), {})[0].key
    assert len(key) < 200
    assert limits_of(each, ("a\nb",), {})[0].key != limits_of(each, ("a b",), {})[0].key
