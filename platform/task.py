"""The task class of the app: platform options, progress, cancellation, and the record of each run."""

from __future__ import annotations

import functools
import time
from typing import Any

from celery import Task as CeleryTask
from celery.exceptions import Ignore

from platform import endpoints
from platform.errors import JobCancelled
from platform.jobs.ledger import Delivery, NewJob, Refused, ledger
from platform.leases.names import held, incarnation_of
from platform.queues import DEFAULT_PRIORITY
from platform.settings import settings
from platform.transport import key_prefix

PROGRESS_INTERVAL_S = 0.2


class Task(CeleryTask):
    """What ``@app.task`` makes.

    ``public`` lets ``POST /jobs`` submit it. Every run is recorded before the task's code begins; a run of
    a job that was cancelled or has already ended is skipped.
    """

    Request = "platform.request:Request"
    public: bool = False
    default_queue: str | None = None
    default_priority: int = DEFAULT_PRIORITY

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "before_start" in cls.__dict__:
            cls.before_start = _recorded_first(cls.before_start)  # type: ignore[method-assign]

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Celery's hook just before the task's code; an override runs after the start is recorded."""
        _record_start(self, task_id)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report how far the job is; at most five reports a second are kept, and always the last.

        Raises JobCancelled once somebody has cancelled the job. Outside a worker it does nothing.
        """
        request = self.request
        attempt = getattr(request, "attempt", None)
        if attempt is None:
            return
        now = time.monotonic()
        request.withheld_progress = (done, total, message)
        is_last = total is not None and done >= total
        if not is_last and now - getattr(request, "progress_at", -1.0) < PROGRESS_INTERVAL_S:
            return
        request.progress_at, request.withheld_progress = now, None
        answer = ledger().progress(request.id, attempt, done, total, message)
        if isinstance(answer, Refused) or answer.is_cancel_requested:
            raise JobCancelled(request.id)

    def retry(self, *args: Any, max_retries: int | None = None, **kwargs: Any) -> Any:
        """Celery's ``retry``, honouring the ``max_retries`` a job was submitted with."""
        submitted_with = (self.request.headers or {}).get("max_retries")
        return super().retry(*args, max_retries=submitted_with if max_retries is None else max_retries, **kwargs)


def _recorded_first(override: Any) -> Any:
    @functools.wraps(override)
    def before_start(self: Task, task_id: str, args: Any, kwargs: Any) -> Any:
        _record_start(self, task_id)
        return override(self, task_id, args, kwargs)

    return before_start


def _record_start(task: Task, task_id: str) -> None:
    request = task.request
    if request.is_eager or request.called_directly or getattr(request, "attempt", None) is not None:
        return
    answer = ledger().start(described(task, task_id))
    if isinstance(answer, Refused):
        raise Ignore(f"job {task_id}: {answer.state}; this delivery of it is dropped")
    request.attempt = answer.attempt


def described(task: CeleryTask, task_id: str) -> NewJob:
    """What a running task's message says about its job."""
    request = task.request
    headers = request.headers or {}
    delivery = request.delivery_info or {}
    priority = delivery.get("priority")
    return NewJob(
        job_id=task_id,
        task=task.name,
        queue=delivery.get("routing_key") or "",
        priority=DEFAULT_PRIORITY if priority is None else priority,
        owner=headers.get("owner") or "",
        app_id=headers.get("app_id") or "",
        parent_id=request.parent_id or "",
        max_retries=headers.get("max_retries", task.max_retries),
        retries=request.retries or 0,
        delivery=_delivery(request),
    )


def _delivery(request: Any) -> Delivery:
    tag = str((request.properties or {}).get("delivery_tag", ""))
    redelivered = bool((request.delivery_info or {}).get("redelivered"))
    owner = incarnation_of(tag)
    return Delivery(
        held(_queue_prefix(), owner) if owner and endpoints.records_are_beside_queues() else "", tag, redelivered
    )


@functools.cache
def _queue_prefix() -> str:
    return key_prefix(settings())
