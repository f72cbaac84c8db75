"""What people may do to schedules, each act with its line in the audit trail.

HTTP and the command line are thin over these. Raises what the acts themselves raise, and DatabaseUnavailable before
anything is done.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from platform import clock, trail
from platform.errors import NotUnique
from platform.schedules.definition import Definition, checked
from platform.schedules.entries import entries_of
from platform.schedules.errors import StillRunning, WrittenInCode
from platform.schedules.firing import Firing
from platform.schedules.register import register
from platform.schedules.schedule import Schedule

SAID = ("name", "task", "args", "kwargs", "queue", "priority", "cron", "every_s", "timezone", "missed", "overlap")


def add(definition: Definition, actor: str, is_paused: bool = False) -> Schedule:
    """The schedule as it is kept. Raises BadSchedule, NameTaken, TooManySchedules."""
    now_ms, schedule_id = clock.now_ms(), str(uuid.uuid4())
    made = checked(replace(definition, created_ms=now_ms, anchor_ms=now_ms))
    with trail.recorded(actor, "schedule.add", schedule_id, _said(made) | {"paused": is_paused}):
        return register().add(schedule_id, made, is_paused)


def change(schedule_id: str, actor: str, paused: bool | None = None, **changes: Any) -> Schedule:
    """What is not given stays; ``paused`` alone is ``pause`` or ``resume``, possible also for one written in code.

    Raises UnknownSchedule, WrittenInCode, BadSchedule, NameTaken, ChangedMeanwhile.
    """
    if paused is not None and not changes:
        return pause(schedule_id, actor) if paused else resume(schedule_id, actor)
    before = _own(schedule_id)
    after = checked(before.definition.changed(clock.now_ms(), **changes))
    is_paused = before.is_paused if paused is None else paused
    was = _said(before.definition) | {"paused": before.is_paused}
    now = _said(after) | {"paused": is_paused}
    differing = [name for name in now if was[name] != now[name]]
    details = {"before": {n: was[n] for n in differing}, "after": {n: now[n] for n in differing}}
    with trail.recorded(actor, "schedule.change", schedule_id, details):
        return register().change(before, after, is_paused)


def remove(schedule_id: str, actor: str) -> None:
    """Raises UnknownSchedule, WrittenInCode."""
    schedule = _own(schedule_id)
    with trail.recorded(actor, "schedule.remove", schedule_id, _said(schedule.definition)):
        register().remove(schedule)


def pause(schedule_id: str, actor: str) -> Schedule:
    """Raises UnknownSchedule, ChangedMeanwhile."""
    schedule = register().get(schedule_id)
    with trail.recorded(actor, "schedule.pause", schedule_id, {"name": schedule.definition.name}):
        return register().pause(schedule)


def resume(schedule_id: str, actor: str) -> Schedule:
    """Raises UnknownSchedule, ChangedMeanwhile."""
    schedule, now_ms = register().get(schedule_id), clock.now_ms()
    given = schedule.definition
    with trail.recorded(actor, "schedule.resume", schedule_id, {"name": given.name}):
        # When one is due that says no time here, the scheduler that acts finds out.
        return register().resume(schedule, given.timing.after(now_ms) if given.is_timed else now_ms)


def run(schedule_id: str, actor: str, app: Any, job_id: str = "") -> str:
    """Submit a run now, also of a paused one; its times stay. Returns the job's id.

    Raises UnknownSchedule, StillRunning where runs may not overlap, NotUnique.
    """
    schedule = register().get(schedule_id)
    with trail.recorded(actor, "schedule.run", schedule_id, {"name": schedule.definition.name}):
        outcome = Firing(register(), schedule, job_id=job_id).publish(app, entries_of(app).get(schedule_id))
        if outcome.verdict == "overlapped":
            raise StillRunning(schedule_id, outcome.job_id)
        if outcome.verdict == "not_unique":
            raise NotUnique(f"{schedule.definition.task} is unique, and job {outcome.job_id} stands", outcome.job_id)
    return outcome.job_id


def _own(schedule_id: str) -> Schedule:
    schedule = register().get(schedule_id)
    if schedule.definition.source == "code":
        raise WrittenInCode(schedule.definition.name)
    return schedule


def _said(definition: Definition) -> dict[str, Any]:
    return {name: getattr(definition, name) for name in SAID}
