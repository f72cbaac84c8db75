"""How tasks are tried again, and how many of them may run: what loops, gives up too soon, or cannot begin."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from platform.audit.concerned import about, function_of
from platform.audit.finding import Finding, error, note, warning
from platform.audit.subject import Subject
from platform.limits import BadLimit, check_task
from platform.steering import RetryLater
from platform.task import Task

MANY_RETRIES = 50
SHORT_DELAY_S = 1.0
LONG_S = 24 * 3600


def steering(subject: Subject) -> Iterator[Finding]:
    yield from about(
        (task for task in _own(subject) if not issubclass(RetryLater, tuple(task.autoretry_for))),
        lambda names: warning(
            "retry-later-unheard",
            f"{names}: its base class sets autoretry_for without RetryLater",
            "RetryLater is not obeyed: it ends the job as a failure, at once",
            "add RetryLater (from tasks) to autoretry_for of that class, or set it in @app.task",
        ),
    )


def retries(subject: Subject) -> Iterator[Finding]:
    yield from about(
        (task for task in subject.tasks if _most_retries(task) is None),
        lambda names: warning(
            "retries-endless",
            f"{names}: max_retries=None",
            "a job that can never succeed is tried for ever and never becomes a dead letter",
            "set max_retries to a number: ten of them take half an hour; raise Discard where no try can help",
        ),
    )
    yield from about(
        (task for task in subject.tasks if (_most_retries(task) or 0) > MANY_RETRIES),
        lambda names: warning(
            "retries-many",
            f"{names}: more than {MANY_RETRIES} retries",
            "a job that can never succeed is tried for hours or days before somebody hears of it",
            "set max_retries to 10 or less; raise Discard where no try can help",
        ),
    )


def automatic_retries(subject: Subject) -> Iterator[Finding]:
    yield from about(
        (task for task in _own(subject) if any(not issubclass(one, Exception) for one in task.autoretry_for)),
        lambda names: error(
            "retries-exits",
            f"{names}: autoretry_for has BaseException, SystemExit or KeyboardInterrupt",
            "a worker that is told to stop, and a task that exits on purpose, look like failures to be tried again",
            "take autoretry_for out: every Exception is tried again; or name the errors that pass by themselves",
        ),
    )
    yield from about(
        (task for task in _own(subject) if _is_hasty(task)),
        lambda names: warning(
            "retries-at-once",
            f"{names}: waits less than {SHORT_DELAY_S:g} s before each retry",
            "its retries are used up before what is wrong can pass: a restart of a service makes dead letters of all",
            "take default_retry_delay, or countdown in retry_kwargs, out: without it each wait is longer than the last",
        ),
    )
    yield from about(
        (task for task in _own(subject) if _soft_limits_s(task, subject) > LONG_S),
        lambda names: note(
            "retries-soft-limit",
            f"{names}: a run that exceeds its soft_time_limit is tried again, more than a day in all",
            "a job that is too long takes its whole soft limit on every retry",
            "catch SoftTimeLimitExceeded in the task and raise Discard, or lower soft_time_limit or max_retries",
        ),
    )


def limits(subject: Subject) -> Iterator[Finding]:
    """The decorator refuses what makes no sense; annotations, and attributes of a base class, go past it."""
    for task in _own(subject):
        if problem := _limit_problem(task):
            yield error(
                "limit-unusable",
                f"{task.name}: {problem}",
                "no job of it can begin: each one fails when a worker starts it",
                'rate_limit="10/s", "100/m" or "5/h"; concurrency a number from 1 to 1000',
            )
    yield from about(
        (task for task in _own(subject) if _is_limited_by_nothing(task)),
        lambda names: error(
            "limit-by-no-argument",
            f"{names}: limit_by names an argument the function has not got",
            "all its jobs count as one: what was to hold for each customer, say, holds for all of them together",
            "correct the name in limit_by",
        ),
    )


CHECKS = (steering, retries, automatic_retries, limits)


def _own(subject: Subject) -> Iterator[Task]:
    """Tasks of the platform's class; of others nothing below is known."""
    return (task for task in subject.tasks if isinstance(task, Task))


def _most_retries(task: Any) -> int | None:
    given = getattr(task, "retry_kwargs", None) or {}
    return given.get("max_retries", task.max_retries)


def _is_hasty(task: Task) -> bool:
    if getattr(task, "retry_backoff", False) or _most_retries(task) == 0:
        return False
    fixed_s = (getattr(task, "retry_kwargs", None) or {}).get("countdown", task.default_retry_delay)
    return fixed_s is not None and fixed_s < SHORT_DELAY_S


def _soft_limits_s(task: Task, subject: Subject) -> float:
    """How long a job may take that exceeds its soft limit in each of its runs; 0 if it is not tried again."""
    soft_s = task.soft_time_limit or subject.app.conf.task_soft_time_limit or 0
    is_spared = issubclass(SoftTimeLimitExceeded, tuple(task.dont_autoretry_for))
    is_tried_again = issubclass(SoftTimeLimitExceeded, tuple(task.autoretry_for)) and not is_spared
    runs = 1 + (_most_retries(task) or 0)
    return float(soft_s * runs) if is_tried_again and runs > 1 else 0.0


def _limit_problem(task: Any) -> str:
    options = {name: getattr(task, name) for name in ("rate_limit", "concurrency", "limit_by")}
    try:
        check_task(options)
    except BadLimit as exc:
        return str(exc)
    return ""


def _is_limited_by_nothing(task: Task) -> bool:
    if not isinstance(task.limit_by, str):
        return False
    parameters = inspect.signature(function_of(task)).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    return task.limit_by not in parameters and not takes_any
