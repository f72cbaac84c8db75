"""One run on its way: an ordinary job of the app, recorded and handed out by the script that moves its schedule on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, cast

from platform import clock
from platform.endpoints import records_are_beside_queues
from platform.jobs.facts import NewJob
from platform.jobs.ledger import ledger
from platform.outbox import Posted, taking
from platform.schedules.entries import Call, Entry
from platform.schedules.errors import NotPublished
from platform.schedules.missed import Plan
from platform.schedules.register import NEVER, Register
from platform.schedules.schedule import Schedule
from platform.settings import settings
from platform.transport import key_prefix

Verdict = Literal["fired", "overlapped", "not_unique", "deposed", "gone", "changed"]
ASKED_FOR = Plan(run_ms=None, following_ms=None, missed=0)


@dataclass
class Outcome:
    """What became of a run: its job's id, or of one that ``overlapped`` or is ``not_unique`` that of the other job."""

    verdict: Verdict
    job_id: str


class Firing:
    """A run that is handed out in the term of a scheduler, or (``term`` empty) because somebody asked for it.

    Its job's id is made of the schedule's and of when it was due, so that the same run is the same job, whoever
    publishes it and however often.
    """

    def __init__(
        self, register: Register, schedule: Schedule, plan: Plan = ASKED_FOR, term: str = "", job_id: str = ""
    ):
        self.register, self.schedule, self.plan, self.term = register, schedule, plan, term
        self.job_id = job_id or self._own_id()
        self._outcome: Outcome | None = None

    def _own_id(self) -> str:
        due_ms = self.plan.run_ms
        return str(uuid.uuid5(uuid.UUID(self.schedule.id), str(due_ms)) if due_ms is not None else uuid.uuid4())

    def publish(self, app: Any, entry: Entry | None = None) -> Outcome:
        """Submit the job as any program would; ``entry`` is the module's, for a schedule written in code.

        Raises BrokerUnavailable, and whatever the app refuses a job with (an unknown queue, arguments that do not fit).
        """
        wanted = entry.call() if entry else self._wanted
        options = {**wanted.options, "task_id": self.job_id}
        options["headers"] = {**(options.get("headers") or {}), **self._headers}
        task = app.tasks.get(wanted.task)
        submit = task.apply_async if task is not None else (lambda *a, **k: app.send_task(wanted.task, *a, **k))
        with taking(self):
            submit(wanted.args, wanted.kwargs, **options)
        if self._outcome is None:
            raise NotPublished(f"the app published no job for {wanted.task}; is task_always_eager set?")
        return self._outcome

    @cached_property
    def _wanted(self) -> Call:
        given = self.schedule.definition
        options = {"queue": given.queue, "priority": given.priority}
        return Call(given.task, given.args, given.kwargs, {n: v for n, v in options.items() if v is not None})

    @property
    def _headers(self) -> dict[str, Any]:
        given, due_ms = self.schedule.definition, self.plan.run_ms
        due = clock.now_ms() if due_ms is None else due_ms
        said = {"schedule": self.schedule.id, "due_at": datetime.fromtimestamp(due / 1000, UTC).isoformat()}
        return said | ({"owner": given.owner, "app_id": given.app_id} if given.owner else {})

    # -- as the app's publishing calls it (``platform.outbox``)

    def takes(self, job: NewJob, is_waited_for: bool) -> bool:
        return job.job_id == self.job_id

    def add(self, posted: Posted) -> None:
        """Record the job, hand out its message and move the schedule on: one script call."""
        job, envelope = posted.job, posted.envelope
        ready_ms = job.ready_at_ms
        if ready_ms is None and not records_are_beside_queues():
            ready_ms = clock.now_ms()
        prefix = self.register.prefix
        new = ledger().creation(replace(job, ready_at_ms=ready_ms))
        message = (envelope.queue, envelope.priority, envelope.as_text(), prefix, *new)
        verdict, other = self.register.call("fire", *self._when(), _text(ready_ms), *message)
        self._outcome = Outcome(cast(Verdict, verdict), other or self.job_id)
        posted.tell()

    def _when(self) -> tuple[Any, ...]:
        given, plan = self.schedule.definition, self.plan
        # A run that was asked for has no term, takes the schedule as it is, and leaves its times alone.
        revision, next_ms = (self.schedule.revision, self.schedule.next_ms) if self.term else ("", None)
        times = (_text(next_ms), _text(plan.following_ms), clock.now_ms(), _text(plan.run_ms))
        rules = (plan.missed, given.overlap, settings().keep_cancelled_s * 1000, key_prefix(settings()))
        return (self.term, self.schedule.id, revision, *times, *rules)


def _text(moment_ms: int | None) -> str:
    return NEVER if moment_ms is None else str(moment_ms)
