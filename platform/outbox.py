"""Messages of many jobs, published together: records and messages in one round trip where they share a server.

``with collecting() as outbox:`` round calls of ``apply_async``: what they would publish at once is kept; ``send`` does
it, and then tells Celery's ``after_task_publish``. A job that has to wait for its time, or is unique, is published by
itself as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from celery import current_app
from kombu.exceptions import OperationalError

from platform.endpoints import records_are_beside_queues
from platform.envelope import Envelope
from platform.errors import BrokerUnavailable
from platform.jobs.facts import NewJob
from platform.jobs.ledger import ledger
from platform.queueing import place
from platform.store import AWAY

#: Of one round trip: the server runs them all before it answers anybody else, 0.1 ms each.
MOST_AT_ONCE = 100


@dataclass(frozen=True)
class Posted:
    """A job with its message; ``tell`` says to Celery's signals that it is published."""

    job: NewJob
    envelope: Envelope
    tell: Callable[[], None]


class Taker(Protocol):
    """Takes jobs with their messages instead of the broker (``taking``)."""

    def takes(self, job: NewJob, is_waited_for: bool) -> bool:
        """Whether it takes this one; another goes its usual way.

        ``is_waited_for``: somebody is to be told now if a unique one is not accepted.
        """

    def add(self, posted: Posted) -> None: ...


class Outbox:
    """Jobs with their messages, in the order they were submitted."""

    def __init__(self) -> None:
        self._waiting: list[Posted] = []

    def takes(self, job: NewJob, is_waited_for: bool) -> bool:
        return job.lock is None and job.ready_at_ms is None

    def add(self, posted: Posted) -> None:
        self._waiting.append(posted)

    def taken(self) -> list[Posted]:
        """What was added, for whoever publishes it instead."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def send(self) -> None:
        """Publish what was added, all of it or, if that fails, an unknown part; adding and sending it again is safe.

        A job whose id is on record as published or ended is not published a second time. Raises BrokerUnavailable.
        """
        waiting = self.taken()
        send = _send_with_records if records_are_beside_queues() else _send_after_records
        for first in range(0, len(waiting), MOST_AT_ONCE):
            some = waiting[first : first + MOST_AT_ONCE]
            send([(posted.job, posted.envelope) for posted in some])
            for posted in some:
                posted.tell()


_current: ContextVar[Taker | None] = ContextVar("outbox", default=None)


def current() -> Taker | None:
    """Who takes what is published here, if there is anybody."""
    return _current.get()


@contextmanager
def taking(taker: Taker) -> Iterator[None]:
    """Within it nothing is sent that the taker takes."""
    token = _current.set(taker)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def collecting(into: Outbox | None = None) -> Iterator[Outbox]:
    """Within it nothing is sent but what the outbox is told to send; what was not is forgotten."""
    outbox = into or Outbox()
    with taking(outbox):
        yield outbox


def _send_with_records(waiting: list[tuple[NewJob, Envelope]]) -> None:
    jobs = []
    for job, envelope in waiting:
        queue_list = place.lists(envelope.queue)[envelope.priority]
        jobs.append((job, queue_list, place.bell(envelope.queue), envelope.as_text()))
    ledger().submit_all(jobs)


def _send_after_records(waiting: list[tuple[NewJob, Envelope]]) -> None:
    verdicts = ledger().create_all([job for job, _ in waiting])
    unsent = [(job, envelope, verdict) for (job, envelope), verdict in zip(waiting, verdicts, strict=True)]
    try:
        with current_app.producer_pool.acquire(block=True) as producer:
            while unsent:
                job, envelope, verdict = unsent[0]
                if verdict != "final":
                    publish_one(producer, envelope)
                unsent.pop(0)
    except (OperationalError, OSError, *AWAY) as exc:
        for job, _, verdict in unsent:
            if verdict == "created":
                ledger().withdraw(job.job_id)
        raise BrokerUnavailable(f"the broker did not take {len(unsent)} jobs: {exc}; try again shortly") from exc


def publish_one(producer: Any, envelope: Envelope) -> None:
    """As Celery would publish a job's message, its queue declared."""
    conf = current_app.conf
    declared = current_app.amqp.queues.get(envelope.queue)
    envelope.publish(
        producer,
        declare=[declared] if declared else [],
        retry=conf.task_publish_retry,
        retry_policy=conf.task_publish_retry_policy,
    )
