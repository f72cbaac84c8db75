from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask, g

from platform.documents import model as registry
from platform.documents.model import Model
from platform.documents.store import UnknownDocument
from web import models
from web.identity import Caller
from web.openapi import describe
from web.problems import Problem

CALLER = Caller("a-1", "ann@example.com", "user", "default", via="key")


@pytest.fixture
def note(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Model]]:
    """The only model there is."""
    monkeypatch.setattr(registry, "_models", {})

    class Note(Model):
        title: str
        n: int = 0

    return Note


@pytest.fixture
def app() -> Flask:
    return Flask("test")


@pytest.mark.parametrize(("header", "version"), [(None, 0), ("*", 0), ("3", 3), ('"3"', 3), (' "12" ', 12)])
def test_the_wanted_version_may_be_quoted_or_not(app: Flask, header: str | None, version: int) -> None:
    with app.test_request_context(headers={} if header is None else {"If-Match": header}):
        assert models._wanted_version() == version


@pytest.mark.parametrize("header", ["", "0", '"0"', '3"', 'W/"3"', '"3", "4"', "three", "9" * 19])
def test_a_version_that_is_none_is_refused(app: Flask, header: str) -> None:
    with app.test_request_context(headers={"If-Match": header}), pytest.raises(Problem) as caught:
        models._wanted_version()
    assert (caught.value.status, (caught.value.errors or [])[0]["loc"]) == (422, ["header", "If-Match"])


def test_a_change_is_the_callers(app: Flask, note: type[Model]) -> None:
    with app.test_request_context():
        g.caller = CALLER
        change = models._change("patch", "note", "n-1", patch=[])
    assert (change.app_id, change.actor, change.user_id, change.id) == ("default", "a-1", "", "n-1")


def test_the_same_key_makes_the_same_change_of_the_same_document(app: Flask, note: type[Model]) -> None:
    with app.test_request_context():
        g.caller, g.job_id = CALLER, "5cec15c2-b35c-4997-a885-9ed9f8a3f6a9"
        ids = {(models._new_id(), models._change("delete", "note", "n").change_id) for _ in range(2)}
    assert len(ids) == 1


def test_without_a_key_every_change_is_another(app: Flask, note: type[Model]) -> None:
    with app.test_request_context():
        g.caller = CALLER
        assert models._new_id() != models._new_id()
        assert models._change("delete", "note", "n").change_id != models._change("delete", "note", "n").change_id


@pytest.mark.parametrize("id", ["\x00", "a b", "a:b", "", "x" * 129])
def test_an_id_no_document_can_have_is_of_no_document(note: type[Model], id: str) -> None:
    with pytest.raises(UnknownDocument):
        models._refuse_impossible_id("note", id)


@pytest.mark.parametrize(
    ("text", "words"), [("{", "not readable"), ("null", "null"), ('"a"', "a string"), ('{"n": {"$gtt": 1}}', "$gtt")]
)
def test_a_filter_that_is_none_says_why(text: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        models._filter(text)
    (error,) = caught.value.errors or []
    assert (caught.value.status, error["loc"], words in error["msg"]) == (422, ["query", "filter"], True)


def test_a_filter_is_read_as_json() -> None:
    assert models._filter('{"n": {"$gte": 3}}') == {"n": {"$gte": 3}}
    assert models._filter(None) is None


def test_of_many_results_the_wanted_documents_counts() -> None:
    app = Flask("test")
    with app.test_request_context():
        g.caller = CALLER
        made = [{"id": "other", "type": "note", "version": 9}, {"id": "n-1", "type": "note", "version": 2}]
        change = models.Change("j-1", "delete", "default", "note", "n-1")
        assert models._deleted(change, made)["version"] == 2
        assert models._deleted(change, made[0])["version"] == 9


def test_a_stored_document_that_cannot_be_read_now_stays_accepted(
    settings_env: Callable[..., None], note: type[Model]
) -> None:
    settings_env(database_url="postgresql://127.0.0.1:1/nowhere")
    change = models.Change("j-1", "create", "default", "note", "n-1", data={"title": "a"})
    result = {"id": "n-1", "type": "note", "version": 1}
    assert models._if_readable(change, models._document_of, result) is None


def test_every_model_is_described_with_its_own_fields(note: type[Model]) -> None:
    api = describe([models.routes])
    assert set(api["paths"]) == {"/model/note", "/model/note/{id}"}
    create = api["paths"]["/model/note"]["post"]
    assert create["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Note"}
    stored = create["responses"]["201"]["content"]["application/json"]["schema"]
    assert stored == {"$ref": "#/components/schemas/NoteDocument"}
    patch = api["paths"]["/model/note/{id}"]["patch"]["requestBody"]["content"]
    assert list(patch) == ["application/json-patch+json", "application/json"]
    ids = [one["operationId"] for methods in api["paths"].values() for one in methods.values()]
    assert sorted(ids) == ["note.create", "note.delete", "note.index", "note.patch", "note.show"]


def test_a_document_that_is_not_modified_has_no_body(note: type[Model]) -> None:
    answers = describe([models.routes])["paths"]["/model/note/{id}"]["get"]["responses"]
    assert "content" not in answers["304"]
