"""Schedules and whoever acts on them: that somebody does, in time, and that what they run is there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from platform.audit.finding import Finding, error, warning
from platform.audit.subject import Subject
from platform.queues import names
from platform.schedules.election import schedulers
from platform.schedules.missed import LATE_MS
from platform.schedules.register import Register
from platform.schedules.schedule import Schedule

START = "celery -A platform beat, or `up`, which starts one"
LOOKED_AT, SHOWN = 500, 4


def nobody_acts(subject: Subject) -> Iterator[Finding]:
    register = _register(subject)
    if register is None or any(one.acting for one in schedulers(register)):
        return
    if waiting := register.counts(LATE_MS)["active"]:
        yield error(
            "no-scheduler",
            f"{_schedules(waiting)} and no scheduler acts",
            "nothing is run on a clock until one does",
            START,
        )
    elif subject.app.conf.beat_schedule:
        yield warning(
            "no-scheduler",
            f"modules have {_schedules(len(subject.app.conf.beat_schedule))} in beat_schedule and no scheduler acts",
            "nothing is run on a clock until one does",
            START,
        )


def overdue(subject: Subject) -> Iterator[Finding]:
    register = _register(subject)
    if register is None or not any(one.acting for one in schedulers(register)):
        return
    if late := register.counts(LATE_MS)["overdue"]:
        yield error(
            "schedules-overdue",
            f"{_schedules(late)} late by more than {LATE_MS // 1000} s, though a scheduler acts",
            "it is stuck at them, or has more to do than it can",
            "read beat's log; spread schedules that are due at the same minute",
        )


def failing(subject: Subject) -> Iterator[Finding]:
    """Those whose last run made no job."""
    found = [one for one in _some(subject) if one.last_error]
    for schedule in islice(found, SHOWN):
        yield warning(
            "schedule-fails",
            f"the last run of schedule {schedule.definition.name} made no job: {schedule.last_error}",
            "it fails in the same way each time it is due",
            f"correct it, or celery -A platform schedules rm {schedule.id}",
        )


def lost(subject: Subject) -> Iterator[Finding]:
    """Those whose task or queue is not there any more; of modules' own tells another check."""
    known, queues = {task.name for task in subject.tasks}, names(subject.config)
    for schedule in _some(subject):
        given = schedule.definition
        if given.source == "code" or schedule.is_paused:
            continue
        if given.task not in known:
            yield error(
                "schedule-of-unknown-task",
                f"schedule {given.name} runs {given.task!r}, which no module defines",
                "each time is a message that no worker can run",
                f"add the task's module to PLATFORM_IMPORTS, or celery -A platform schedules rm {schedule.id}",
            )
        if given.queue is not None and given.queue not in queues:
            yield error(
                "schedule-to-unknown-queue",
                f"schedule {given.name} goes to the queue {given.queue!r}, which there is not",
                "it makes no job, each time again",
                f"add it to PLATFORM_QUEUES, or celery -A platform schedules rm {schedule.id}",
            )


CHECKS = (nobody_acts, overdue, failing, lost)


def _register(subject: Subject) -> Register | None:
    return Register(subject.records.client, subject.record_prefix) if subject.records else None


def _some(subject: Subject) -> list[Schedule]:
    register = _register(subject)
    return register.page(limit=LOOKED_AT).items if register else []


def _schedules(number: int) -> str:
    return "1 schedule" if number == 1 else f"{number} schedules"
