"""Publishing: the job is recorded with its message, or before it, so "pending" is known, not guessed.

Where records and queues are on one server, one script call writes both or neither.

One place for every way a task is submitted (``delay``, ``apply_async``, ``send_task``, canvas, retries, beat):
Celery's ``AMQP.send_task_message``. A signal would not do: Celery swallows a receiver's exception and
would send a message nobody recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from celery.app.amqp import AMQP as StockAMQP
from kombu.exceptions import OperationalError

from platform.endpoints import records_are_beside_queues
from platform.errors import BrokerUnavailable
from platform.jobs.ledger import NewJob, ledger
from platform.leases.riding import riding
from platform.queues import DEAD_LETTER, checked_priority
from platform.serialization import NAME
from platform.store import AWAY

#: Custom headers that say whose job it is; a job's children inherit them.
OWNER_HEADERS = ("owner", "app_id")


class Record:
    """A job on its way into the ledger: with its message where it can, else before it."""

    def __init__(self, job: NewJob):
        self.job = job
        self.verdict: str | None = None

    def alone(self) -> None:
        self.verdict = ledger().create(self.job)

    def with_message(self, client: Any, queue_list: str, bell: str, message: str) -> None:
        self.verdict = ledger().submit(client, queue_list, bell, message, self.job)

    def published_by(self, publish: Callable[[], Any]) -> Any:
        """Publish; a record written before is taken back if that fails. Raises BrokerUnavailable."""
        was_written = self.verdict == "created"
        try:
            with nullcontext() if self.verdict else riding(self):
                answer = publish()
        except Exception as exc:
            if was_written:
                ledger().withdraw(self.job.job_id)
            if isinstance(exc, (OperationalError, *AWAY)):
                raise BrokerUnavailable(f"the broker did not take the job: {exc}; try again shortly") from exc
            raise
        if self.verdict is None:  # the message went a way on which no record rides
            self.alone()
        return answer


class AMQP(StockAMQP):
    @cached_property
    def send_task_message(self) -> Callable[..., Any]:
        return self._recorded(self._create_task_sender())

    def _recorded(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            options["priority"] = self._priority(name, options)
            _refuse_what_no_worker_takes(options)
            options["headers"] = self._with_owner(options.get("headers") or {})
            ledger()  # starts the embedded server, if it is used and nobody has
            record = Record(self._described(name, message, options))
            if records_are_beside_queues():
                options.setdefault("declare", [])  # a list in Redis needs no declaring; it would be 0.15 ms a message
            else:
                record.alone()
            if record.verdict == "final":
                return None
            return record.published_by(lambda: publish(producer, name, message, **options))

        return send_task_message

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


def _refuse_what_no_worker_takes(options: Mapping[str, Any]) -> None:
    """Raises ValueError: such a message would be recorded and never run."""
    queue = options.get("queue")
    if getattr(queue, "name", queue) == DEAD_LETTER:
        raise ValueError("the queue dead-letter takes no jobs")
    if options.get("serializer") not in (None, NAME, "json"):
        raise ValueError(f"serializer {options['serializer']!r} is refused by every worker; leave it out")


def future_ms(eta: str | None) -> int | None:
    """An ISO 8601 time as milliseconds since 1970, if it is still to come."""
    if not eta:
        return None
    moment = datetime.fromisoformat(eta)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = int(moment.timestamp() * 1000)
    return milliseconds if milliseconds > datetime.now(UTC).timestamp() * 1000 else None
