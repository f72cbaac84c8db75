"""Publishing: the job is recorded with its message, or before it, so "pending" is known, not guessed.

Where records and queues are on one server, one script call writes both or neither. A message that has a time to wait
for goes to no queue yet but to the durable schedule, with its record, in one call on every broker.

One place for every way a task is submitted (``delay``, ``apply_async``, ``send_task``, canvas, retries, beat):
Celery's ``AMQP.send_task_message``. A signal would not do: Celery swallows a receiver's exception and
would send a message nobody recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from celery.app.amqp import AMQP as StockAMQP
from celery.signals import after_task_publish
from kombu import Producer
from kombu.exceptions import OperationalError

from platform.delayed.due import due_ms
from platform.delayed.schedule import delayed
from platform.endpoints import records_are_beside_queues
from platform.envelope import Envelope
from platform.errors import BrokerUnavailable, NotUnique, QueueMadeOtherwise
from platform.jobs.facts import NewJob
from platform.jobs.ledger import ledger
from platform.leases.riding import riding
from platform.outbox import Posted
from platform.outbox import current as current_taker
from platform.queues import DEAD_LETTER, checked_priority, is_made_otherwise
from platform.serialization import NAME
from platform.settings import settings
from platform.store import AWAY
from platform.unique import Lock, lock_of

log = logging.getLogger(__name__)

#: The option by which the submission of a unique task's job comes here.
UNIQUE = "unique_submission"
#: Custom headers that say whose job it is; a job's children inherit them.
OWNER_HEADERS = ("owner", "app_id")


@dataclass
class UniqueSubmission:
    """What becomes of a unique task's job that is submitted.

    ``is_awaited``: its id was given to somebody who waits by it, as a member of a chain, group or chord.
    ``conflict`` is set where nothing was accepted. It is not raised: kombu would close the connection it was given.
    """

    is_awaited: bool = False
    conflict: NotUnique | None = None


class Record:
    """A job on its way into the ledger: with its message where it can, else before it."""

    def __init__(self, job: NewJob):
        self.job = job
        self.verdict: str | None = None
        self.is_beside = True

    def alone(self) -> None:
        self.verdict, self.is_beside = ledger().create(self.job), False

    def with_message(self, client: Any, queue_list: str, bell: str, message: str) -> None:
        self.verdict = ledger().submit(client, queue_list, bell, message, self.job)

    def published_by(self, publish: Callable[[], Any]) -> Any:
        """Publish; a record written before is taken back if that fails. Raises BrokerUnavailable, NotUnique."""
        was_written = self.verdict == "created"
        try:
            with nullcontext() if self.verdict else riding(self):
                answer = publish()
        except Exception as exc:
            if was_written:
                ledger().withdraw(self.job.job_id)
            if is_made_otherwise(exc):
                raise QueueMadeOtherwise(settings().queue_type, str(exc)) from exc
            if isinstance(exc, (OperationalError, *AWAY)):
                raise BrokerUnavailable(f"the broker did not take the job: {exc}; try again shortly") from exc
            raise
        if self.verdict is None:  # the message went a way on which no record rides, and cannot be refused any more
            self.job = replace(self.job, lock=None)
            self.alone()
        if self.job.lock and not self.is_beside:
            self._tell_published()
        return answer

    def _tell_published(self) -> None:
        try:
            ledger().published(self.job.job_id)
        except BrokerUnavailable as exc:  # the job is in its queue: its submitter must not be told that it is not
            log.warning("job %s is published, but may not stand for its equals: %s", self.job.job_id, exc)


class Delaying(Producer):
    """Publishes nothing: a message, as the bytes it would have been on the wire, is given to ``keep``.

    What follows it (Celery's ``task-sent`` event) goes through the producer the caller had. Needs no connection.
    """

    def __init__(self, keep: Callable[[Envelope], Any], otherwise: Producer):
        super().__init__(None, auto_declare=False)
        self._keep, self._otherwise, self._has_kept = keep, otherwise, False

    def publish(self, body: Any, *args: Any, **options: Any) -> Any:
        if self._has_kept:
            return self._otherwise.publish(body, *args, **options)
        self._has_kept = True
        return super().publish(body, *args, **options)

    def _publish(
        self,
        body: Any,
        priority: int,
        content_type: str,
        content_encoding: str,
        headers: dict[str, Any],
        properties: dict[str, Any],
        routing_key: str,
        mandatory: bool,
        immediate: bool,
        exchange: str,
        *_: Any,
    ) -> None:
        if exchange:
            raise ValueError(f"a job for exchange {exchange!r} cannot be delayed; name its queue instead")
        raw = body.encode() if isinstance(body, str) else bytes(body)
        properties = properties | {"priority": priority}
        self._keep(Envelope(raw, headers, content_type, content_encoding, properties, routing_key))


class Kept(Exception):
    """The message is kept: what Celery does once one is published comes later."""


class Collecting(Delaying):
    """Gives away one message and ends the call that publishes it."""

    def publish(self, body: Any, *args: Any, **options: Any) -> Any:
        super().publish(body, *args, **options)
        raise Kept


class AMQP(StockAMQP):
    @cached_property
    def send_task_message(self) -> Callable[..., Any]:
        return self._recorded(self._create_task_sender())

    def _recorded(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            options["priority"] = self._priority(name, options)
            _refuse_what_no_worker_takes(options)
            options.pop("expiration", None)  # by it RabbitMQ drops in silence; a worker goes by the header ``expires``
            submission = options.pop(UNIQUE, None)
            options["headers"] = self._with_owner(options.get("headers") or {})
            ledger()  # starts the embedded server, if it is used and nobody has
            job = self._described(name, message, options, _taken_time(message, options))
            try:
                return send(job, producer, message, options, _is_waited_for(submission, message))
            except NotUnique as exc:
                if submission is None:
                    raise
                if _is_waited_for(submission, message):
                    self.app.backend.end_unpublished(job, message, exc)
                else:
                    submission.conflict = exc
                return None

        def send(job: NewJob, producer: Any, message: Any, options: dict[str, Any], is_waited_for: bool) -> Any:
            taker = current_taker()
            if taker is not None and taker.takes(job, is_waited_for):
                tell = partial(self._tell_published, job, message)
                waiting: Delaying = Collecting(lambda e: taker.add(Posted(job, e, partial(tell, e))), producer)
                with suppress(Kept):
                    publish(waiting, job.task, message, **options | {"retry": False})
                return None
            if job.ready_at_ms is not None:
                waiting = Delaying(lambda envelope: delayed().submit(job, envelope), producer)
                return publish(waiting, job.task, message, **options | {"retry": False})
            record = Record(job)
            if records_are_beside_queues():
                options.setdefault("declare", [])  # a list in Redis needs no declaring; it would be 0.15 ms a message
            else:
                record.alone()
            if record.verdict == "final":
                return None
            return record.published_by(lambda: publish(producer, job.task, message, **options))

        return send_task_message

    def _tell_published(self, job: NewJob, message: Any, envelope: Envelope) -> None:
        """What Celery's own function does after ``publish``, for a message that was published later."""
        where = {"exchange": "", "routing_key": envelope.queue}
        after_task_publish.send(sender=job.task, body=message.body, headers=message.headers, **where)
        if message.sent_event:
            event = message.sent_event | where | {"queue": envelope.queue}
            with self.app.producer_or_acquire() as producer:
                self._event_dispatcher.publish("task-sent", event, producer)

    def _priority(self, name: str, options: Mapping[str, Any]) -> int:
        asked = options.get("priority")
        return checked_priority(getattr(self.app.tasks.get(name), "default_priority", None) if asked is None else asked)

    def _with_owner(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        parent = self.app.current_worker_task
        inherited = (parent.request.headers or {}) if parent else {}
        return {key: inherited[key] for key in OWNER_HEADERS if key in inherited} | dict(headers)

    def _described(self, name: str, message: Any, options: Mapping[str, Any], ready_at_ms: int | None) -> NewJob:
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
            ready_at_ms=ready_at_ms,
            lock=_lock(task, message, headers) if getattr(task, "unique", None) else None,
        )


def _is_waited_for(submission: UniqueSubmission | None, message: Any) -> bool:
    """By whoever has the id already, or by a callback, the rest of a chain, a chord."""
    return submission is not None and (submission.is_awaited or any(message.body[2].values()))


def _lock(task: Any, message: Any, headers: Mapping[str, Any]) -> Lock | None:
    """What a unique task's new job claims; another try, or a job another task was put in place of, has what it has."""
    if headers.get("retries") or headers.get("replaced_task_nesting"):
        return None
    expires = headers.get("expires")
    expires_ms = int(datetime.fromisoformat(expires).timestamp() * 1000) if expires else None
    args, kwargs, _ = message.body
    return lock_of(task, headers.get("app_id") or "", args, kwargs, expires_ms)


def _refuse_what_no_worker_takes(options: Mapping[str, Any]) -> None:
    """Raises ValueError: such a message would be recorded and never run."""
    queue = options.get("queue")
    if getattr(queue, "name", queue) == DEAD_LETTER:
        raise ValueError("the queue dead-letter takes no jobs")
    if options.get("serializer") not in (None, NAME, "json"):
        raise ValueError(f"serializer {options['serializer']!r} is refused by every worker; leave it out")


def _taken_time(message: Any, options: dict[str, Any]) -> int | None:
    """When the job is due, or None; taken out of the message, which will be run at once when it is delivered."""
    asked = options.pop("due_ms", None)  # platform.celery
    eta = message.headers.get("eta")  # of a message made without ``send_task``
    if eta is None:
        return asked
    message.headers["eta"] = None
    return asked or due_ms(eta=eta)
