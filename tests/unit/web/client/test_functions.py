from __future__ import annotations

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, job, problem
from web.client import APIError, FunctionResult, WaitTimeout

ERROR = {"type": "ValueError", "message": "no"}


def test_a_call_sends_its_arguments_and_returns_the_result(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, {"result": 6, "job_id": "j-1"}))
    assert ask("call", "Calc", "multiply", a=2, module=3) == FunctionResult(6, "j-1")
    assert (server.received[0].target, server.received[0].body) == ("/api/Calc/multiply", {"a": 2, "module": 3})
    assert server.received[0].headers["Prefer"] == "wait=5"


def test_a_call_that_takes_longer_is_followed_to_its_end(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()), Answer(200, job(state="completed", result=6)))
    assert ask("call", "Calc", "multiply", a=2) == FunctionResult(6, "j-1")


@pytest.mark.parametrize(
    ("ending", "status", "text"),
    [
        ({"state": "failed", "error": ERROR}, 500, "Calc.multiply failed: ValueError: no"),
        ({"state": "cancelled"}, 409, "job j-1 was cancelled"),
    ],
)
def test_a_followed_call_fails_as_one_answered_at_once(
    server: Server, ask: Ask, ending: dict[str, object], status: int, text: str
) -> None:
    server.answers(Answer(202, job()), Answer(200, job(**ending)))
    with pytest.raises(APIError, match=text) as caught:
        ask("call", "Calc", "multiply")
    assert caught.value.status_code == status


def test_a_call_that_does_not_return_in_time_leaves_its_job(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()), Answer(200, job(state="running")))
    with pytest.raises(WaitTimeout, match="its job goes on") as caught:
        ask.of(server.url, timeout_s=0.2)("call", "Calc", "multiply")
    assert caught.value.job.job_id == "j-1"


def test_a_failed_function_says_why(server: Server, ask: Ask) -> None:
    server.answers(problem(500, "Calc.multiply failed: ValueError: no"))
    with pytest.raises(APIError, match="ValueError: no"):
        ask("call", "Calc", "multiply")
    assert len(server.received) == 1, "a call is not repeated"
