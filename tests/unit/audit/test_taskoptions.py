"""Real tasks with options that lose jobs, repeat them for ever, or refuse them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Task as StockTask

from platform.audit import taskoptions
from platform.audit.subject import Subject


def all_of(subject: Subject) -> list[Any]:
    return [found for check in taskoptions.CHECKS for found in check(subject)]


def with_task(subject: Subject, **options: Any) -> Subject:
    @subject.app.task(**{"name": "shop.work", "shared": False, **options})
    def work() -> None: ...

    return subject


@pytest.mark.parametrize(
    "options",
    [{}, {"time_limit": 60, "soft_time_limit": 50}, {"queue": "batch", "priority": 9}, {"acks_late": True}],
)
def test_sound_tasks_are_silent(new_subject: Callable[..., Subject], options: dict[str, Any]) -> None:
    assert all_of(with_task(new_subject(), **options)) == []


def test_the_platforms_own_tasks_are_silent(new_subject: Callable[..., Subject]) -> None:
    assert all_of(new_subject({"task_time_limit": None})) == []


@pytest.mark.parametrize(
    ("options", "code", "severity"),
    [
        ({"base": StockTask}, "task-of-another-class", "error"),
        ({"acks_late": False}, "task-acks-early", "warning"),
        ({"reject_on_worker_lost": True}, "task-lost-twice", "warning"),
        ({"retry_on_worker_lost": True}, "task-lost-twice", "warning"),
        ({"acks_on_timeout": False}, "task-timeouts-loop", "error"),
        ({"soft_time_limit": 10, "time_limit": 10}, "task-soft-limit-after-hard", "error"),
        ({"soft_time_limit": 30_000}, "task-soft-limit-after-hard", "error"),
        ({"time_limit": 100_000}, "time-limit-long", "warning"),
        ({"serializer": "pickle"}, "task-serializer-refused", "error"),
        ({"default_priority": 10}, "task-priority-out-of-range", "error"),
        ({"queue": "offlaod"}, "task-to-unknown-queue", "error"),
        ({"queue": "dead-letter"}, "task-to-unknown-queue", "error"),
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


def test_a_task_that_may_hang_for_ever_is_a_note(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    without = {"task_time_limit": None}  # PLATFORM_TIME_LIMIT_S=0
    assert codes(all_of(with_task(new_subject(without))), "note") == {"no-time-limit"}
    assert all_of(with_task(new_subject(without), time_limit=60)) == []


def test_functions_that_celery_cannot_run_are_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    subject = new_subject()

    @subject.app.task(name="shop.later", shared=False, autoretry_for=(OSError,), retry_backoff=True)
    async def later() -> None: ...

    @subject.app.task(name="shop.steps", shared=False, bind=True)
    def steps(self: Any) -> Any:
        yield 1

    (found,) = [one for one in all_of(subject) if one.code == "task-never-runs"]
    assert found.problem.startswith("shop.later, shop.steps:")


def test_two_functions_with_one_name_are_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    subject = new_subject()
    for _ in range(2):
        with_task(subject, time_limit=9)
    (found,) = [one for one in all_of(subject) if one.code == "task-name-taken"]
    assert "'shop.work'" in found.problem
    assert "\n" not in found.problem


def test_one_function_under_two_names_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    subject = new_subject()
    for name in ("shop.work", "project.shop.work"):
        with_task(subject, name=name, time_limit=9)
    assert codes(all_of(subject)) == {"task-under-two-names"}


def test_what_is_said_of_many_tasks_is_said_once(new_subject: Callable[..., Subject]) -> None:
    subject = new_subject({"task_time_limit": None})
    for number in range(9):
        with_task(subject, name=f"shop.work{number}")
    (found,) = all_of(subject)
    assert found.problem == "shop.work0, shop.work1, shop.work2, shop.work3 and 5 more: no time_limit"


@pytest.mark.parametrize("source", ["import nothing_like_it", "1 / 0", "def broken(:", "raise SystemError('x')"])
def test_a_module_that_cannot_be_loaded_is_an_error(
    new_subject: Callable[..., Subject],
    codes: Callable[..., set[str]],
    source: str,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"broken{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    subject = new_subject({"imports": (name,)})
    assert codes(all_of(subject), "error") == {"module-broken"}
