from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.web.client.conftest import Answer, Ask, Server, job
from web.client import DeadLetter, DeathError, RawMessage

LETTER = {
    "dead_letter_id": "d-1",
    "job_id": "j-1",
    "task": "shop.add",
    "queue": "offload",
    "reason": "rejected",
    "error": {"type": "Reject", "message": "no", "traceback": ""},
    "attempts": 1,
    "args": [1],
    "kwargs": {},
    "first_failed_at": "2026-11-22T10:00:00.123Z",
    "dead_at": "2026-11-22T10:00:01.000Z",
    "replayed": 0,
    "state": "dead",
    "evidence": None,
    "owner": "u-1",
    "app_id": "default",
}


def letter(**members: object) -> dict[str, object]:
    """A letter as the server sends it."""
    return LETTER | members


def page(ids: list[str], number: int, pages: int) -> Answer:
    items = [letter(dead_letter_id=i) for i in ids]
    return Answer(200, {"items": items, "total": 3, "page": number, "limit": 2, "pages": pages})


def test_a_letter_comes_typed(server: Server, ask: Ask) -> None:
    message = {"base64": "eA==", "bytes": 1, "content_type": None, "headers": None}
    server.answers(Answer(200, letter(message=message, history=[{"event": "died"}], member_of_the_future=1)))
    found = ask("dead_letters.get", "d-1")
    assert isinstance(found, DeadLetter)
    assert (found.error, found.message) == (DeathError("Reject", "no"), RawMessage("eA==", 1))
    assert found.dead_at == datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)


def test_an_edit_sends_only_what_is_given(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, letter()))
    ask("dead_letters.edit", "d-1", args=[])
    assert (server.received[0].method, server.received[0].target) == ("PATCH", "/dead-letters/d-1")
    assert server.received[0].body == {"args": []}


def test_a_replay_may_be_made_safe_to_repeat(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, letter(state="replayed")))
    assert ask("dead_letters.replay", "d-1", idempotency_key="once").state == "replayed"
    sent = server.received[0]
    assert (sent.method, sent.target, sent.headers["Idempotency-Key"]) == ("POST", "/dead-letters/d-1/replay", "once")


def test_a_replay_of_all_sends_the_filter_and_returns_the_job(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job() | {"matching": 7}))
    assert ask("dead_letters.replay_all", queue="batch", rate_per_s=5).job_id == "j-1"
    assert (server.received[0].target, server.received[0].body) == (
        "/dead-letters/replay", {"queue": "batch", "rate_per_s": 5},
    )  # fmt: skip


def test_discarding_deletes(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, letter(state="discarded")))
    assert ask("dead_letters.discard", "d-1").state == "discarded"
    assert (server.received[0].method, server.received[0].target) == ("DELETE", "/dead-letters/d-1")


def test_list_reads_every_page_and_shows_none_twice(server: Server, ask: Ask) -> None:
    server.answers(page(["a", "b"], 1, 2), page(["b", "c"], 2, 2))
    assert [found.dead_letter_id for found in ask("dead_letters.list", reason="rejected")] == ["a", "b", "c"]
    assert server.received[1].target == "/dead-letters?reason=rejected&state=dead&page=2&limit=200"
