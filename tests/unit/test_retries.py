"""When a failed job is tried again, and which failures are never retried."""

from __future__ import annotations

import math
import pickle
import statistics

import pytest
from celery.exceptions import Reject

from platform import retries
from platform.celery import Platform
from platform.errors import JobCancelled
from platform.steering import Discard, RetryLater, Steering

#: Apart from the one app, whose tasks are everybody's.
app = Platform("retries-test", set_as_current=False, config_source="celeryconfig")


class Busy(Exception):
    def __init__(self, retry_after: object):
        super().__init__(retry_after)
        self.retry_after = retry_after


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_the_wait_is_anything_up_to_twice_as_much_each_time(number: int) -> None:
    waits = [retries.delay_s(number) for _ in range(2_000)]
    longest = retries.BASE_S * 2 ** (number + 1)
    assert min(waits) >= 0
    assert max(waits) <= longest
    assert statistics.mean(waits) == pytest.approx(longest / 2, rel=0.1)


def test_no_wait_is_longer_than_ten_minutes() -> None:
    assert max(retries.delay_s(10_000) for _ in range(100)) <= 600


@pytest.mark.parametrize(
    ("exc", "wait_s"),
    [(RetryLater(90), 90), (RetryLater(0.25), 0.25), (RetryLater(-5), 0), (Busy(30), 30), (Busy(1e12), 7 * 86_400)],
)
def test_what_the_exception_says_counts(exc: Exception, wait_s: float) -> None:
    assert retries.delay_s(0, exc, fixed_s=1) == wait_s


@pytest.mark.parametrize("hint", [None, "soon", True, math.inf, math.nan, [1]])
def test_a_hint_that_is_no_number_is_none(hint: object) -> None:
    assert retries.delay_s(0, Busy(hint), fixed_s=7) == 7


class NoSuchCustomer(Exception):
    is_permanent = True


def test_an_error_may_say_so_itself() -> None:
    assert retries.is_hopeless(add, NoSuchCustomer(), (1,), {})
    assert not retries.is_hopeless(add, Busy(1), (1,), {})


@app.task(name="retries-test.add", bind=True)
def add(self, a, b=0):
    return a + b


@pytest.mark.parametrize("exc", [Discard("no"), Reject("no"), JobCancelled("x")])
def test_an_error_that_says_never_is_hopeless(exc: Exception) -> None:
    assert retries.is_hopeless(add, exc, (1,), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "fits"), [((1,), {}, True), ((1,), {"b": 2}, True), ((), {}, False), ((1,), {"c": 2}, False)]
)
def test_a_type_error_is_hopeless_only_where_the_arguments_do_not_fit(args: tuple, kwargs: dict, fits: bool) -> None:
    assert retries.is_hopeless(add, TypeError("x"), args, kwargs) is not fits
    assert not retries.is_hopeless(add, ValueError("x"), args, kwargs)


@pytest.mark.parametrize("exc", [RetryLater(3, "busy"), Discard("never"), Discard()])
def test_steering_survives_pickling(exc: Steering) -> None:
    back = pickle.loads(pickle.dumps(exc))
    assert (type(back), back.args, str(back), vars(back)) == (type(exc), exc.args, str(exc), vars(exc))
