"""``POST /jobs/bulk``: thousands of jobs in one request, all or none."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from flask import g

from platform.bulk.calls import Reader
from platform.bulk.report import BulkFailed
from platform.bulk.submission import Submission
from platform.delayed.due import UnusableTime
from platform.errors import NotUnique
from tasks import app
from tasks.signatures import InvalidArguments
from web.jobs import checked_options, public_task, routes, signature_of, visible
from web.problems import Problem
from web.schemas.jobs import BulkAnswer, BulkRequest, JobRequest

#: Of what does not fit; the rest would say the same.
MOST_ERRORS = 100
#: Entries after which others get a turn: a request of 10 000 takes some 0.2 s of its process.
A_TURN = 250


@routes.post("/jobs/bulk", body=BulkRequest, answers={202: BulkAnswer}, problems=(409,), summary="Submit many jobs")
def submit(body: BulkRequest) -> Any:
    """All of them, or none: each entry is what `POST /jobs` takes, and one that does not fit refuses all, its place in
    `loc`.

    Of a unique task the id may be that of a job of yours that stands for the call already; 409 if it is another's, or
    such calls are rejected.
    """
    items = _checked(body.jobs)
    reader = Reader(app, None, {"owner": g.caller.account_id, "app_id": g.caller.app_id})
    is_private = not g.caller.has_role("operator")
    try:
        submitted = Submission(app, reader, getattr(g, "job_id", None), is_private=is_private).run(_by_turns(items))
    except BulkFailed as exc:
        raise _meaning(exc) from exc
    return {"job_ids": list(submitted)}, 202


def _checked(entries: Sequence[JobRequest]) -> list[dict[str, Any]]:
    """What is submitted for each. Raises Problem 422 with what does not fit."""
    items, errors = [], []
    for place, entry in enumerate(_by_turns(entries)):
        try:
            items.append(_item(entry))
        except Problem as exc:
            errors += [_error(place, error["loc"][1:], error["msg"]) for error in exc.errors or []]
        except InvalidArguments as exc:
            errors += [_error(place, problem["loc"], problem["msg"]) for problem in exc.problems]
        if len(errors) >= MOST_ERRORS:
            break
    if errors:
        raise Problem(422, "the body does not fit", errors=errors)
    return items


def _item(entry: JobRequest) -> dict[str, Any]:
    try:
        task = public_task(entry.task)
    except Problem as exc:
        raise Problem(422, exc.detail, errors=[{"loc": ["body", "task"], "msg": exc.detail}]) from exc
    signature_of(task).check_call(entry.args, entry.kwargs)
    item = {"task": entry.task, "args": entry.args, "kwargs": entry.kwargs} | checked_options(entry)
    return item if entry.max_retries is None else item | {"max_retries": entry.max_retries}


def _meaning(exc: BulkFailed) -> Exception:
    cause, place = exc.__cause__, exc.place or 0
    if isinstance(cause, NotUnique):
        try:
            where = {"Location": f"/jobs/{visible(cause.job_id)}"}
        except Problem as other:
            return Problem(409, other.detail, errors=[_error(place, [], other.detail)])
        return Problem(409, str(cause), errors=[_error(place, [], str(cause))], headers=where)
    if isinstance(cause, UnusableTime | OverflowError):
        member = "eta" if isinstance(cause, UnusableTime) else "expires"
        return Problem(422, "the body does not fit", errors=[_error(place, [member], str(cause))])
    return cause if isinstance(cause, Exception) else exc


def _error(place: int, loc: Sequence[Any], message: str) -> dict[str, Any]:
    return {"loc": ["body", "jobs", place, *loc], "msg": message}


def _by_turns(entries: Sequence[Any]) -> Iterator[Any]:
    """The entries; between some of them this process's other requests go on (under gevent, which has patched it)."""
    for number, entry in enumerate(entries, 1):
        if number % A_TURN == 0:
            time.sleep(0)
        yield entry
