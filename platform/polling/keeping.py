"""Which jobs run workers on queues: each declared one has a job for each slot, unless it was stopped.

A job is unique by its slot, so any number of Celery workers may see to it. One that ended, however it did, is followed
by another within seconds: after a crash that nobody noticed, a dead letter, a deployment. One that ended with its last
run leaves in its result how the next one goes on: as though they were one job.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from platform import store
from platform.delayed.schedule import delayed
from platform.errors import UnknownJob
from platform.jobs.ledger import ledger
from platform.jobs.record import Job
from platform.jobs.states import State
from platform.polling import register

INTERVAL_S = 2.0
#: A job that became a dead letter, as its process died again and again, is not followed by another for so long.
FAILED_PAUSE_S = 60.0


class Next(TypedDict):
    """How a job goes on: in so many seconds, with its number and what it remembers."""

    countdown: float
    kwargs: dict[str, Any]


def keep(app: Any, queues: Collection[str]) -> None:
    """A duty of a Celery worker that serves these queues: submit the jobs that are not there."""
    for name, worker in register.declared().items():
        queue = getattr(worker, "queue", None)
        if queue in queues and not register.fleet().is_stopped(name):
            _keep(app, name)


def start(app: Any, name: str) -> None:
    """Let a worker be at work, at once where a Celery worker is free. Raises UnknownWorker."""
    register.fleet().start(name)
    worker = register.declared().get(name)
    if getattr(worker, "queue", None) is not None:
        _keep(app, name)
    _wake(name)


def stop(name: str) -> None:
    """Let nobody begin another batch of it; its jobs end. Raises UnknownWorker."""
    register.fleet().stop(name)
    _wake(name)


def _keep(app: Any, name: str) -> None:
    for number in range(register.declared()[name].instances):
        before = _latest(name, number)
        if before is None or _may_be_followed(before):
            job = app.tasks[name].apply_async(**_next(before, number))
            store.client().hset(_jobs(name), str(number), job.id)


def _latest(name: str, number: int) -> Job | None:
    """The job of a slot, if there was one and its record is still kept."""
    job_id = cast(str | None, store.client().hget(_jobs(name), str(number)))
    try:
        return ledger().get(job_id) if job_id is not None else None
    except UnknownJob:
        return None


def _next(before: Job | None, number: int) -> Next:
    left: Next | None = before.result if before is not None else None
    return left or {"countdown": 0, "kwargs": {"number": number}}


def _may_be_followed(job: Job) -> bool:
    if job.state != State.FAILED:
        return job.is_final
    ended = datetime.fromisoformat(job.finished_at) if job.finished_at else datetime.now(UTC)
    return (datetime.now(UTC) - ended).total_seconds() > FAILED_PAUSE_S


def _wake(name: str) -> None:
    for job_id in cast(list[str], store.client().hvals(_jobs(name))):
        delayed().wake(job_id)


def _jobs(name: str) -> str:
    """A hash: the job of each slot."""
    return f"{store.key_prefix()}polling:jobs:{name}"
