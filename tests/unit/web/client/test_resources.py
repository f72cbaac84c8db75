from __future__ import annotations

from tests.unit.web.client.conftest import Answer, Ask, Server, job
from web.client import Resource

STORED = {
    "provider": "acme.shelf",
    "type": "box",
    "name": "red",
    "version": 2,
    "properties": {"colour": "red"},
    "job_id": "j-1",
    "updated_at": "2026-11-22T10:00:00.123Z",
}


def test_put_sends_the_properties(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()))
    assert ask("resources.put", "acme.shelf", "box", "red", {"colour": "red"}).job_id == "j-1"
    sent = server.received[0]
    assert (sent.method, sent.target) == ("PUT", "/resources/acme.shelf/box/red")
    assert (sent.body, "Prefer" in sent.headers) == ({"colour": "red"}, False)


def test_get_returns_the_resource(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, STORED))
    found = ask("resources.get", "acme.shelf", "box", "red")
    assert isinstance(found, Resource)
    assert (found.version, found.properties["colour"]) == (2, "red")


def test_delete_may_wait(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, job(state="completed")))
    ask("resources.delete", "acme.shelf", "box", "red", wait_s=90)
    assert (server.received[0].method, server.received[0].headers["Prefer"]) == ("DELETE", "wait=30")


def test_an_action_sends_its_arguments(server: Server, ask: Ask) -> None:
    server.answers(Answer(202, job()))
    ask("resources.action", "acme.shelf", "box", "red hot", "restart", {"hard": True}, idempotency_key="once")
    sent = server.received[0]
    assert (sent.method, sent.target) == ("POST", "/resources/acme.shelf/box/red%20hot/restart")
    assert (sent.body, sent.headers["Idempotency-Key"]) == ({"hard": True}, "once")
