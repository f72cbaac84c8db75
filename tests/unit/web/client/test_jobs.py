from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, job
from web.client import JobError, Progress, WaitTimeout


def page(ids: list[str], number: int, pages: int) -> Answer:
    items = [job(job_id=i) for i in ids]
    return Answer(200, {"items": items, "total": 5, "page": number, "limit": 2, "pages": pages})


def test_submit_sends_what_was_given_and_nothing_else(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()))
    ask("jobs.submit", "shop.add", 1, 2)
    assert server.received[0].body == {"task": "shop.add", "args": [1, 2], "kwargs": {}}
    assert "Prefer" not in server.received[0].headers


def test_submit_sends_every_option_by_the_apis_name(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()))
    at = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    options = {"queue": "batch", "priority": 0, "countdown": 0, "expires": at, "max_retries": 0}
    ask("jobs.submit", "shop.add", kwargs={"a": 1}, idempotency_key="once", **options)
    sent = server.received[0]
    assert sent.body == {
        "task": "shop.add",
        "args": [],
        "kwargs": {"a": 1},
        **options,
        "expires": "2026-11-22T10:00:00Z",
    }
    assert sent.headers["Idempotency-Key"] == "once"


def test_requests_carry_the_credential_and_no_cookie(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job(), {"Set-Cookie": "platform_session=x; Path=/"}))
    ask("jobs.submit", "shop.add")
    ask("jobs.submit", "shop.add")
    assert {request.headers["Authorization"] for request in server.received} == {"Bearer pk_test"}
    assert not any("Cookie" in request.headers for request in server.received)


def test_a_job_comes_typed(server: Server, ask: Ask) -> None:
    error, progress = {"type": "ValueError", "message": "no"}, {"done": 1, "total": 2, "message": "half"}
    server.answers(Answer(200, job(state="failed", error=error, progress=progress, member_of_the_future=1)))
    found = ask("jobs.get", "j-1")
    assert (found.error, found.progress) == (JobError("ValueError", "no"), Progress(1, 2, "half"))
    assert found.created_at == datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
    assert found.is_final


@pytest.mark.parametrize("job_id", ["", ".", "..", "a/b", "../dead-letters"])
def test_an_id_cannot_name_another_address(server: Server, ask: Ask, job_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of an address"):
        ask("jobs.get", job_id)
    assert server.received == []


def test_an_odd_id_is_quoted(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, job()))
    ask("jobs.get", "a b?wait=9#ü%")
    assert server.received[0].target == "/jobs/a%20b%3Fwait%3D9%23%C3%BC%25"


def test_submit_with_a_wait_prefers_it(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, job(state="completed", result=3)))
    assert ask("jobs.submit", "shop.add", 1, 2, wait_s=4).result == 3
    assert server.received[0].headers["Prefer"] == "wait=4"


def test_a_wait_longer_than_the_servers_longest_goes_on_by_asking_again(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()), Answer(200, job(state="running")), Answer(200, job(state="completed", result=3)))
    assert ask("jobs.submit", "shop.add", 1, 2, wait_s=300).result == 3
    assert [request.target for request in server.received] == ["/jobs", "/jobs/j-1?wait=30.0", "/jobs/j-1?wait=30.0"]
    assert server.received[0].headers["Prefer"] == "wait=30"


def test_wait_returns_however_the_job_ended(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, job(state="running")), Answer(200, job(state="cancelled")))
    assert ask("jobs.wait", "j-1").state == "cancelled"


def test_wait_raises_with_the_job_once_the_time_is_over(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, job(state="running")))
    with pytest.raises(WaitTimeout, match=r"job j-1 is still running after 0\.05 s") as caught:
        ask("jobs.wait", "j-1", timeout_s=0.05)
    assert caught.value.job.state == "running"


def test_wait_does_not_ask_again_for_a_job_that_has_ended(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, job(state="failed")))
    ask("jobs.wait", "j-1", timeout_s=0)
    assert [request.target for request in server.received] == ["/jobs/j-1"]


def test_cancel_deletes(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job(state="running")))
    assert ask("jobs.cancel", "j-1").state == "running"
    assert (server.received[0].method, server.received[0].target) == ("DELETE", "/jobs/j-1")


def test_list_reads_every_page(server: Server, ask: Ask) -> None:
    server.answers(page(["a", "b"], 1, 3), page(["c", "d"], 2, 3), page(["e"], 3, 3))
    assert [found.job_id for found in ask("jobs.list", state="failed", queue="offload")] == ["a", "b", "c", "d", "e"]
    assert server.received[2].target == "/jobs?state=failed&queue=offload&page=3&limit=200"


def test_list_shows_no_job_twice_when_new_ones_push_old_ones_on(server: Server, ask: Ask) -> None:
    server.answers(page(["a", "b"], 1, 2), page(["b", "c"], 2, 2))
    assert [found.job_id for found in ask("jobs.list")] == ["a", "b", "c"]


def test_an_empty_list_is_one_request(server: Server, ask: Ask) -> None:
    server.answers(page([], 1, 0))
    assert ask("jobs.list") == []
    assert len(server.received) == 1
