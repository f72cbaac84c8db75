from __future__ import annotations

import msgspec
import pytest

from platform.documents.change import Act
from platform.documents.errors import (
    BadPatch,
    ChangeRefused,
    DocumentExists,
    InvalidDocument,
    PatchConflict,
    UnknownDocument,
    UnknownModel,
    VersionConflict,
)
from platform.jobs.record import Job, from_hash
from platform.results import describe_error
from web.problems import Problem
from web.refusals import problem_of, refuse_what_was_not_stored

INVALID = InvalidDocument("note", [{"loc": ["title"], "msg": "Field required"}])


def ended(state: str, **fields: str) -> Job:
    """A change's job as its record has it."""
    return from_hash("j-1", {"state": state, **fields})


def failed_with(exc: Exception) -> Job:
    return ended("failed", error=msgspec.json.encode(describe_error(exc)).decode())


def refusal_of(job: Job, act: Act = "create") -> Problem:
    with pytest.raises(Problem) as caught:
        refuse_what_was_not_stored(job, act)
    return caught.value


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (UnknownModel("nite", ["note"]), 404),
        (UnknownDocument("note", "n-1"), 404),
        (VersionConflict("note", "n-1", 3, 4), 409),
        (PatchConflict(0, "/title"), 409),
        (DocumentExists("note", "n-1"), 409),
        (INVALID, 422),
        (BadPatch(2, "it has no op"), 422),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_in_the_pipeline_is_answered_as_one_at_once(exc: ChangeRefused, status: int) -> None:
    at_once = problem_of(type(exc).__name__, str(exc), exc.facts, act="patch")
    later = refusal_of(failed_with(exc), "patch")
    assert (at_once.status, at_once.detail, at_once.errors) == (status, str(exc), later.errors)
    assert (later.status, later.detail, later.headers) == (status, str(exc), {"Location": "/jobs/j-1"})


@pytest.mark.parametrize(("act", "place"), [("create", "body"), ("patch", "document")])
def test_what_does_not_fit_is_told_where(act: Act, place: str) -> None:
    assert refusal_of(failed_with(INVALID), act).errors == [{"loc": [place, "title"], "msg": "Field required"}]


@pytest.mark.parametrize(("index", "loc"), [(2, ["body", 2]), (None, ["body"])])
def test_a_bad_patch_names_its_operation(index: int | None, loc: list[object]) -> None:
    found = refusal_of(failed_with(BadPatch(index, "it has no op")), "patch").errors
    assert found == [{"loc": loc, "msg": "it has no op"}]


def test_a_version_conflict_tells_the_version_there_is() -> None:
    (error,) = refusal_of(failed_with(VersionConflict("note", "n-1", 3, 4)), "patch").errors or []
    assert error == {"loc": ["header", "If-Match"], "msg": "the document's version is 4"}


def test_a_users_own_refusal_answers_with_its_status() -> None:
    class Frozen(ChangeRefused):
        status = 409

    assert refusal_of(failed_with(Frozen("frozen"))).status == 409


def test_a_stage_that_failed_is_a_servers_error() -> None:
    problem = refusal_of(failed_with(ValueError("on purpose")))
    assert (problem.status, problem.detail) == (500, "the change was not stored: ValueError: on purpose")


def test_a_failure_without_an_error_is_a_servers_error() -> None:
    assert refusal_of(ended("failed")).status == 500


def test_a_cancelled_change_is_a_conflict() -> None:
    assert refusal_of(ended("cancelled")).status == 409


def test_a_change_that_a_stage_dropped_is_told_with_the_stage() -> None:
    problem = refusal_of(ended("completed", result='{"dropped":"spam"}'))
    assert (problem.status, problem.detail) == (422, "the stage spam dropped the change; nothing was stored")


def test_what_was_stored_is_not_refused() -> None:
    refuse_what_was_not_stored(ended("completed", result='{"id":"n-1","type":"note","version":1}'), "create")
    refuse_what_was_not_stored(ended("completed", result='[{"id":"n-1","type":"note","version":1}]'), "create")
