"""Real tasks that are tried again for ever, too soon, or not when they say so; limits that stop or miss their jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from platform.audit import taskretries
from platform.audit.subject import Subject
from tests.unit.audit.test_taskoptions import with_task


def all_of(subject: Subject) -> list[Any]:
    return [found for check in taskretries.CHECKS for found in check(subject)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_retries": 0, "default_retry_delay": 0},
        {"max_retries": 10, "soft_time_limit": 50},
        {"autoretry_for": (OSError,)},
        {"autoretry_for": (OSError,), "retry_backoff": 2, "default_retry_delay": 0},
        {"autoretry_for": ()},
        {"default_retry_delay": 30},
        {"soft_time_limit": 30_000, "dont_autoretry_for": (SoftTimeLimitExceeded,)},
        {"rate_limit": "10/m", "concurrency": 5},
    ],
)
def test_sound_retries_are_silent(new_subject: Callable[..., Subject], options: dict[str, Any]) -> None:
    assert all_of(with_task(new_subject(), **options)) == []


def test_the_platforms_own_tasks_are_silent(new_subject: Callable[..., Subject]) -> None:
    assert all_of(new_subject()) == []


@pytest.mark.parametrize(
    ("options", "code", "severity"),
    [
        ({"max_retries": None}, "retries-endless", "warning"),
        ({"retry_kwargs": {"max_retries": None}}, "retries-endless", "warning"),
        ({"max_retries": 1000}, "retries-many", "warning"),
        ({"autoretry_for": (BaseException,)}, "retries-exits", "error"),
        ({"autoretry_for": (OSError, SystemExit)}, "retries-exits", "error"),
        ({"default_retry_delay": 0}, "retries-at-once", "warning"),
        ({"retry_kwargs": {"countdown": 0.1}}, "retries-at-once", "warning"),
        ({"soft_time_limit": 30_000}, "retries-soft-limit", "note"),
    ],
)
def test_a_dangerous_option_is_found(
    new_subject: Callable[..., Subject],
    codes: Callable[..., set[str]],
    options: dict[str, Any],
    code: str,
    severity: str,
) -> None:
    assert codes(all_of(with_task(new_subject(), **options)), severity) == {code}


def test_a_default_soft_limit_counts_for_retries(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    subject = with_task(new_subject({"task_soft_time_limit": 21_000}), max_retries=5)
    assert codes(all_of(subject)) == {"retries-soft-limit"}


def test_a_base_class_that_does_not_hear_retry_later_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    subject = new_subject()

    class Narrow(subject.app.Task):  # type: ignore[name-defined, misc]
        autoretry_for = (OSError,)

    assert codes(all_of(with_task(subject, base=Narrow)), "warning") == {"retry-later-unheard"}


@pytest.mark.parametrize(("name", "value"), [("rate_limit", "often"), ("concurrency", 0)])
def test_a_limit_past_the_decorator_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], name: str, value: Any
) -> None:
    subject = with_task(new_subject({"task_annotations": {"shop.work": {name: value}}}))
    (found,) = all_of(subject)
    assert (found.code, found.severity) == ("limit-unusable", "error")
    assert f"{value!r}" in found.problem


@pytest.mark.parametrize("by", ["custmer", "customer", lambda customer, amount: customer])
def test_a_limit_by_an_argument_there_is_not_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], by: Any
) -> None:
    subject = new_subject()

    @subject.app.task(name="shop.charge", shared=False, bind=True, concurrency=2, limit_by=by)
    def charge(self: Any, customer: str, amount: int) -> None: ...

    assert codes(all_of(subject), "error") == ({"limit-by-no-argument"} if by == "custmer" else set())
