"""``/api/{Module}/{function}``: call a registered function and wait a little for its answer."""

from __future__ import annotations

from typing import Any

from flask import g, request

from platform.jobs.states import State
from platform.settings import settings
from tasks.modules import Function, find_function
from web.identity import check_csrf
from web.jobs import accepted, submission, submitted
from web.preferences import wait_seconds
from web.problems import Problem
from web.routing import Routes
from web.schemas.body import Members
from web.schemas.functions import FunctionAnswer
from web.schemas.jobs import JobAnswer

routes = Routes(tag="Functions")
ANSWERS = {200: FunctionAnswer, 202: JobAnswer}
PROBLEMS = (404, 409, 422, 500)


@routes.get(
    "/api/<module>/<function>", answers=ANSWERS, problems=PROBLEMS, summary="Call a function, arguments in the query"
)
def call_with_query(module: str, function: str) -> Any:
    """200 with the result if it came in time (`Prefer: wait=N`, else the module's limit), else 202 with the job."""
    found = find_function(module, function)
    values: dict[str, Any] = {name: v if len(v) > 1 else v[0] for name, v in request.args.lists()}
    return _call(found, found.signature.from_text(values))


@routes.post(
    "/api/<module>/<function>",
    body=Members,
    body_optional=True,
    answers=ANSWERS,
    problems=PROBLEMS,
    summary="Call a function, arguments as a JSON object",
)
def call_with_body(module: str, function: str, body: dict[str, Any] | None) -> Any:
    """200 with the result if it came in time (`Prefer: wait=N`, else the module's limit), else 202 with the job."""
    found = find_function(module, function)
    return _call(found, found.signature.from_json(body or {}))


def _call(found: Function, kwargs: dict[str, Any]) -> Any:
    if request.method == "HEAD":
        raise Problem(405, "a function is called with GET or POST", headers={"Allow": "GET, POST"})
    if g.caller.via == "session":
        check_csrf(request, g.caller)  # a GET changes something here, and a link on another site carries the cookie
    limit_s = settings().function_wait_s if found.wait_s is None else found.wait_s
    job_id = submitted(found.task, kwargs=kwargs, **submission())
    wait_s = wait_seconds(limit_s)
    job = accepted(job_id, wait_s)
    location = {"Location": f"/jobs/{job_id}"}
    if wait_s <= 0:
        return job.as_dict(), 202, location
    if job.state == State.COMPLETED:
        return {"result": job.result, "job_id": job_id}, 200, location
    if job.state == State.FAILED and job.error:
        raise Problem(
            500, f"{found.module}.{found.name} failed: {job.error['type']}: {job.error['message']}", headers=location
        )
    if job.state == State.CANCELLED:
        raise Problem(409, f"job {job_id} was cancelled", headers=location)
    return job.as_dict(), 202, location
