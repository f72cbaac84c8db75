"""``/jobs``: submit, list, look at, wait for, cancel."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC
from functools import cache
from typing import Any

from flask import g

from platform.delayed.due import UnusableTime
from platform.errors import NotUnique, UnknownJob, did_you_mean
from platform.jobs.ledger import ledger
from platform.jobs.record import Job, from_hash
from platform.jobs.states import State
from platform.queues import DEAD_LETTER, names
from platform.settings import settings
from tasks import app
from tasks.signatures import Signature
from web.identity import Caller
from web.preferences import wait_seconds
from web.problems import AWAY, Problem
from web.routing import Routes
from web.schemas.jobs import JobAnswer, JobFilter, JobPage, JobRequest, WaitQuery
from web.schemas.paging import page_of
from web.waiting import wait_for

routes = Routes(tag="Jobs")


@routes.post(
    "/jobs", body=JobRequest, answers={202: JobAnswer, 200: JobAnswer}, problems=(404, 409), summary="Submit a job"
)
def submit(body: JobRequest) -> Any:
    """Only tasks marked public can be submitted. With `Prefer: wait=N` the answer is 200 if the job ended in time.

    Of a unique task it may be the job that stands for this call already; 409 if that is another's, or it is rejected.
    """
    task = public_task(body.task)
    signature_of(task).check_call(body.args, body.kwargs)
    options = submission() if body.max_retries is None else submission(max_retries=body.max_retries)
    options |= checked_options(body)
    try:
        job_id = submitted(task, body.args, body.kwargs, **options)
    except UnusableTime as exc:
        raise Problem(422, "the body does not fit", errors=[{"loc": ["body", "eta"], "msg": str(exc)}]) from exc
    except OverflowError as exc:
        raise Problem(422, "the body does not fit", errors=[{"loc": ["body", "expires"], "msg": str(exc)}]) from exc
    return answer_with(job_id, wait_seconds(0))


@routes.get("/jobs", query=JobFilter, answers={200: JobPage}, summary="List jobs, newest first")
def index(query: JobFilter) -> Any:
    """Your own; operators see everybody's."""
    state = State(query.state) if query.state else None
    owner = None if g.caller.has_role("operator") else g.caller.account_id
    page = ledger().list(
        state=state, queue=query.queue, task=query.task, owner=owner, offset=query.offset, limit=query.limit
    )
    return page_of([job.as_dict() for job in page.items], page.total, query)


@routes.get("/jobs/<job:job_id>", query=WaitQuery, answers={200: JobAnswer}, problems=(404,), summary="One job")
def show(job_id: str, query: WaitQuery) -> Any:
    """With `?wait=s` the answer comes when the job has ended, or after s seconds."""
    own_job(job_id)
    return wait_for(job_id, query.wait).as_dict()


@routes.delete(
    "/jobs/<job:job_id>",
    answers={200: JobAnswer, 202: JobAnswer},
    problems=(404, 409),
    summary="Cancel a job",
)
def cancel(job_id: str) -> Any:
    """200: it will never run. 202: it is running and was asked to stop; after a grace period it is stopped."""
    own_job(job_id)
    verdict = ledger().cancel(job_id)
    job = ledger().get(job_id)
    if verdict == "final":
        raise Problem(409, f"the job is {job.state} already")
    if verdict == "asked":
        return job.as_dict(), 202
    return job.as_dict(), 200


def submitted(task: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> str:
    """The id of the job now under way for a call: a new one, or of a unique task the one that stands for it.

    Raises Problem 409 where that is another's, or where the task's rule is to reject.
    """
    if not task.unique:
        return task.apply_async(args, kwargs, **options).id
    own_id = options.setdefault("task_id", str(uuid.uuid4()))
    try:
        job_id = task.apply_async(args, kwargs, **options).id
    except NotUnique as exc:
        raise _rejected(exc) from exc
    return job_id if job_id == own_id else visible(job_id)


def visible(job_id: str) -> str:
    try:
        return own_job(job_id).job_id
    except UnknownJob as exc:
        raise Problem(409, "the task is unique, and another job stands for this call") from exc


def _rejected(conflict: NotUnique) -> Problem:
    return Problem(409, str(conflict), headers={"Location": f"/jobs/{visible(conflict.job_id)}"})


def answer_with(job_id: str, wait_s: float) -> Any:
    """202 the job; 200 only for a caller that asked to wait and whose job ended in that time."""
    job = accepted(job_id, wait_s)
    status = 200 if wait_s > 0 and job.is_final else 202
    return job.as_dict(), status, {"Location": f"/jobs/{job_id}"}


def accepted(job_id: str, wait_s: float) -> Job:
    """A job just submitted, waited for. If the record store goes away meanwhile it stays accepted: no 503 now."""
    try:
        return wait_for(job_id, wait_s)
    except AWAY:
        return from_hash(job_id, {"state": State.PENDING, "owner": g.caller.account_id, "app_id": g.caller.app_id})


def own_job(job_id: str) -> Job:
    """The job, if the caller may see it: another owner's job answers like one that does not exist."""
    job = ledger().get(job_id)
    caller: Caller = g.caller
    if job.owner != caller.account_id and not caller.has_role("operator"):
        raise UnknownJob(job_id)
    return job


def public_task(name: str) -> Any:
    """Raises Problem 404; one that exists but is not public looks the same as one that does not."""
    task = app.tasks.get(name)
    if not getattr(task, "public", False):
        public = [known for known, task in app.tasks.items() if getattr(task, "public", False)]
        raise Problem(404, f"there is no public task {name!r}{did_you_mean(name, public)}")
    return task


@cache
def signature_of(task: Any) -> Signature:
    return Signature(task.run, skip_first=False)


def submission(**headers: Any) -> dict[str, Any]:
    """What ``apply_async`` is told of this request: whose job it is (children inherit that), and its id.

    The id is chosen only where the request has an Idempotency-Key: the same key then makes the same job.
    """
    owner = {"owner": g.caller.account_id, "app_id": g.caller.app_id}
    job_id = getattr(g, "job_id", None)
    return {"headers": owner | headers} | ({"task_id": job_id} if job_id else {})


def checked_options(body: JobRequest) -> dict[str, Any]:
    """What ``apply_async`` is told of one job, beside its arguments. Raises Problem 422."""
    if body.countdown is not None and body.eta is not None:
        raise Problem(
            422, "the body does not fit", errors=[{"loc": ["body", "eta"], "msg": "give countdown or eta, not both"}]
        )
    if body.eta is not None and body.eta.tzinfo is None:
        body.eta = body.eta.replace(tzinfo=UTC)
    given = {"queue": _queue(body.queue), "priority": body.priority, "countdown": body.countdown, "eta": body.eta,
             "expires": body.expires}  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _queue(name: str | None) -> str | None:
    if name is None:
        return None
    known = [queue for queue in names(settings()) if queue != DEAD_LETTER]
    if name not in known:
        message = f"there is no queue {name!r}{did_you_mean(name, known)}"
        raise Problem(422, "the body does not fit", errors=[{"loc": ["body", "queue"], "msg": message}])
    return name
