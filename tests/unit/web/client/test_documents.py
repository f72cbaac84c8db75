from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, job, problem
from web.client import Accepted, APIError, AsyncClient, Client, Document, NotFoundError, WaitTimeout

DOCUMENT = {
    "appId": "default",
    "userId": "u-1",
    "type": "note",
    "id": "n-1",
    "version": 1,
    "createdAt": "2026-11-22T10:00:00.123Z",
    "updatedAt": "2026-11-22T10:00:00.123Z",
    "title": "bread",
    "n": 2,
}
ACCEPTED = Answer(202, {"id": "n-1", "job_id": "j-1"}, {"Location": "/jobs/j-1"})
REPLACED = [{"op": "replace", "path": "/title", "value": "milk"}]


@dataclass
class Note:
    title: str
    n: int = 0


@pytest.fixture
def notes(ask: Ask) -> Ask:
    """Asks ``client.model("note")``."""
    ask.client = ask.client.model("note")
    return ask


def document(**members: object) -> dict[str, object]:
    """A document as the server sends it."""
    return DOCUMENT | members


def page(ids: list[str], number: int, pages: int) -> Answer:
    items = [document(id=i) for i in ids]
    return Answer(200, {"items": items, "total": 3, "page": number, "limit": 2, "pages": pages})


def test_a_document_comes_typed(server: Server, notes: Ask) -> None:
    server.answers(Answer(200, DOCUMENT))
    when = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)
    assert notes("get", "n-1") == Document(
        "note", "n-1", 1, {"title": "bread", "n": 2}, app_id="default", user_id="u-1", created_at=when, updated_at=when
    )
    assert server.received[0].target == "/model/note/n-1"


def test_fields_are_read_as_the_given_class(server: Server, ask: Ask) -> None:
    ask.client = ask.client.model("note", Note)
    server.answers(Answer(200, DOCUMENT))
    assert ask("get", "n-1").fields == Note("bread", 2)
    server.answers(Answer(200, document(title=3)))
    with pytest.raises(APIError, match=r"a document that is no note \(Expected `str`, got `int`.*fields\.title"):
        ask("get", "n-1")


def test_an_answer_that_is_no_document_is_an_error(server: Server, notes: Ask) -> None:
    server.answers(Answer(200, {"hello": "world"}))
    with pytest.raises(APIError, match="a document that is no note"):
        notes("get", "n-1")


def test_creating_without_waiting_returns_what_was_accepted(server: Server, notes: Ask) -> None:
    server.answers(ACCEPTED)
    assert notes("create", {"title": "bread"}) == Accepted("n-1", "j-1")
    sent = server.received[0]
    assert (sent.method, sent.target, sent.body) == ("POST", "/model/note", {"title": "bread"})
    assert "Prefer" not in sent.headers


def test_creating_and_waiting_returns_the_stored_document(server: Server, ask: Ask) -> None:
    ask.client = ask.client.model("note", Note)
    server.answers(Answer(201, DOCUMENT))
    created = ask("create", Note("bread", 2), wait_s=5, idempotency_key="once")
    assert (created.version, created.fields) == (1, Note("bread", 2))
    sent = server.received[0]
    assert (sent.headers["Prefer"], sent.headers["Idempotency-Key"]) == ("wait=5", "once")
    assert sent.body == {"title": "bread", "n": 2}


def test_a_create_with_a_key_is_sent_again_after_trouble(server: Server, notes: Ask) -> None:
    server.answers(problem(503, "away", headers={"Retry-After": "0"}), ACCEPTED)
    assert notes("create", {"title": "bread"}, idempotency_key="once") == Accepted("n-1", "j-1")
    assert len(server.received) == 2


def test_a_patch_carries_operations_and_the_version_it_is_for(server: Server, notes: Ask) -> None:
    server.answers(Answer(200, document(title="milk", version=4)))
    assert notes("patch", "n-1", REPLACED, if_version=3, wait_s=5).version == 4
    sent = server.received[0]
    assert (sent.method, sent.target, sent.body) == ("PATCH", "/model/note/n-1", REPLACED)
    assert (sent.headers["Content-Type"], sent.headers["If-Match"]) == ("application/json-patch+json", '"3"')


def test_a_patch_is_not_sent_again(server: Server, notes: Ask) -> None:
    server.answers(problem(503, "away", headers={"Retry-After": "0"}), ACCEPTED)
    with pytest.raises(APIError):
        notes("patch", "n-1", REPLACED)


def test_a_delete_needs_no_body(server: Server, notes: Ask) -> None:
    server.answers(Answer(200, {"id": "n-1", "job_id": "j-1", "type": "note", "version": 2}))
    assert notes("delete", "n-1", wait_s=5, if_version=1) == Accepted("n-1", "j-1")
    sent = server.received[0]
    assert (sent.method, sent.target, sent.headers["If-Match"]) == ("DELETE", "/model/note/n-1", '"1"')


def test_a_change_the_server_did_not_see_end_is_followed(server: Server, notes: Ask) -> None:
    stored = {"id": "n-1", "type": "note", "version": 1}
    server.answers(
        ACCEPTED, Answer(200, job()), Answer(200, job(state="completed", result=stored)), Answer(200, DOCUMENT)
    )
    assert notes("create", {"title": "bread"}, wait_s=5).version == 1
    assert [urlsplit(one.target).path for one in server.received] == [
        "/model/note", "/jobs/j-1", "/jobs/j-1", "/model/note/n-1",
    ]  # fmt: skip


def test_a_change_that_takes_too_long_goes_on(server: Server, notes: Ask) -> None:
    server.answers(ACCEPTED, Answer(200, job()))
    with pytest.raises(WaitTimeout, match=r"the change of n-1 is not stored after 0\.01 s") as caught:
        notes("create", {"title": "bread"}, wait_s=0.01)
    assert caught.value.job.job_id == "j-1"


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        ({"state": "failed", "error": {"type": "VersionConflict", "message": "it is 4"}}, 409, "VersionConflict: it"),
        ({"state": "failed", "error": {"type": "ValueError", "message": "oh"}}, 500, "ValueError: oh"),
        ({"state": "cancelled"}, 409, "cancelled"),
        ({"state": "completed", "result": {"dropped": "spam"}}, 422, "the stage spam dropped the change"),
    ],
)
def test_a_change_that_is_refused_later_is_an_error(
    server: Server, notes: Ask, outcome: dict[str, object], status: int, words: str
) -> None:
    server.answers(ACCEPTED, Answer(200, job(**outcome)))
    with pytest.raises(APIError, match=words) as caught:
        notes("delete", "n-1", wait_s=5)
    assert caught.value.status_code == status


def test_what_does_not_fit_is_told_by_field(server: Server, notes: Ask) -> None:
    errors = [{"loc": ["title"], "msg": "Input should be a valid string"}]
    failed = {"type": "InvalidDocument", "message": "it does not fit", "facts": {"errors": errors}}
    server.answers(ACCEPTED, Answer(200, job(state="failed", error=failed)))
    with pytest.raises(APIError) as caught:
        notes("patch", "n-1", REPLACED, wait_s=5)
    assert (caught.value.status_code, caught.value.errors) == (422, errors)


def test_a_document_that_is_not_there_is_not_found(server: Server, notes: Ask) -> None:
    server.answers(ACCEPTED, Answer(200, job(state="failed", error={"type": "UnknownDocument", "message": "none"})))
    with pytest.raises(NotFoundError):
        notes("patch", "n-1", REPLACED, wait_s=5)


def test_list_reads_every_page_and_shows_none_twice(server: Server, notes: Ask) -> None:
    server.answers(page(["a", "b"], 1, 2), page(["b", "c"], 2, 2))
    assert [found.id for found in notes("list", {"n": {"$gte": 2}})] == ["a", "b", "c"]
    query = parse_qs(urlsplit(server.received[1].target).query)
    assert query == {"filter": ['{"n":{"$gte":2}}'], "page": ["2"], "limit": ["200"]}


def test_an_id_that_would_be_another_address_is_refused(notes: Ask) -> None:
    with pytest.raises(ValueError, match="cannot be part of an address"):
        notes("get", "../jobs")


def test_both_clients_have_the_same_methods() -> None:
    def methods(client: object) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    with Client("http://localhost") as client:
        assert methods(client.model("note")) == methods(AsyncClient("http://localhost").model("note"))
