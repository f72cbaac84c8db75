"""Options of the registered tasks, the platform's and the user's."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from celery.exceptions import QueueNotFound

from platform.audit.concerned import about, function_of
from platform.audit.finding import Finding, error, note, warning
from platform.audit.subject import Subject
from platform.queues import DEAD_LETTER, MAX_PRIORITY, MIN_PRIORITY
from platform.serialization import NAME
from platform.task import Task

LONG_LIMIT_S = 24 * 3600


def modules(subject: Subject) -> Iterator[Finding]:
    if subject.loading.problem:
        yield error(
            "module-broken",
            f"not every task module can be loaded: {subject.loading.problem}",
            "workers and the web refuse to start; the tasks behind it were not examined",
            "correct the module, or take it out of PLATFORM_IMPORTS",
        )
    for clash in subject.loading.clashes:
        yield error(
            "task-name-taken",
            _told_shortly(clash),
            "only the first of them runs: calls of the second run the first",
            "give one of them a name of its own: @app.task(name=…)",
        )


def not_plain_functions(subject: Subject) -> Iterator[Finding]:
    yield from about(
        (task for task in subject.tasks if _is_lazy(task)),
        lambda names: error(
            "task-never-runs",
            f"{names}: an async function or a generator",
            "Celery calls it and gets a coroutine or generator that nobody runs: its body is never executed",
            "write a plain function; inside it, asyncio.run(…) or list(…)",
        ),
    )


def registered_twice(subject: Subject) -> Iterator[Finding]:
    seen: dict[tuple[str, int], str] = {}
    for task in subject.tasks:
        place = _place(task)
        if place is None:
            continue
        first = seen.setdefault(place, task.name)
        if first != task.name:
            yield warning(
                "task-under-two-names",
                f"{first} and {task.name} are one function",
                "its module is imported under two names; a worker that imported it under the other refuses the job",
                "import the module by its full name everywhere, as PLATFORM_IMPORTS does",
            )


def kind(subject: Subject) -> Iterator[Finding]:
    """Starts are recorded, and limits kept, by the platform's own class of tasks."""
    yield from about(
        (task for task in subject.tasks if not isinstance(task, Task)),
        lambda names: error(
            "task-of-another-class",
            f"{names}: made by a class that is not the platform's Task",
            "nobody records that it runs: its job stays pending for ever, is never retried and never cancelled",
            "derive the class given as base= from app.Task (from tasks import app), not from celery.Task",
        ),
    )


def acknowledgement(subject: Subject) -> Iterator[Finding]:
    if subject.app.conf.task_acks_late:
        yield from about(
            (task for task in subject.tasks if task.acks_late is False),
            lambda names: warning(
                "task-acks-early",
                f"{names}: acks_late=False",
                "the job is lost with the worker that dies under it: it runs at most once",
                "take it out, unless running twice would be worse than not at all",
            ),
        )
    if not (subject.app.conf.task_reject_on_worker_lost or subject.app.conf.task_retry_on_worker_lost):
        yield from about(
            (task for task in subject.tasks if task.reject_on_worker_lost or task.retry_on_worker_lost),
            lambda names: warning(
                "task-lost-twice",
                f"{names}: reject_on_worker_lost or retry_on_worker_lost",
                "the platform gives such a job another run by itself; Celery would do so once more after its last "
                "one, when it is a dead letter already, and the rest of its chain never hears of that",
                "take it out; PLATFORM_MAX_DEATHS says how often a job may cost its process",
            ),
        )
    yield from about(
        (task for task in subject.tasks if task.acks_on_timeout is False and subject.app.conf.task_acks_on_timeout),
        lambda names: error(
            "task-timeouts-loop",
            f"{names}: a job stopped by its time limit is put back",
            "it runs into the limit again, for ever",
            "take out acks_on_timeout=False (and acks_on_failure_or_timeout=False)",
        ),
    )


def time_limits(subject: Subject) -> Iterator[Finding]:
    yield from about(
        (task for task in subject.tasks if _is_soft_after_hard(task, subject)),
        lambda names: error(
            "task-soft-limit-after-hard",
            f"{names}: soft_time_limit is not below time_limit",
            "the task is killed before it could be asked to end: nothing is cleaned up",
            "set soft_time_limit some seconds below time_limit",
        ),
    )
    yield from about(
        (task for task in subject.tasks if (_hard_limit(task, subject) or 0) > LONG_LIMIT_S),
        lambda names: warning(
            "time-limit-long",
            f"{names}: time_limit is more than a day",
            "a job that hangs holds its place that long",
            "split the work into shorter jobs, or lower time_limit",
        ),
    )
    yield from about(
        (task for task in subject.tasks if _hard_limit(task, subject) is None and not _is_platforms(task)),
        lambda names: note(
            "no-time-limit",
            f"{names}: no time_limit",
            "a job that hangs, on a connection without a timeout for example, holds its place for ever",
            "leave PLATFORM_TIME_LIMIT_S at 21600, or set time_limit on the task",
        ),
    )


def publishing(subject: Subject) -> Iterator[Finding]:
    yield from about(
        (task for task in subject.tasks if getattr(task, "serializer", None) not in (None, NAME, "json")),
        lambda names: error(
            "task-serializer-refused",
            f"{names}: a serializer that no worker reads",
            "publishing the task is refused",
            "take serializer out: arguments are JSON",
        ),
    )
    yield from about(
        (task for task in subject.tasks if not _is_priority(getattr(task, "default_priority", None))),
        lambda names: error(
            "task-priority-out-of-range",
            f"{names}: its priority is not between 0 and 9",
            "publishing the task is refused",
            "set priority to 0–9; 9 is most urgent",
        ),
    )
    for task in subject.tasks:
        if problem := _route_problem(subject.app, task):
            yield error(
                "task-to-unknown-queue",
                f"{task.name}: {problem}",
                "publishing the task is refused",
                "correct the queue's name, or add it to PLATFORM_QUEUES",
            )


CHECKS = (
    *(modules, not_plain_functions, registered_twice, kind),
    *(acknowledgement, time_limits, publishing),
)


def _told_shortly(clash: str) -> str:
    """Celery's warning has a sentence, then a line each for the two functions."""
    sentence, *rest = [line.strip() for line in clash.splitlines() if line.strip()]
    return f"{sentence} {'; '.join(' '.join(line.split()) for line in rest[:2])}"


def _is_lazy(task: Any) -> bool:
    function = function_of(task)
    return any(
        check(function)
        for check in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    )


def _place(task: Any) -> tuple[str, int] | None:
    """File and line of the function. Wrappers made by one decorator share theirs, so those do not count."""
    function = function_of(task)
    code = getattr(function, "__code__", None)
    if code is None or code.co_freevars or code.co_name != task.name.rpartition(".")[2]:
        return None
    return code.co_filename, code.co_firstlineno


def _hard_limit(task: Any, subject: Subject) -> float | None:
    return task.time_limit or subject.app.conf.task_time_limit


def _is_soft_after_hard(task: Any, subject: Subject) -> bool:
    """Told of a task only where it is the task's own doing."""
    if task.time_limit is None and task.soft_time_limit is None:
        return False
    conf = subject.app.conf
    soft, hard = task.soft_time_limit or conf.task_soft_time_limit, task.time_limit or conf.task_time_limit
    is_own = (task.soft_time_limit, task.time_limit) != (conf.task_soft_time_limit, conf.task_time_limit)
    return bool(soft and hard and soft >= hard and is_own)


def _is_platforms(task: Any) -> bool:
    return str(task.run.__module__).partition(".")[0] in ("tasks", "platform", "web")


def _is_priority(value: Any) -> bool:
    return value is None or (isinstance(value, int) and MIN_PRIORITY <= value <= MAX_PRIORITY)


def _route_problem(app: Any, task: Any) -> str:
    try:
        options = app.amqp.router.route({}, task.name, (), {}, task)
    except QueueNotFound as exc:
        return str(exc.args[0])
    name = getattr(options.get("queue"), "name", options.get("queue"))
    return "the queue dead-letter takes no jobs" if name == DEAD_LETTER else ""
