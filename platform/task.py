"""The task class of the app: platform options, progress, cancellation, and the record of each run."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from celery import Task as CeleryTask
from celery.exceptions import Retry

from platform import clock, retries
from platform.delayed.due import due_ms
from platform.errors import JobCancelled
from platform.jobs.facts import Delivery, NewJob, Refused
from platform.jobs.ledger import ledger
from platform.jobs.states import State
from platform.leases import names
from platform.leases.holding import held_in, queue_prefix
from platform.limits import limits_of
from platform.queues import DEFAULT_PRIORITY
from platform.refusals import NotStarted
from platform.settings import settings
from platform.unique import Unique

PROGRESS_INTERVAL_S = 0.2
CANCELLED_INTERVAL_S = 0.2
#: Marks a message that a broker had delivered again and that was set aside since: published anew, it looks like new.
GIVEN_BACK_HEADER = "given_back"


class Task(CeleryTask):
    """What ``@app.task`` makes.

    ``public`` lets ``POST /jobs`` submit it. Every run is recorded before the task's code begins; a run of
    a job that was cancelled or has already ended is skipped. A run that raises is tried again ``max_retries`` times
    (3), later each time (``platform.retries``): ``autoretry_for`` narrows what for, ``max_retries=0`` is never,
    ``None`` without end. ``RetryLater`` and ``Discard`` steer it from inside.
    """

    Request = "platform.request:Request"
    public: bool = False
    default_queue: str | None = None
    default_priority: int = DEFAULT_PRIORITY
    #: Most jobs of the task running at once, of each value of ``limit_by`` (an argument's name, or a function of the
    #: arguments); so is Celery's ``rate_limit`` here: over all workers, ``10/s``, ``100/m``, ``5/h``.
    concurrency: int | None = None
    limit_by: str | Callable[..., Any] | None = None
    #: True, a ``Unique`` or a dict of its fields: of equal calls one is accepted at a time (``platform.unique``).
    unique: Unique | Mapping[str, Any] | bool | None = None
    autoretry_for: tuple[type[BaseException], ...] = (Exception,)
    dont_autoretry_for: tuple[type[BaseException], ...] = retries.NEVER_RETRIED
    #: Celery waits 180 s; None: exponential backoff with full jitter.
    default_retry_delay: float | None = None

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

    def cancelled(self) -> bool:
        """Whether somebody has cancelled the job under way, or the batch whose item this is.

        Asks the record at most five times a second.
        """
        request = self.request
        if (item := getattr(request, "batch_item", None)) is not None:
            return bool(item.stop_requested())
        if getattr(request, "attempt", None) is None:
            return False
        now = time.monotonic()
        if not getattr(request, "was_cancelled", False) and now - getattr(request, "asked_at", -1.0) > (
            CANCELLED_INTERVAL_S
        ):
            request.asked_at = now
            request.was_cancelled = bool(ledger().cancel_requests([request.id]))
        return bool(getattr(request, "was_cancelled", False))

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Any = None,
        throw: bool = True,
        eta: Any = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Celery's ``retry``, with the platform's backoff where no time is given.

        Honours the ``max_retries`` a job was submitted with, and raises ``exc`` itself where another try is hopeless.
        """
        request = self.request
        if exc is not None and retries.is_hopeless(self, exc, request.args, request.kwargs):
            raise exc
        if getattr(request, "batch_item", None) is not None:
            raise Retry(exc=exc, when=_wait_s(countdown, eta))  # told by platform.batches.running
        if getattr(request, "attempt", None) is not None and ledger().cancel_requests([request.id]):
            raise JobCancelled(request.id)
        if max_retries is None:
            max_retries = (request.headers or {}).get("max_retries", self.max_retries)
        if isinstance(exc, MemoryError):  # as dangerous as a death, so tried no more often
            most = settings().max_deaths - 1
            max_retries = most if max_retries is None else min(max_retries, most)
        if eta is None and countdown is None:
            countdown = retries.delay_s(request.retries or 0, exc, self.default_retry_delay)
        try:
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        finally:
            # Celery leaves the number on the task, where the next job in this process would find it.
            self.__dict__.pop("override_max_retries", None)


def _wait_s(countdown: float | None, eta: Any) -> float | None:
    if countdown is None and eta is None:
        return None
    due = due_ms(countdown, eta)
    return 0.0 if due is None else (due - clock.now_ms()) / 1000


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
    answer = getattr(request, "answer", None) or ledger().start(described(task, request))  # platform.stages.running
    if isinstance(answer, Refused):
        if answer.state == State.CANCELLED:
            task.backend.end_followers(request, JobCancelled(task_id))
        raise NotStarted(task_id, answer.state, answer.limit)
    request.attempt = answer.attempt


def described(task: CeleryTask, request: Any) -> NewJob:
    """What the message of a task about to run says about its job."""
    headers = request.headers or {}
    delivery = request.delivery_info or {}
    priority = delivery.get("priority")
    return NewJob(
        job_id=request.id,
        task=task.name,
        queue=delivery.get("routing_key") or "",
        priority=DEFAULT_PRIORITY if priority is None else priority,
        owner=headers.get("owner") or "",
        app_id=headers.get("app_id") or "",
        parent_id=request.parent_id or "",
        max_retries=headers.get("max_retries", task.max_retries),
        retries=request.retries or 0,
        delivery=_delivery(request, task.acks_late),
        limits=limits_of(task, request.args or (), request.kwargs or {}),
    )


def _delivery(request: Any, is_acknowledged_late: bool) -> Delivery:
    tag = str((request.properties or {}).get("delivery_tag", ""))
    was_set_aside = bool((request.headers or {}).get(GIVEN_BACK_HEADER))
    redelivered = was_set_aside or bool((request.delivery_info or {}).get("redelivered"))
    has_lease = names.incarnation_of(tag) is not None
    hearts = "" if has_lease else names.heartbeat(queue_prefix(), "")
    held = held_in(tag) if is_acknowledged_late else ""  # else it is over before the task begins
    return Delivery(held, tag, redelivered, names.own(), hearts)
