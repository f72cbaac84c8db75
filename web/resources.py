"""``/resources/{provider}/{type}/{name}``: a provider's operations as jobs; reading gives what was last stored."""

from __future__ import annotations

from typing import Any

from flask import g

from tasks import offload, resources
from tasks.offload import CREATE, DELETE, find_action, find_provider
from tasks.resources import Address
from tasks.signatures import Signature
from web.jobs import answer_with, submission
from web.preferences import wait_seconds
from web.problems import Problem
from web.routing import Routes
from web.schemas.body import Members
from web.schemas.jobs import JobAnswer
from web.schemas.resources import ResourceAnswer

routes = Routes(tag="Resources")
ADDRESS = "/resources/<provider>/<type>/<name>"
MAX_NAME_CHARS = 200
ANSWERS = {202: JobAnswer, 200: JobAnswer}


@routes.put(ADDRESS, body=Members, answers=ANSWERS, problems=(404,), summary="Create or update a resource")
def put(provider: str, type: str, name: str, body: dict[str, Any]) -> Any:
    """The body is the resource's properties. The job's result is the resource as stored."""
    find_provider(provider).validate(type, name, body)
    return _offload(provider, type, name, CREATE, body)


@routes.delete(ADDRESS, answers=ANSWERS, problems=(404,), summary="Delete a resource")
def delete(provider: str, type: str, name: str) -> Any:
    """Deleting what is not there is done as well: 202, and the provider decides."""
    find_provider(provider)
    return _offload(provider, type, name, DELETE, {})


@routes.get(ADDRESS, answers={200: ResourceAnswer}, problems=(404,), summary="A resource as last stored")
def show(provider: str, type: str, name: str) -> Any:
    """Never waits for the provider."""
    find_provider(provider)
    return resources.get(Address(g.caller.app_id, provider, type, name))


@routes.post(
    f"{ADDRESS}/<action>",
    body=Members,
    body_optional=True,
    answers=ANSWERS,
    problems=(404,),
    summary="Run a provider's action on a resource",
)
def act(provider: str, type: str, name: str, action: str, body: dict[str, Any] | None) -> Any:
    """The body's members are the action's arguments; what it returns is the job's result."""
    method = find_action(find_provider(provider), action)
    Signature(method).check_call((), {**(body or {}), "type": type, "name": name})
    return _offload(provider, type, name, action, body or {})


def _refuse_odd_names(*names: str) -> None:
    for name in names:
        if len(name) > MAX_NAME_CHARS or not name.isprintable():
            text = f"a type or name has at most {MAX_NAME_CHARS} characters, all printable"
            raise Problem(422, "the address does not fit", errors=[{"loc": ["path"], "msg": text}])


def _offload(provider: str, type: str, name: str, operation: str, arguments: dict[str, Any]) -> Any:
    _refuse_odd_names(type, name)
    call = (g.caller.app_id, provider, type, name, operation, arguments)
    job_id = offload.run.apply_async(call, **submission()).id
    return answer_with(job_id, wait_seconds(0))
