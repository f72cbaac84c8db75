"""Documents over HTTP: changed through a real pipeline by a real worker, read from the real database."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import redis

from tests import processes
from tests.integration.asking import ended
from tests.integration.conftest import Shop
from web.client import APIError, Client, Document

WAIT = {"Prefer": "wait=20"}
TITLE = [{"op": "replace", "path": "/title", "value": "milk"}]

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture(scope="module")
def module_of_tasks() -> str:
    return "diary"


@pytest.fixture
def note(ann: httpx2.Client) -> dict[str, Any]:
    """A stored note of Ann's, version 1."""
    return created(ann, "note", title="bread", n=1)


def created(caller: httpx2.Client, type: str, **fields: object) -> dict[str, Any]:
    answer = caller.post(f"/model/{type}", json=fields, headers=WAIT)
    assert answer.status_code == 201, answer.text
    return answer.json()


def patched(caller: httpx2.Client, document: dict[str, Any], operations: object, **headers: str) -> httpx2.Response:
    return caller.patch(address(document), json=operations, headers=WAIT | headers)


def address(document: dict[str, Any]) -> str:
    return f"/model/{document['type']}/{document['id']}"


def found(caller: httpx2.Client, type: str, filter: object = None, **query: object) -> list[dict[str, Any]]:
    more = {} if filter is None else {"filter": json.dumps(filter)}
    answer = caller.get(f"/model/{type}", params={**more, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


# -- what a document goes through


def test_a_new_document_is_accepted_and_then_stored(ann: httpx2.Client) -> None:
    answer = ann.post("/model/note", json={"title": "bread", "tags": ["food"]})
    accepted = answer.json()
    assert (answer.status_code, set(accepted)) == (202, {"id", "job_id"})
    assert answer.headers["Location"] == f"/jobs/{accepted['job_id']}"
    job = ended(ann, accepted["job_id"])
    assert (job["state"], job["result"]) == ("completed", {"id": accepted["id"], "type": "note", "version": 1})
    stored = ann.get(f"/model/note/{accepted['id']}").json()
    own = {name: stored[name] for name in ("title", "n", "tags", "place")}
    assert own == {"title": "bread", "n": 0, "tags": ["food"], "place": None}
    account = ann.get("/session").json()["user"]
    system = {name: stored[name] for name in ("appId", "userId", "type", "id", "version")}
    assert system == {"appId": account["app_id"], "userId": account["id"], "type": "note", "id": accepted["id"],
                      "version": 1}  # fmt: skip
    assert stored["createdAt"] == stored["updatedAt"]


def test_who_waits_gets_the_stored_document(ann: httpx2.Client) -> None:
    answer = ann.post("/model/note", json={"title": "bread"}, headers=WAIT)
    document = answer.json()
    assert (answer.status_code, document["version"], answer.headers["ETag"]) == (201, 1, '"1"')
    assert answer.headers["Location"] == address(document)
    assert ann.get(address(document)).json() == document


def test_respond_async_never_waits(ann: httpx2.Client) -> None:
    assert ann.post("/model/note", json={"title": "a"}, headers={"Prefer": "respond-async"}).status_code == 202


@pytest.mark.parametrize(
    "operations",
    [TITLE, [{"op": "replace", "path": ["title"], "value": ["milk"]}]],
    ids=["pointers", "lists"],
)
@pytest.mark.parametrize("media", ["application/json-patch+json", "application/json"])
def test_a_patch_makes_the_next_version(
    ann: httpx2.Client, note: dict[str, Any], operations: object, media: str
) -> None:
    answer = patched(ann, note, operations, **{"Content-Type": media})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    expected = note | {"title": "milk", "version": 2, "updatedAt": answer.json()["updatedAt"]}
    assert answer.json() == expected == ann.get(address(note)).json()


def test_a_patch_without_waiting_is_a_job(ann: httpx2.Client, note: dict[str, Any]) -> None:
    answer = ann.patch(address(note), json=TITLE)
    assert (answer.status_code, answer.json()["id"]) == (202, note["id"])
    assert ended(ann, answer.json()["job_id"])["result"]["version"] == 2


def test_a_refused_patch_is_made_when_it_is_replayed(
    ann: httpx2.Client, new_caller: Callable[[str], httpx2.Client], note: dict[str, Any]
) -> None:
    operations = [{"op": "test", "path": "/title", "value": "milk"}, {"op": "replace", "path": "/n", "value": 7}]
    job_id = ann.patch(address(note), json=operations).json()["job_id"]
    job = ended(ann, job_id)
    assert (job["state"], job["error"]["type"]) == ("failed", "PatchConflict")
    assert patched(ann, note, TITLE).status_code == 200
    assert new_caller("operator").post(f"/dead-letters/{job['dead_letter_id']}/replay").status_code == 202
    assert ended(ann, job_id)["state"] == "completed"
    assert ann.get(address(note)).json()["n"] == 7


def test_a_deleted_document_is_gone(ann: httpx2.Client, note: dict[str, Any]) -> None:
    answer = ann.delete(address(note), headers=WAIT)
    gone = answer.json()
    assert (answer.status_code, gone["id"], gone["type"], gone["version"]) == (200, note["id"], "note", 2)
    assert ann.get(address(note)).status_code == 404
    assert ann.delete(address(note), headers=WAIT).status_code == 404
    assert patched(ann, note, TITLE).status_code == 404


@pytest.mark.parametrize("header", ['"1"', 'W/"1"', '"7", "1"', "*"])
def test_a_reader_who_has_it_is_told_so(ann: httpx2.Client, note: dict[str, Any], header: str) -> None:
    answer = ann.get(address(note), headers={"If-None-Match": header})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", '"1"')


def test_a_reader_who_has_another_version_gets_it(ann: httpx2.Client, note: dict[str, Any]) -> None:
    assert ann.get(address(note), headers={"If-None-Match": '"2"'}).json() == note


@pytest.mark.parametrize("header", ['"1"', "1", "*"])
def test_a_change_of_the_wanted_version_is_stored(ann: httpx2.Client, note: dict[str, Any], header: str) -> None:
    assert patched(ann, note, TITLE, **{"If-Match": header}).json()["version"] == 2


def test_a_repeated_create_makes_one_document(ann: httpx2.Client) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first, second = (ann.post("/model/note", json={"title": "once"}, headers=WAIT | key) for _ in range(2))
    assert (first.status_code, second.json(), second.headers["ETag"]) == (201, first.json(), '"1"')
    assert len(found(ann, "note")) == 1


def test_a_create_whose_first_answer_was_lost_makes_no_second_document(shop: Shop, ann: httpx2.Client) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = ann.post("/model/note", json={"title": "once"}, headers=WAIT | key).json()
    with redis.Redis.from_url(shop.redis_url) as client:
        client.delete(*client.scan_iter("*:idempotency:*"))  # as if its server had died before answering
    again = ann.post("/model/note", json={"title": "once"}, headers=WAIT | key)
    assert (again.status_code, again.json()) == (201, first)
    assert found(ann, "note") == [first]


# -- lists


def test_lists_are_filtered_and_paged(ann: httpx2.Client) -> None:
    for n in range(5):
        created(ann, "note", title=f"note {n}", n=n, place={"city": "Bonn" if n % 2 else "Ulm"})
    assert sorted(one["n"] for one in found(ann, "note", {"n": {"$gte": 3}})) == [3, 4]
    assert sorted(one["n"] for one in found(ann, "note", {"place.city": "Bonn", "n": {"$ne": 1}})) == [3]
    pages = [ann.get("/model/note", params={"page": page, "limit": 2}).json() for page in (1, 2, 3)]
    assert sorted(one["n"] for page in pages for one in page["items"]) == [0, 1, 2, 3, 4]
    facts = [(page["total"], page["page"], page["limit"], page["pages"]) for page in pages]
    assert facts == [(5, number, 2, 3) for number in (1, 2, 3)]


def test_an_empty_list_is_no_error(ann: httpx2.Client) -> None:
    assert ann.get("/model/note").json() == {"items": [], "total": 0, "page": 1, "limit": 50, "pages": 0}


# -- whose it is


def test_an_owners_document_is_nobody_elses(
    ann: httpx2.Client, note: dict[str, Any], new_caller: Callable[..., httpx2.Client]
) -> None:
    bob = new_caller()
    assert bob.get(address(note)).status_code == 404
    assert found(bob, "note") == []
    assert patched(bob, note, TITLE).status_code == 404
    assert bob.delete(address(note), headers=WAIT).status_code == 404
    assert ann.get(address(note)).json() == note


def test_a_document_of_the_app_is_everybodys(ann: httpx2.Client, new_caller: Callable[..., httpx2.Client]) -> None:
    board = created(ann, "board", title="plans")
    bob = new_caller()
    assert bob.get(address(board)).json() == board
    changed = patched(bob, board, TITLE).json()
    assert (changed["title"], changed["userId"]) == ("milk", board["userId"])


@pytest.mark.parametrize(("type", "fields"), [("note", {"title": "a"}), ("board", {"title": "a"})])
def test_another_tenants_document_does_not_exist(
    ann: httpx2.Client, new_caller: Callable[..., httpx2.Client], type: str, fields: dict[str, object]
) -> None:
    document = created(ann, type, **fields)
    for stranger in (new_caller("user", "elsewhere"), new_caller("admin", "elsewhere")):
        assert stranger.get(address(document)).status_code == 404
        assert found(stranger, type) == []
        answer = patched(stranger, document, TITLE)
        assert (answer.status_code, "there is no" in answer.json()["detail"]) == (404, True)
        assert stranger.delete(address(document), headers=WAIT).status_code == 404
    assert ann.get(address(document)).json() == document


def test_operators_read_everything_of_their_tenant_and_change_only_their_own(
    ann: httpx2.Client, note: dict[str, Any], new_caller: Callable[..., httpx2.Client]
) -> None:
    operator = new_caller("operator")
    assert operator.get(address(note)).json() == note
    assert note in found(operator, "note", {"title": "bread"}, limit=500)
    assert patched(operator, note, TITLE).status_code == 404


def test_nobody_reads_without_a_key(shop_web: processes.Web, note: dict[str, Any]) -> None:
    assert httpx2.get(f"{shop_web.url}{address(note)}", trust_env=False).status_code == 401


# -- what is refused at once: nothing is enqueued


@pytest.mark.parametrize(
    ("body", "loc", "words"),
    [
        ({}, ["body", "title"], "Field required"),
        ({"title": 3}, ["body", "title"], "valid string"),
        ({"title": "a", "n": "3"}, ["body", "n"], "valid integer"),
        ({"title": "a", "m": 3}, ["body", "m"], "not permitted"),
        ({"title": "a", "id": "mine"}, ["body", "id"], "kept by the platform"),
        ({"title": "a", "version": 7}, ["body", "version"], "kept by the platform"),
        ({"title": "a", "userId": "x"}, ["body", "userId"], "kept by the platform"),
        ({"title": "a", "tags": ["b", 1]}, ["body", "tags", 1], "valid string"),
    ],
)
def test_fields_that_do_not_fit_are_told_one_by_one(
    ann: httpx2.Client, body: dict[str, object], loc: list[object], words: str
) -> None:
    answer = ann.post("/model/note", json=body, headers=WAIT)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    (error,) = problem["errors"]
    assert (error["loc"], words in error["msg"]) == (loc, True)
    assert nothing_of(ann)


@pytest.mark.parametrize(
    ("operations", "loc", "words"),
    [
        ([], ["body"], "no operation"),
        ({"op": "remove", "path": "/n"}, ["body"], "list of operations"),
        ([{"op": "replce", "path": "/n", "value": 1}], ["body", 0], "did you mean 'replace'?"),
        ([*TITLE, {"op": "replace", "path": "title", "value": 1}], ["body", 1], "JSON pointer"),
        ([{"op": "replace", "path": ["title"], "value": "milk"}], ["body", 0], "list of exactly one"),
        ([{"op": "replace", "path": "/version", "value": 1}], ["body", 0], "kept by the platform"),
        ([{"op": "replace", "path": "", "value": {}}], ["body", 0], "whole document"),
        ([{"op": "remove", "path": ""}], ["body", 0], "whole document"),
        ([{"op": "replace", "path": "/n"}], ["body", 0], "no value"),
        ([{"op": "test", "path": "/n", "value": 1}] * 1_001, ["body"], "at most 1000"),
    ],
)
def test_a_patch_that_cannot_be_one_is_refused_at_once(
    ann: httpx2.Client, note: dict[str, Any], operations: object, loc: list[object], words: str
) -> None:
    answer = ann.patch(address(note), json=operations)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["loc"], words in error["msg"]) == (loc, True)
    assert unchanged(ann, note)


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_an_unknown_type_names_the_nearest(ann: httpx2.Client, method: str) -> None:
    path = "/model/nots" if method == "post" else "/model/nots/x"
    body = {"json": TITLE if method == "patch" else {}} if method in ("post", "patch") else {}
    answer = getattr(ann, method)(path, **body)
    assert (answer.status_code, "did you mean 'note'?" in answer.json()["detail"]) == (404, True)
    assert ann.get("/model/nots").status_code == 404


@pytest.mark.parametrize("header", ["x", '"0"', '"-1"', '"1", "2"', 'W/"1"', "1.5", '"' + "9" * 30 + '"'])
def test_a_version_that_is_none_is_refused(ann: httpx2.Client, note: dict[str, Any], header: str) -> None:
    answer = ann.patch(address(note), json=TITLE, headers={"If-Match": header})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["header", "If-Match"])
    assert unchanged(ann, note)


@pytest.mark.parametrize("media", ["application/merge-patch+json", "text/plain", ""])
def test_another_kind_of_patch_is_415(ann: httpx2.Client, note: dict[str, Any], media: str) -> None:
    answer = ann.patch(address(note), content=b'{"title": "milk"}', headers={"Content-Type": media})
    assert (answer.status_code, "application/json-patch+json" in answer.headers["Accept-Patch"]) == (415, True)


def test_a_document_larger_than_allowed_is_413(ann: httpx2.Client) -> None:
    answer = ann.post("/model/note", json={"title": "a", "tags": ["x" * 300_000]})
    assert (answer.status_code, "PLATFORM_DOCUMENT_MAX_BYTES" in answer.json()["detail"]) == (413, True)
    assert nothing_of(ann)


@pytest.mark.parametrize(
    ("filter", "words"),
    [
        ("{bad", "not readable JSON"),
        ('"text"', "object"),
        ('{"n": {"$gtt": 1}}', "did you mean '$gt"),
        ('{"n": {"$gt": true}}', "a number or a string"),
        ('{"$not": ' * 100 + "{}" + "}" * 100, "nested"),
        ("[" * 600 + "]" * 600, "object"),
        (json.dumps({"$or": [{"n": n} for n in range(65)]}), "64"),
        (json.dumps({"title": "x" * 4_100}), "4096"),
    ],
)
def test_a_filter_that_is_none_says_why(ann: httpx2.Client, filter: str, words: str) -> None:
    answer = ann.get("/model/note", params={"filter": filter})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["loc"], words in error["msg"]) == (422, ["query", "filter"], True)


@pytest.mark.parametrize("id", ["%00", "a%0Ab", "a:b", "x" * 201])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_id_no_document_can_have_is_404(ann: httpx2.Client, method: str, id: str) -> None:
    answer = ann.request(method, f"/model/note/{id}")
    assert (answer.status_code, "there is no note" in answer.json()["detail"]) == (404, True)


# -- what is refused in the pipeline: the same problems, nothing is stored


def test_a_patch_to_a_missing_path_is_422(ann: httpx2.Client, note: dict[str, Any]) -> None:
    answer = patched(ann, note, [*TITLE, {"op": "replace", "path": "/place/city", "value": "Ulm"}])
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["loc"], "/place/city" in error["msg"]) == (422, ["body", 1], True)
    assert unchanged(ann, note)


def test_copies_that_grow_beyond_the_limit_are_422(ann: httpx2.Client) -> None:
    long = created(ann, "note", title="long", tags=["x" * 1_000])
    doubling = [{"op": "copy", "from": "/tags", "path": "/tags/0"}] * 30
    answer = patched(ann, long, doubling)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["loc"][0], "copies are larger" in error["msg"]) == (422, "body", True)
    assert unchanged(ann, long)


def test_a_patch_that_makes_it_no_note_is_422(ann: httpx2.Client, note: dict[str, Any]) -> None:
    answer = patched(ann, note, [{"op": "replace", "path": "/title", "value": 3}])
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["loc"], "string" in error["msg"]) == (422, ["document", "title"], True)
    assert unchanged(ann, note)


def test_a_test_that_fails_is_409(ann: httpx2.Client, note: dict[str, Any]) -> None:
    answer = patched(ann, note, [{"op": "test", "path": "/title", "value": "butter"}, *TITLE])
    assert (answer.status_code, "read the document again" in answer.json()["detail"]) == (409, True)
    assert unchanged(ann, note)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_version_that_is_not_there_is_409(ann: httpx2.Client, note: dict[str, Any], method: str) -> None:
    body = {"json": TITLE} if method == "PATCH" else {}
    answer = ann.request(method, address(note), headers=WAIT | {"If-Match": '"2"'}, **body)
    assert (answer.status_code, "version 1" in answer.json()["detail"]) == (409, True)
    assert answer.json()["errors"] == [{"loc": ["header", "If-Match"], "msg": "the document's version is 1"}]
    assert unchanged(ann, note)


def test_who_does_not_wait_finds_the_refusal_in_the_job(ann: httpx2.Client, note: dict[str, Any]) -> None:
    answer = ann.patch(address(note), json=TITLE, headers={"If-Match": "5"})
    assert answer.status_code == 202
    job = ended(ann, answer.json()["job_id"])
    assert (job["state"], job["error"]["type"]) == ("failed", "VersionConflict")
    assert (job["error"]["facts"]["expected"], job["error"]["facts"]["found"]) == (5, 1)


@pytest.mark.parametrize(
    ("path", "operations", "reason", "error"),
    [
        ("/title", [{"op": "replace", "path": "/title", "value": 3}], "invalid", "InvalidDocument"),
        ("/nowhere", [{"op": "remove", "path": "/nowhere"}], "invalid", "BadPatch"),
        ("/title", [{"op": "test", "path": "/title", "value": "no"}], "rejected", "PatchConflict"),
    ],
)
def test_a_refused_change_is_a_dead_letter(
    ann: httpx2.Client,
    new_caller: Callable[..., httpx2.Client],
    note: dict[str, Any],
    path: str,
    operations: object,
    reason: str,
    error: str,
) -> None:
    job_id = ann.patch(address(note), json=operations).json()["job_id"]
    assert ended(ann, job_id)["state"] == "failed"
    letters = new_caller("operator").get("/dead-letters", params={"queue": "pipeline.write", "limit": 500}).json()
    (letter,) = [one for one in letters["items"] if one["job_id"] == job_id]
    # One run of the stage before and one of write: a refused change is not tried again.
    assert (letter["reason"], letter["error"]["type"], letter["attempts"]) == (reason, error, 2)


def test_a_stage_that_drops_a_change_says_which(ann: httpx2.Client) -> None:
    answer = ann.post("/model/note", json={"title": "spam"}, headers=WAIT)
    assert (answer.status_code, "the stage moderate dropped" in answer.json()["detail"]) == (422, True)
    assert nothing_of(ann)


def test_a_stage_that_raises_is_a_500_with_its_job(ann: httpx2.Client) -> None:
    answer = ann.post("/model/note", json={"title": "boom"}, headers=WAIT)
    assert (answer.status_code, "ValueError: on purpose" in answer.json()["detail"]) == (500, True)
    assert ann.get(answer.headers["Location"]).json()["state"] == "failed"
    assert nothing_of(ann)


def test_a_stage_that_spoils_a_document_is_told_by_the_database(ann: httpx2.Client) -> None:
    answer = ann.post("/model/note", json={"title": "spoil"}, headers=WAIT)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "title"])
    assert nothing_of(ann)


# -- the description, and the SDK


def test_every_model_is_described(shop_web: processes.Web) -> None:
    api = shop_web.http.get("/openapi.json").json()
    assert {"/model/note", "/model/note/{id}", "/model/board", "/model/task", "/model/item"} <= set(api["paths"])
    assert not any("{type}" in path for path in api["paths"] if path.startswith("/model"))
    schemas = api["components"]["schemas"]
    assert schemas["Note"]["properties"]["title"]["maxLength"] == 100
    assert {"appId", "version", "title", "tags"} <= set(schemas["NoteDocument"]["properties"])


def test_the_sdk_goes_the_same_way(shop_web: processes.Web, ann: httpx2.Client) -> None:
    key = ann.headers["Authorization"].removeprefix("Bearer ")
    with Client(shop_web.url, key) as client:
        notes = client.model("note")
        stored = notes.create({"title": "bread"}, wait_s=20)
        assert isinstance(stored, Document)
        changed = notes.patch(stored.id, TITLE, if_version=1, wait_s=20)
        assert (changed.version, notes.get(stored.id).fields["title"]) == (2, "milk")
        assert [one.id for one in notes.list({"title": "milk"})] == [stored.id]
        with pytest.raises(APIError, match="version 2") as caught:
            notes.delete(stored.id, if_version=1, wait_s=20)
        assert caught.value.status_code == 409
        notes.delete(stored.id, wait_s=20)
        assert list(notes.list()) == []


def unchanged(caller: httpx2.Client, document: dict[str, Any]) -> bool:
    return caller.get(address(document)).json() == document


def nothing_of(caller: httpx2.Client) -> bool:
    return found(caller, "note") == []
