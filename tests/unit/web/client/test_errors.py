from __future__ import annotations

import pickle

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, problem
from web.client import (
    APIError,
    AppError,
    AuthenticationError,
    Job,
    NotFoundError,
    RateLimitError,
    ServerUnreachable,
    ServiceUnavailable,
    WaitTimeout,
)

JOB = Job("j-1", "shop.add", "offload", 5, "running")
EVERY_ERROR = [
    AppError("it failed"),
    APIError("it failed", 500),
    AuthenticationError("sign in"),
    AuthenticationError("not yours", 403),
    NotFoundError("no such job"),
    RateLimitError("too many", 2.5),
    RateLimitError("too many"),
    ServiceUnavailable("the broker is away", 2),
    ServerUnreachable("refused"),
    WaitTimeout("still running", JOB),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=repr)
def test_every_error_survives_pickling_whole(error: AppError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, vars(copy), str(copy)) == (type(error), error.args, vars(error), str(error))


def test_the_problem_document_survives_pickling() -> None:
    error = NotFoundError("no such job")
    error.problem = {"detail": "no such job", "request_id": "r-1"}
    assert pickle.loads(pickle.dumps(error)).request_id == "r-1"


@pytest.mark.parametrize("error", EVERY_ERROR, ids=repr)
def test_every_error_is_an_app_error_that_reads_as_its_message(error: AppError) -> None:
    assert isinstance(error, AppError)
    assert str(error) == error.args[0]


def test_a_wait_that_timed_out_is_a_timeout_to_everybody() -> None:
    assert isinstance(WaitTimeout("still running", JOB), TimeoutError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, APIError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (409, APIError),
        (422, APIError),
        (500, APIError),
    ],
)
def test_each_status_has_its_error(server: Server, ask: Ask, status: int, kind: type[APIError]) -> None:
    server.answers(problem(status, "that is why", request_id="r-1"))
    with pytest.raises(APIError, match="that is why") as caught:
        ask("jobs.get", "j-1")
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.request_id) == (status, "r-1")


def test_what_does_not_fit_is_in_the_message_and_apart(server: Server, ask: Ask) -> None:
    errors = [{"loc": ["body", "priority"], "msg": "too high"}, {"loc": [], "msg": "and odd"}]
    server.answers(problem(422, "the body does not fit", errors=errors))
    with pytest.raises(APIError) as caught:
        ask("jobs.submit", "shop.add")
    assert str(caught.value) == "the body does not fit: body.priority: too high; and odd"
    assert caught.value.errors == errors


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b'{"detail": 7}', b"[]", b"\xff", b""])
def test_an_error_that_is_no_problem_document_still_says_who_answered(server: Server, ask: Ask, body: bytes) -> None:
    server.answers(Answer(502, body))
    with pytest.raises(APIError, match=r"GET http://.*/jobs/j-1 was answered 502") as caught:
        ask("jobs.get", "j-1")
    assert caught.value.problem is None
    assert caught.value.errors == []


@pytest.mark.parametrize("body", [b"<h1>Welcome</h1>", b'{"job_id": 3}', b"\xff"])
def test_an_answer_of_something_else_asks_for_the_address(server: Server, ask: Ask, body: bytes) -> None:
    server.answers(Answer(200, body))
    with pytest.raises(APIError, match="is base_url right"):
        ask("jobs.get", "j-1")


def test_a_redirect_is_an_error_and_not_followed(server: Server, ask: Ask) -> None:
    server.answers(Answer(302, {}, {"Location": "/elsewhere"}))
    with pytest.raises(APIError, match="302"):
        ask("health")
    assert len(server.received) == 1
