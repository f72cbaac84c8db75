"""Publishing: the job is recorded first, then its message is sent, so "pending" is known, not guessed.

One place for every way a task is submitted (``delay``, ``apply_async``, ``send_task``, canvas, retries, beat):
Celery's ``AMQP.send_task_message``. A signal would not do: Celery swallows a receiver's exception and
would send a message nobody recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from celery.app.amqp import AMQP as StockAMQP
from kombu.exceptions import OperationalError

from platform.errors import BrokerUnavailable
from platform.jobs.ledger import NewJob, ledger
from platform.queues import checked_priority

#: Custom headers that say whose job it is; a job's children inherit them.
OWNER_HEADERS = ("owner", "app_id")


class AMQP(StockAMQP):
    @cached_property
    def send_task_message(self) -> Callable[..., Any]:
        return self._recorded(self._create_task_sender())

    def _recorded(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            options["priority"] = self._priority(name, options)
            options["headers"] = self._with_owner(options.get("headers") or {})
            job = self._described(name, message, options)
            verdict = ledger().create(job)
            if verdict == "final":
                return None  # submitted again under an id whose job has ended
            try:
                return publish(producer, name, message, **options)
            except OperationalError as exc:
                self._take_back(job, verdict)
                raise BrokerUnavailable(f"the broker did not take the job: {exc}; try again shortly") from exc
            except Exception:
                self._take_back(job, verdict)
                raise

        return send_task_message

    @staticmethod
    def _take_back(job: NewJob, verdict: str) -> None:
        if verdict == "created":
            ledger().withdraw(job.job_id)

    def _priority(self, name: str, options: Mapping[str, Any]) -> int:
        asked = options.get("priority")
        return checked_priority(getattr(self.app.tasks.get(name), "default_priority", None) if asked is None else asked)

    def _with_owner(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        parent = self.app.current_worker_task
        inherited = (parent.request.headers or {}) if parent else {}
        return {key: inherited[key] for key in OWNER_HEADERS if key in inherited} | dict(headers)

    def _described(self, name: str, message: Any, options: Mapping[str, Any]) -> NewJob:
        headers = {**message.headers, **options["headers"]}
        queue = options.get("queue") or self.default_queue
        task = self.app.tasks.get(name)
        return NewJob(
            job_id=headers["id"],
            task=name,
            queue=queue if isinstance(queue, str) else queue.name,
            priority=options["priority"],
            owner=headers.get("owner") or "",
            app_id=headers.get("app_id") or "",
            parent_id=headers.get("parent_id") or "",
            max_retries=headers.get("max_retries", getattr(task, "max_retries", None)),
            retries=headers.get("retries") or 0,
            is_replacement=bool(headers.get("replaced_task_nesting")),
            ready_at_ms=future_ms(headers.get("eta")),
        )


def future_ms(eta: str | None) -> int | None:
    """An ISO 8601 time as milliseconds since 1970, if it is still to come."""
    if not eta:
        return None
    moment = datetime.fromisoformat(eta)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = int(moment.timestamp() * 1000)
    return milliseconds if milliseconds > datetime.now(UTC).timestamp() * 1000 else None
