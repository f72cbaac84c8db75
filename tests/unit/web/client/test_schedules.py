from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, job, problem
from web.client import APIError, Schedule

SCHEDULE = {
    "id": "s-1",
    "name": "nightly",
    "task": "shop.add",
    "args": [1],
    "kwargs": {},
    "queue": None,
    "priority": None,
    "cron": "30 2 * * *",
    "every_s": None,
    "timezone": "Europe/Berlin",
    "missed": "once",
    "overlap": "allow",
    "source": "api",
    "paused": False,
    "owner": "u-1",
    "app_id": "default",
    "created_at": "2026-11-22T10:00:00.123Z",
    "next_run_at": "2026-11-23T01:30:00.000Z",
    "last_run_at": None,
    "last_job_id": None,
    "last_error": None,
    "runs": 0,
    "missed_runs": 0,
}


def page(ids: list[str], number: int, pages: int) -> Answer:
    items = [SCHEDULE | {"id": i} for i in ids]
    return Answer(200, {"items": items, "total": 3, "page": number, "limit": 2, "pages": pages})


def test_a_schedule_is_added_and_comes_typed(server: Server, ask: Ask) -> None:
    server.answers(Answer(201, SCHEDULE | {"member_of_the_future": 1}))
    said = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    made = ask("schedules.add", "nightly", "shop.add", 1, **said, idempotency_key="once")
    assert isinstance(made, Schedule)
    assert made.next_run_at == datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
    sent = server.received[0]
    assert (sent.method, sent.target, sent.headers["Idempotency-Key"]) == ("POST", "/schedules", "once")
    assert sent.body == {"name": "nightly", "task": "shop.add", "args": [1], "kwargs": {}, "missed": "once",
                         "overlap": "allow", "paused": False} | said  # fmt: skip


def test_a_change_sends_only_what_is_given(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, SCHEDULE))
    ask("schedules.change", "s-1", every_s=60, args=[], paused=False)
    sent, body = server.received[0], {"every_s": 60, "args": [], "paused": False}
    assert (sent.method, sent.target, sent.body) == ("PATCH", "/schedules/s-1", body)


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_it_is_paused_and_resumed(server: Server, ask: Ask, act: str) -> None:
    server.answers(Answer(200, SCHEDULE | {"paused": act == "pause"}))
    assert ask(f"schedules.{act}", "s-1").paused is (act == "pause")
    assert (server.received[0].method, server.received[0].target) == ("POST", f"/schedules/s-1/{act}")


def test_a_run_returns_the_job(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()))
    assert ask("schedules.run", "s-1").job_id == "j-1"
    assert (server.received[0].method, server.received[0].target) == ("POST", "/schedules/s-1/run")


def test_it_is_looked_at_and_removed(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, SCHEDULE), Answer(204))
    assert ask("schedules.get", "s-1").name == "nightly"
    assert ask("schedules.remove", "s-1") is None
    assert [(r.method, r.target) for r in server.received] == [("GET", "/schedules/s-1"), ("DELETE", "/schedules/s-1")]


def test_what_makes_no_sense_is_an_error_with_its_field(server: Server, ask: Ask) -> None:
    errors = [{"loc": ["body", "cron"], "msg": "minute: 61 is out of range; it is 0–59"}]
    server.answers(problem(422, "the body does not fit", errors=errors))
    with pytest.raises(APIError, match=r"body\.cron: minute: 61 is out of range"):
        ask("schedules.add", "a", "shop.add", cron="61 * * * *")


def test_list_reads_every_page_and_shows_none_twice(server: Server, ask: Ask) -> None:
    server.answers(page(["a", "b"], 1, 2), page(["b", "c"], 2, 2))
    assert [found.id for found in ask("schedules.list")] == ["a", "b", "c"]
    assert server.received[1].target == "/schedules?page=2&limit=200"
