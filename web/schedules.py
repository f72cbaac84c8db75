"""``/schedules``: work on a clock, to be kept, looked at, changed, paused and run at once."""

from __future__ import annotations

from typing import Any

from flask import g

from platform.schedules import acts
from platform.schedules.definition import Definition
from platform.schedules.errors import UnknownSchedule
from platform.schedules.register import register
from platform.schedules.schedule import Schedule
from tasks import app
from tasks.signatures import Signature
from web.jobs import accepted, public_task
from web.routing import Routes
from web.schemas.jobs import JobAnswer
from web.schemas.paging import Paging, page_of
from web.schemas.schedules import ScheduleAnswer, ScheduleChange, SchedulePage, ScheduleRequest

# The ids are UUIDs, so that nothing else is a schedule.
routes = Routes(tag="Schedules")
ONE = "/schedules/<uuid:schedule_id>"


@routes.get("/schedules", query=Paging, answers={200: SchedulePage}, summary="List schedules, newest first")
def index(query: Paging) -> Any:
    """Your own; operators see everybody's, and those written in modules."""
    owner = None if g.caller.has_role("operator") else g.caller.account_id
    page = register().page(owner, query.offset, query.limit)
    return page_of([schedule.as_dict() for schedule in page.items], page.total, query)


@routes.post(
    "/schedules", body=ScheduleRequest, answers={201: ScheduleAnswer}, problems=(404, 409), summary="Add a schedule"
)
def add(body: ScheduleRequest) -> Any:
    """Only public tasks; each run is a job of yours, and the first comes the first time from now on.

    409 if one of yours has that name. With an Idempotency-Key a repeated request adds no other.
    """
    _check_call(body.task, body.args, body.kwargs)
    said = body.model_dump(exclude={"paused"})
    definition = Definition(**said, owner=g.caller.account_id, app_id=g.caller.app_id)
    schedule = acts.add(definition, g.caller.email, body.paused)
    return schedule.as_dict(), 201, {"Location": f"/schedules/{schedule.id}"}


@routes.get(ONE, answers={200: ScheduleAnswer}, problems=(404,), summary="One schedule")
def show(schedule_id: str) -> Any:
    """As it is now."""
    return _own(schedule_id).as_dict()


@routes.patch(ONE, body=ScheduleChange, answers={200: ScheduleAnswer}, problems=(404, 409), summary="Change a schedule")
def change(schedule_id: str, body: ScheduleChange) -> Any:
    """It holds for every run not yet handed out. Another cron, zone or interval counts from now on; otherwise the next
    run stays when it is. `paused` is as `pause` and `resume`. 409 for one written in a module, unless only `paused`
    is given, or if somebody else changed it at the same time.
    """
    given = _own(schedule_id).definition
    said = {name: getattr(body, name) for name in body.model_fields_set}
    if said.keys() & {"task", "args", "kwargs"}:
        called = {name: said.get(name, getattr(given, name)) for name in ("task", "args", "kwargs")}
        _check_call(called["task"], called["args"], called["kwargs"])
    return acts.change(schedule_id, g.caller.email, **said).as_dict()


@routes.delete(ONE, answers={204: None}, problems=(404, 409), summary="Remove a schedule")
def remove(schedule_id: str) -> Any:
    """It makes no run any more; the jobs it made stay. 409 for one written in a module."""
    _own(schedule_id)
    acts.remove(schedule_id, g.caller.email)
    return None, 204


@routes.post(f"{ONE}/pause", answers={200: ScheduleAnswer}, problems=(404, 409), summary="Pause a schedule")
def pause(schedule_id: str) -> Any:
    """It makes no run until it is resumed; jobs it made go on. One that is paused stays as it is."""
    _own(schedule_id)
    return acts.pause(schedule_id, g.caller.email).as_dict()


@routes.post(f"{ONE}/resume", answers={200: ScheduleAnswer}, problems=(404, 409), summary="Resume a schedule")
def resume(schedule_id: str) -> Any:
    """Its next run is the first time from now on; nothing of the pause is made up. One that is not paused stays so."""
    _own(schedule_id)
    return acts.resume(schedule_id, g.caller.email).as_dict()


@routes.post(f"{ONE}/run", answers={202: JobAnswer}, problems=(404, 409), summary="Run a schedule now")
def run(schedule_id: str) -> Any:
    """One run more, also of a paused one; its times stay. The job is the schedule's owner's.

    409 if the run before has not ended and `overlap` is `skip`, or if the task is unique and another job stands for it.
    """
    _own(schedule_id)
    job_id = acts.run(schedule_id, g.caller.email, app, getattr(g, "job_id", None) or "")
    return accepted(job_id, 0).as_dict(), 202, {"Location": f"/jobs/{job_id}"}


def _own(schedule_id: str) -> Schedule:
    """The schedule, if the caller may see it: another owner's answers like one that does not exist."""
    schedule = register().get(schedule_id)
    if schedule.definition.owner != g.caller.account_id and not g.caller.has_role("operator"):
        raise UnknownSchedule(schedule_id)
    return schedule


def _check_call(task: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    Signature(public_task(task).run, skip_first=False).check_call(args, kwargs)
