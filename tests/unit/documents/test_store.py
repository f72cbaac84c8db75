"""Documents in the database: versions, repeats, refusals and races, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import jsonpatch
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import field_serializer, field_validator
from sqlalchemy import text

from platform import duties
from platform.database import reading
from platform.documents import store
from platform.documents.change import SYSTEM_FIELDS, Change, Committed
from platform.documents.model import Model
from tests.unit.documents.asking import asked, create, declare, delete, made, patch, refused
from tests.unit.documents.test_patch import PATCHES
from tests.unit.documents.values import DOCUMENTS

WRITERS = 4
CHANGES_EACH = 40


def stored_text(id: str = "1") -> str:
    with reading() as session:
        return str(session.scalar(text("SELECT document FROM documents WHERE id = :id"), {"id": id}))


def count(table: str) -> int:
    with reading() as session:
        return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


@pytest.fixture(autouse=True)
def note(database: str) -> type[Model]:
    return declare()


def test_a_created_document_has_the_system_fields_first_and_defaults_filled_in() -> None:
    (committed,) = made(create("1", title="x"))
    assert list(committed.document) == [*SYSTEM_FIELDS, "title", "n", "tags", "extra"]
    assert {name: committed.document[name] for name in ("appId", "userId", "type", "id", "version", "n")} == {
        "appId": "acme",
        "userId": "ann",
        "type": "note",
        "id": "1",
        "version": 1,
        "n": 0,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", committed.document["createdAt"])
    assert committed.document["updatedAt"] == committed.document["createdAt"]
    assert (committed.version, committed.before, committed.operations, committed.before_ms) == (1, None, [], 0)
    assert store.get("acme", "note", "1", reader="ann") == committed.document


def test_a_patch_makes_the_next_version_and_tells_what_was_before() -> None:
    (first,) = made(create("1", title="x"))
    (second,) = made(patch("1", ("replace", "/title", "y"), ("add", "/tags/-", "a")))
    assert (second.version, second.document["title"], second.document["tags"]) == (2, "y", ["a"])
    assert second.before == first.document
    assert second.before_ms > 0
    assert second.document["createdAt"] == first.document["createdAt"]


def test_the_operations_lead_a_follower_to_the_stored_document_byte_for_byte() -> None:
    (committed,) = made(create("1", title="x", extra={"b": 1, "a": [1, 2]}))
    follower = committed.document
    for operations in (
        [("replace", "/title", "y"), ("test", "/n", 0)],
        [("remove", "/title"), ("remove", "/n"), ("add", "/extra/c", {"d": 1.0})],
        [("move", "/extra/b", "/extra/z"), ("copy", "/extra/a", "/extra/e"), ("add", "/tags", ["é", "\U0001f600"])],
        [("add", "/n", 5), ("add", "/extra", []), ("add", "/extra/-", {"f": None}), ("copy", "/version", "/extra/0")],
    ):
        (committed,) = made(patch("1", *operations))
        follower = jsonpatch.apply_patch(follower, committed.operations)
        assert msgspec.json.encode(follower).decode() == stored_text()
        assert msgspec.json.encode(committed.document).decode() == stored_text()
        assert "test" not in [operation["op"] for operation in committed.operations]


@pytest.fixture
def one_for_all_examples(note: type[Model]) -> None:
    """The database of all examples of a property."""


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(document=DOCUMENTS, patches=st.lists(PATCHES, min_size=1, max_size=5))
def test_a_follower_of_any_patches_has_what_is_stored(
    document: dict[str, Any], patches: list[list[dict[str, Any]]], one_for_all_examples: None
) -> None:
    """Each patch in a field of the document; what it asks of no place there is refused, and leaves no gap."""
    id = uuid4().hex
    (committed,) = made(create(id, extra=document))
    follower, version = committed.document, 1
    changes = [asked("patch", id, patch=[_inside(operation) for operation in some]) for some in patches]
    for outcome in store.apply(changes):
        if isinstance(outcome, Committed):
            follower, version = jsonpatch.apply_patch(follower, outcome.operations), version + 1
            assert (outcome.version, outcome.document) == (version, follower)
    assert msgspec.json.encode(follower).decode() == stored_text(id)


def _inside(operation: dict[str, Any]) -> dict[str, Any]:
    return operation | {name: f"/extra{operation[name]}" for name in ("path", "from") if name in operation}


def test_what_a_model_makes_of_a_patch_is_among_the_operations() -> None:
    class Memo(Model):
        title: str = "none"
        total: int = 0

        @field_validator("title")
        @classmethod
        def strip(cls, title: str) -> str:
            return title.strip()

    made(asked("create", "1", type="memo", data={"title": " x ", "total": 2}))
    (committed,) = made(patch("1", ("replace", "/title", " y "), ("remove", "/total"), type="memo"))
    assert committed.operations[2:4] == [
        {"op": "add", "path": "/title", "value": "y"},
        {"op": "add", "path": "/total", "value": 0},
    ]
    follower = jsonpatch.apply_patch(committed.before, committed.operations)
    assert json.dumps(follower) == json.dumps(committed.document) == json.dumps(json.loads(stored_text()))


def test_several_changes_of_one_document_in_one_call_go_in_order() -> None:
    outcomes = made(
        create("1"),
        patch("1", ("replace", "/n", 1)),
        patch("1", ("replace", "/n", 2), if_version=2),
        delete("1"),
        create("1", n=9),
    )
    assert [outcome.version for outcome in outcomes] == [1, 2, 3, 4, 5]
    assert [outcome.document["n"] for outcome in outcomes] == [0, 1, 2, 2, 9]
    assert outcomes[2].before == outcomes[1].document
    assert store.get("acme", "note", "1", reader=None) == outcomes[4].document


def test_a_deleted_document_is_gone_and_one_made_again_goes_on_counting() -> None:
    made(create("1", title="x"))
    (deleted,) = made(delete("1"))
    assert (deleted.version, deleted.document["title"], deleted.document["version"]) == (2, "x", 1)
    with pytest.raises(store.UnknownDocument):
        store.get("acme", "note", "1", reader=None)
    assert store.find("acme", "note", reader=None).total == 0
    assert isinstance(refused(patch("1", ("replace", "/n", 1))), store.UnknownDocument)
    (again,) = made(create("1"))
    assert (again.version, again.before, again.before_ms > 0) == (3, None, True)


def test_a_change_that_comes_again_changes_nothing_and_is_answered_the_same() -> None:
    creation, change = create("1"), patch("1", ("add", "/tags/-", "a"))
    first = made(creation, change)
    made(patch("1", ("add", "/tags/-", "b")))
    assert made(change, creation) == first[::-1]
    assert store.get("acme", "note", "1", reader=None)["tags"] == ["a", "b"]
    assert count("applied_changes") == 3


def test_a_change_twice_in_one_call_is_made_once() -> None:
    creation = create("1")
    one, two = made(creation, creation)
    assert (one, count("applied_changes")) == (two, 1)


def test_notes_of_the_stages_go_through_and_are_not_stored() -> None:
    change = msgspec.structs.replace(create("1"), notes={"enrich": 1})
    assert made(change)[0].notes == {"enrich": 1}
    again = msgspec.structs.replace(change, notes={"enrich": 2})
    assert made(again)[0].notes == {"enrich": 2}


def test_a_change_id_that_stands_for_another_change_is_refused() -> None:
    creation = create("1")
    made(creation)
    error = refused(msgspec.structs.replace(creation, id="2"))
    assert isinstance(error, store.InvalidDocument)
    assert "stands for another change already" in str(error)


def test_a_refused_change_that_comes_again_is_refused_though_it_could_be_made_now() -> None:
    """Two deliveries of a change may meet: where one has told that it is refused, the other must not make it."""
    change = patch("1", ("replace", "/n", 1))
    first = refused(change)
    made(create("1"))
    again = refused(change)
    assert isinstance(first, store.UnknownDocument)
    assert (type(again), again.args, str(again)) == (type(first), first.args, str(first))
    assert store.get("acme", "note", "1", reader=None)["version"] == 1


def test_a_refused_change_that_is_replayed_may_be_made() -> None:
    change = patch("1", ("replace", "/n", 1))
    refused(change)
    replayed, replayed_again = (msgspec.structs.replace(change, replays=number) for number in (1, 2))
    refused(replayed)
    made(create("1"))
    assert isinstance(refused(replayed), store.UnknownDocument)
    assert [one.version for one in made(replayed_again, replayed_again, change)] == [2, 2, 2]


def test_an_edited_change_may_be_made_when_it_is_replayed() -> None:
    made(create("1"))
    change = patch("2", ("replace", "/n", 1))
    refused(change)
    assert made(msgspec.structs.replace(change, id="1", replays=1))[0].version == 2


def test_a_refused_change_twice_in_one_call_is_refused_twice() -> None:
    change = patch("1", ("replace", "/n", 1))
    one, creation, two = store.apply([change, create("1"), change])
    assert (type(one), type(creation), type(two)) == (store.UnknownDocument, Committed, store.UnknownDocument)


@pytest.mark.parametrize(
    "change",
    [
        create("1"),
        patch("1", ("test", "/n", 7)),
        patch("1", ("remove", "/extra/x")),
        patch("1", ("replace", "/n", "x")),
        patch("1", ("replace", "/n", 1), if_version=9),
        patch("2", ("replace", "/n", 1)),
    ],
    ids=lambda change: change.act,
)
def test_every_refusal_is_remembered_as_it_was(change: Change) -> None:
    made(create("1"))
    first, again = refused(change), refused(change)
    assert (type(again), again.facts, str(again)) == (type(first), first.facts, str(first))


def test_one_bad_change_takes_no_other_with_it() -> None:
    outcomes = store.apply(
        [
            create("1"),
            asked("create", "2", type="nte", data={}),
            create("3", n="x"),
            patch("4", ("replace", "/n", 1)),
            patch("1", ("replace", "/zz", 1)),
            patch("1", ("test", "/n", 7)),
            patch("1", ("replace", "/n", "x")),
            patch("1", ("replace", "/n", 1), if_version=9),
            create("1"),
            patch("1", ("replace", "/n", 5)),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [
        Committed,
        store.UnknownModel,
        store.InvalidDocument,
        store.UnknownDocument,
        store.BadPatch,
        store.PatchConflict,
        store.InvalidDocument,
        store.VersionConflict,
        store.DocumentExists,
        Committed,
    ]
    assert store.get("acme", "note", "1", reader=None)["n"] == 5
    assert (count("documents"), count("applied_changes")) == (1, 8)  # but the two that no document can be


def test_a_model_whose_own_code_breaks_takes_no_other_change_with_it() -> None:
    class Broken(Model):
        n: int = 0

        @field_serializer("n")
        def odd(self, n: int) -> Any:
            return "\ud800" if n else n

    outcomes = store.apply([asked("create", str(n), type="broken", data={"n": n}) for n in (0, 1, 0)])
    assert isinstance(outcomes[0], Committed)
    assert isinstance(outcomes[1], store.InvalidDocument)
    assert isinstance(outcomes[2], store.DocumentExists)


def test_no_change_and_none_that_is_sound_are_answered_without_the_database() -> None:
    assert store.apply([]) == []
    assert isinstance(refused(asked("create", "1", type="nte", data={})), store.UnknownModel)


@pytest.mark.parametrize(
    ("wrong", "loc"),
    [
        ({"id": "a:b"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "x" * 129}, "id"),
        ({"id": 7}, "id"),
        ({"app_id": "a:b"}, "app_id"),
        ({"change_id": ""}, "change_id"),
        ({"actor": "a b"}, "actor"),
        ({"user_id": "bob"}, "user_id"),
        ({"act": "replace"}, "act"),
    ],
)
def test_names_that_cannot_be_are_refused(wrong: dict[str, Any], loc: str) -> None:
    error = refused(msgspec.structs.replace(create("1"), **wrong))
    assert isinstance(error, store.InvalidDocument)
    assert [problem["loc"] for problem in error.errors] == [[loc]]


@pytest.mark.parametrize("act", ["create", "patch"])
def test_a_change_without_what_it_should_do_is_refused(act: str) -> None:
    assert isinstance(refused(asked(act, "1")), store.InvalidDocument | store.BadPatch)


def test_a_version_that_nobody_knows_is_a_conflict() -> None:
    made(create("1"))
    error = refused(delete("1", if_version=2))
    assert isinstance(error, store.VersionConflict)
    assert (error.expected, error.found) == (2, 1)
    assert isinstance(refused(msgspec.structs.replace(create("2"), if_version=1)), store.VersionConflict)
    assert made(delete("1", if_version=1))[0].version == 2


def test_another_tenants_or_owners_document_is_unknown() -> None:
    made(create("1"))
    for change in (
        patch("1", ("replace", "/n", 1), app_id="other"),
        patch("1", ("replace", "/n", 1), actor="bob"),
        delete("1", actor="bob"),
    ):
        assert isinstance(refused(change), store.UnknownDocument)
    for app_id, reader in (("other", "ann"), ("other", None), ("acme", "bob")):
        with pytest.raises(store.UnknownDocument):
            store.get(app_id, "note", "1", reader=reader)
        assert store.find(app_id, "note", reader=reader).total == 0
    assert made(patch("1", ("replace", "/n", 1), actor=""))[0].document["userId"] == "ann"


def test_a_document_of_the_app_is_everybodys_in_it() -> None:
    declare("Board", visibility="app")
    made(asked("create", "1", type="board", data={}))
    made(patch("1", ("replace", "/n", 1), type="board", actor="bob"))
    found = store.get("acme", "board", "1", reader="eve")
    assert (found["n"], found["userId"]) == (1, "ann")
    assert store.find("acme", "board", reader="eve").total == 1


def test_the_platform_makes_documents_for_users() -> None:
    (committed,) = made(msgspec.structs.replace(create("1"), actor="", user_id="bob"))
    assert (committed.user_id, committed.document["userId"]) == ("bob", "bob")


def test_a_document_that_is_too_large_is_refused(settings_env: Callable[..., None], database: str) -> None:
    settings_env(database_url=database, document_max_bytes=1024)
    made(create("1", title="x" * 500))
    assert isinstance(refused(create("2", title="x" * 1024)), store.InvalidDocument)
    assert isinstance(refused(patch("1", ("add", "/extra", "x" * 500))), store.BadPatch)
    doubling = [("add", "/extra", ["x"] * 10), *[("copy", "/extra", "/extra/-")] * 30]
    assert isinstance(refused(patch("1", *doubling)), store.BadPatch)
    assert store.get("acme", "note", "1", reader=None)["version"] == 1


def test_texts_of_any_character_are_kept_but_u0000() -> None:
    odd = '\x01\x1f"\\ \\u0000 é \u2028 \U0001f600'
    made(create("1", title=odd))
    assert store.get("acme", "note", "1", reader=None)["title"] == odd
    assert isinstance(refused(create("2", title="a\0b")), store.InvalidDocument)
    assert isinstance(refused(create("2", title="\\\0")), store.InvalidDocument)


def test_the_clock_going_back_never_makes_a_document_older(monkeypatch: pytest.MonkeyPatch) -> None:
    made(create("1"))
    before = store.get("acme", "note", "1", reader=None)["updatedAt"]
    monkeypatch.setattr(store, "_now_ms", lambda: 1_000)
    (committed,) = made(patch("1", ("replace", "/n", 1)))
    assert committed.document["updatedAt"] == before


def test_nothing_is_kept_of_a_transaction_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "encoded", lambda _: None)
    with pytest.raises(Exception, match=r"applied_changes|change_id"):
        store.apply([create("1")])
    assert (count("documents"), count("applied_changes")) == (0, 0)


def test_old_changes_and_long_deleted_documents_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = create("1")
    made(kept, create("2"), delete("2"))
    assert store.prune() == 0
    now_ms = store._now_ms()
    monkeypatch.setattr(store, "_now_ms", lambda: now_ms + 86_400_000 + 1_000)
    assert [store.prune(2), store.prune(2), store.prune(2)] == [2, 1, 0]
    assert (count("documents"), count("applied_changes")) == (2, 0)
    monkeypatch.setattr(store, "_now_ms", lambda: now_ms + store.KEEP_DELETED_S * 1_000 + 1_000)
    assert store.prune() == 1
    assert store.get("acme", "note", "1", reader=None)["version"] == 1


def test_a_worker_forgets_in_parts_until_nothing_old_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    made(*[create(str(number)) for number in range(5)])
    now_ms = store._now_ms()
    monkeypatch.setattr(store, "_now_ms", lambda: now_ms + 86_400_000 + 1_000)
    monkeypatch.setattr(duties, "SWEEP_BATCH", 2)
    duties.forget_old_changes()
    assert (count("documents"), count("applied_changes")) == (5, 0)


def _write(number: int, ids: list[str], barrier: Any) -> None:
    """Creates what is not there and patches it, each change sent twice, in batches that overlap the others'."""
    barrier.wait(30)
    chance = random.Random(number)
    for _ in range(CHANGES_EACH // 10):
        some = [chance.choice(ids) for _ in range(10)]
        creations = [create(id) for id in some]
        patches = [patch(id, ("add", "/tags/-", f"{number}")) for id in some]
        outcomes = store.apply([*creations, *patches])
        again = store.apply([*creations, *patches])
        for first, second in zip(outcomes, again, strict=True):
            assert not isinstance(first, Committed) or first == second
        assert all(isinstance(outcome, Committed) for outcome in outcomes[10:])


def test_writers_in_many_processes_count_every_version_once() -> None:
    forking = multiprocessing.get_context("fork")
    barrier = forking.Barrier(WRITERS)
    ids = [str(number) for number in range(12)]
    writers = [forking.Process(target=_write, args=(number, ids, barrier)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    found = store.find("acme", "note", reader=None, limit=100).items
    assert sum(len(document["tags"]) for document in found) == WRITERS * CHANGES_EACH
    assert all(document["version"] == len(document["tags"]) + 1 for document in found)


def test_two_that_create_one_document_at_once_leave_one_of_them_refused() -> None:
    """Each has looked and found nothing before either writes."""
    changes = [create("1"), create("1")]
    outcomes: list[Any] = []
    both_looked = threading.Barrier(2)
    looked = store._decided_before

    def look_and_wait(*args: Any) -> Any:
        found = looked(*args)
        with suppress(threading.BrokenBarrierError):  # on SQLite the other has not begun
            both_looked.wait(0.5)
        return found

    store._decided_before = look_and_wait  # type: ignore[assignment]
    try:
        threads = [threading.Thread(target=lambda c=c: outcomes.extend(store.apply([c]))) for c in changes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        store._decided_before = looked
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Committed", "DocumentExists"]


def test_one_change_delivered_to_two_at_once_is_made_once() -> None:
    made(create("1"))
    change = patch("1", ("add", "/tags/-", "a"))
    outcomes: list[Any] = []
    start = threading.Barrier(4)

    def deliver() -> None:
        start.wait(30)
        outcomes.extend(store.apply([change]))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == 4
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert store.get("acme", "note", "1", reader=None)["tags"] == ["a"]


def test_one_change_refused_by_two_at_once_is_refused_alike() -> None:
    change = patch("1", ("add", "/tags/-", "a"))
    outcomes: list[Any] = []
    start = threading.Barrier(4)

    def deliver() -> None:
        start.wait(30)
        outcomes.extend(store.apply([change]))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [type(outcome) for outcome in outcomes] == [store.UnknownDocument] * 4
    assert count("applied_changes") == 1


def test_a_change_survives_the_trip_through_a_message() -> None:
    change = patch("1", ("replace", "/n", 1))
    made(create("1"))
    decoded = msgspec.convert(json.loads(msgspec.json.encode(change)), Change)
    (committed,) = made(decoded)
    assert msgspec.json.decode(msgspec.json.encode(committed), type=Committed) == committed
