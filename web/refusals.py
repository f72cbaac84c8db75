"""A refused change as the problem its sender reads, whether it was refused at once or in the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from platform.documents.change import Act
from platform.documents.errors import ChangeRefused
from platform.jobs.record import Job
from platform.jobs.states import State
from web.problems import Problem


def refuse_what_was_not_stored(job: Job, act: Act) -> None:
    """Return if the job of a change that ended has stored it. Raises Problem, which names the job in ``Location``."""
    headers = {"Location": f"/jobs/{job.job_id}"}
    if job.state == State.CANCELLED:
        raise Problem(409, f"job {job.job_id} was cancelled; nothing was stored", headers=headers)
    if job.state == State.FAILED:
        error: dict[str, Any] = {"type": "", "message": "", "facts": {}, **(job.error or {})}
        raise problem_of(error["type"], error["message"], error["facts"], act=act, headers=headers)
    if isinstance(job.result, dict) and "dropped" in job.result:
        text = f"the stage {job.result['dropped']} dropped the change; nothing was stored"
        raise Problem(422, text, headers=headers)


def problem_of(
    error: str, message: str, facts: Mapping[str, Any], *, act: Act, headers: Mapping[str, str] | None = None
) -> Problem:
    """``error`` is the name of a class of ChangeRefused, ``facts`` what it carries; another name means a 500."""
    status = {kind.__name__: kind.status for kind in _kinds(ChangeRefused)}.get(error)
    if status is None:
        return Problem(500, f"the change was not stored: {error}: {message}", headers=headers)
    return Problem(status, message, errors=list(_errors(error, facts, act)), headers=headers)


def _kinds(kind: type[ChangeRefused]) -> Iterator[type[ChangeRefused]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)


def _errors(error: str, facts: Mapping[str, Any], act: Act) -> Iterator[dict[str, Any]]:
    """What does not fit, and where: in the body or, for a patch, in the document it would have made."""
    for one in facts.get("errors") or ():
        yield {"loc": ["body" if act == "create" else "document", *one["loc"]], "msg": one["msg"]}
    if error == "BadPatch":
        index = facts.get("index")
        yield {"loc": ["body"] if index is None else ["body", index], "msg": facts.get("problem", "")}
    if error == "VersionConflict":
        yield {"loc": ["header", "If-Match"], "msg": f"the document's version is {facts.get('found')}"}
