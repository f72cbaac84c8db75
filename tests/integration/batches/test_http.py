"""``/batches``: submitting, looking, repairing, stopping, and being told what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.batches.conftest import counts, ended, items, show, submit
from tests.integration.conftest import Shop
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("shop_worker")


def test_every_item_is_run_and_its_result_kept(ann: httpx2.Client) -> None:
    batch = ended(ann, submit(ann, "square", [3, 1, 2]))
    assert counts(batch) == ("completed", 3, 0, 0)
    page = items(ann, batch)
    assert [(one["index"], one["item"], one["result"], one["attempts"]) for one in page["items"]] == [
        (0, 3, 9, 1),
        (1, 1, 1, 1),
        (2, 2, 4, 1),
    ]
    assert (page["total"], page["pages"]) == (3, 1)
    assert batch["eta_s"] == 0.0
    assert batch["rate_per_s"] > 0
    assert batch["finished_at"] >= batch["started_at"] >= batch["created_at"]


def test_a_count_is_the_numbers_below_it(ann: httpx2.Client) -> None:
    batch = ended(ann, submit(ann, "square", 250, chunk_size=40))
    assert (batch["total"], batch["completed"], batch["chunk_size"]) == (250, 250, 40)
    last = items(ann, batch, page=5, limit=50)["items"][-1]
    assert (last["index"], last["item"], last["result"]) == (249, 249, 249 * 249)


def test_results_are_lines_of_json_in_order(ann: httpx2.Client) -> None:
    batch = ended(ann, submit(ann, "picky", 30, kwargs={"bad": [7]}))
    answer = ann.get(f"/batches/{batch['batch_id']}/results")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert [line["index"] for line in lines] == list(range(30))
    assert lines[7]["error"] == {"type": "ValueError", "message": "7 is bad"}
    assert (lines[8]["result"], lines[8]["error"]) == (8, None)
    part = ann.get(f"/batches/{batch['batch_id']}/results", params={"after": 10, "limit": 5}).text.splitlines()
    assert [json.loads(line)["index"] for line in part] == [11, 12, 13, 14, 15]


def test_any_public_task_takes_items(ann: httpx2.Client) -> None:
    batch = ended(ann, submit(ann, "plain", [1, 2], kwargs={"b": 10}))
    assert [one["result"] for one in items(ann, batch)["items"]] == [11, 12]


def test_only_what_failed_is_run_again(ann: httpx2.Client, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    kwargs = {"path": str(notes), "failures": 1, "of": [2, 5]}
    batch = ended(ann, submit(ann, "noted", 8, kwargs=kwargs, max_retries=0))
    assert counts(batch) == ("failed", 6, 2, 0)
    failed = items(ann, batch, state="failed")
    assert [one["index"] for one in failed["items"]] == [2, 5]
    assert ann.post(f"/batches/{batch['batch_id']}/retry").status_code == 202
    assert counts(ended(ann, batch)) == ("completed", 8, 0, 0)
    assert sorted(notes.read_text().split()) == sorted(["0", "1", "2", "2", "3", "4", "5", "5", "6", "7"])
    assert [one["attempts"] for one in items(ann, batch)["items"]] == [1, 1, 2, 1, 1, 2, 1, 1]
    again = ann.post(f"/batches/{batch['batch_id']}/retry")
    assert (again.status_code, "nothing to run again" in again.json()["detail"]) == (409, True)


def test_a_cancelled_batch_begins_nothing_more(ann: httpx2.Client, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    batch = submit(ann, "hold", 40, kwargs={"path": str(notes)}, chunk_size=4)
    eventually(lambda: show(ann, batch)["running"] == 2)
    answer = ann.delete(f"/batches/{batch['batch_id']}")
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
    assert answer.json()["cancelled"] == 38
    Path(f"{notes}.go").touch()
    done = ended(ann, batch)
    assert counts(done) == ("cancelled", 2, 0, 38)
    assert len(notes.read_text().split()) == 2
    assert items(ann, batch, state="cancelled")["total"] == 38
    again = ann.delete(f"/batches/{batch['batch_id']}")
    assert (again.status_code, again.json()["detail"]) == (409, "the batch is cancelled already")


def test_an_item_that_does_not_stop_is_stopped_by_force(ann: httpx2.Client, tmp_path: Path) -> None:
    batch = submit(ann, "pause", 3, kwargs={"seconds": 60}, chunk_size=3)
    eventually(lambda: show(ann, batch)["running"] == 1)
    assert ann.delete(f"/batches/{batch['batch_id']}").status_code == 202
    assert counts(ended(ann, batch, 40)) == ("cancelled", 0, 0, 3)


def test_an_item_sees_that_its_batch_was_cancelled(ann: httpx2.Client, tmp_path: Path) -> None:
    batch = submit(ann, "polite", 3, kwargs={"path": str(tmp_path / "notes")}, chunk_size=3)
    eventually(lambda: show(ann, batch)["running"] == 1)
    ann.delete(f"/batches/{batch['batch_id']}")
    assert counts(ended(ann, batch)) == ("cancelled", 1, 0, 2)
    assert items(ann, batch, state="completed")["items"][0]["result"] == "stopped by itself"


def test_items_are_added_while_it_is_open(ann: httpx2.Client) -> None:
    batch = submit(ann, "square", [1, 2], open=True)
    eventually(lambda: show(ann, batch)["completed"] == 2)
    assert (show(ann, batch)["state"], show(ann, batch)["open"]) == ("running", True)
    address = f"/batches/{batch['batch_id']}/items"
    more = ann.post(address, json={"items": [3]}, headers={"Idempotency-Key": "k1"})
    assert (more.status_code, more.json()["total"]) == (202, 3)
    assert ann.post(address, json={"items": [3]}, headers={"Idempotency-Key": "k1"}).json()["total"] == 3
    assert ann.post(address, json={"items": [4], "close": True}).status_code == 202
    assert counts(ended(ann, batch)) == ("completed", 4, 0, 0)
    assert [one["result"] for one in items(ann, batch)["items"]] == [1, 4, 9, 16]
    assert ann.post(address, json={"items": [5]}).status_code == 409


def test_what_the_broker_does_not_take_is_accepted_and_run_later(
    ann: httpx2.Client, shop: Shop, tmp_path: Path
) -> None:
    """The items are in the record: a worker's duty publishes them, where a broker is."""
    kwargs = {"path": str(tmp_path / "notes"), "failures": 1, "of": [0]}
    with (
        shop.start_web(broker_url="amqp://guest:guest@127.0.0.1:1//") as web,
        httpx2.Client(base_url=web.url, headers=ann.headers, timeout=40, trust_env=False) as cut_off,
    ):
        batch = submit(cut_off, "noted", 3, open=True, kwargs=kwargs, max_retries=0)
        address = f"/batches/{batch['batch_id']}"
        assert cut_off.post(f"{address}/items", json={"items": [3], "close": True}).status_code == 202
        assert counts(ended(ann, batch)) == ("failed", 3, 1, 0)
        assert cut_off.post(f"{address}/retry").status_code == 202
    assert counts(ended(ann, batch)) == ("completed", 4, 0, 0)


def test_an_empty_batch_is_complete_and_calls_back(ann: httpx2.Client, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    batch = submit(ann, "square", [], on_complete={"task": "batched.report", "kwargs": {"path": str(notes)}})
    assert counts(ended(ann, batch)) == ("completed", 0, 0, 0)
    eventually(lambda: notes.exists() and notes.read_text() == f"ended {batch['batch_id']} completed 0 0\n")


def test_the_same_key_is_the_same_batch(ann: httpx2.Client) -> None:
    body = {"task": "batched.square", "count": 5}
    first = ann.post("/batches", json=body, headers={"Idempotency-Key": "once"}).json()
    again = ann.post("/batches", json=body, headers={"Idempotency-Key": "once"}).json()
    assert first["batch_id"] == again["batch_id"]
    assert ended(ann, first)["total"] == 5
    assert ann.get("/batches").json()["total"] == 1


def test_whoever_prefers_to_wait_is_answered_at_the_end(ann: httpx2.Client) -> None:
    answer = ann.post("/batches", json={"task": "batched.square", "count": 5}, headers={"Prefer": "wait=20"})
    assert (answer.status_code, counts(answer.json())) == (200, ("completed", 5, 0, 0))


def test_lists_are_ones_own_by_state_and_task(ann: httpx2.Client, new_caller: Callable[..., httpx2.Client]) -> None:
    first = ended(ann, submit(ann, "square", 2))
    second = ended(ann, submit(ann, "picky", 2, kwargs={"bad": [1]}))
    assert [one["batch_id"] for one in ann.get("/batches").json()["items"]] == [second["batch_id"], first["batch_id"]]
    failed = ann.get("/batches", params={"state": "failed"}).json()
    assert [one["batch_id"] for one in failed["items"]] == [second["batch_id"]]
    squares = ann.get("/batches", params={"task": "batched.square"}).json()
    assert [one["batch_id"] for one in squares["items"]] == [first["batch_id"]]
    assert new_caller().get("/batches").json()["total"] == 0
    assert new_caller("operator").get("/batches", params={"limit": 1}).json()["total"] >= 2


def test_anothers_batch_is_not_there(ann: httpx2.Client, new_caller: Callable[..., httpx2.Client]) -> None:
    batch = submit(ann, "square", 2)
    stranger, address = new_caller(app_id="elsewhere"), f"/batches/{batch['batch_id']}"
    answers = [
        stranger.get(address),
        stranger.delete(address),
        stranger.post(f"{address}/retry"),
        stranger.get(f"{address}/items"),
        stranger.get(f"{address}/results"),
        stranger.post(f"{address}/items", json={"count": 1}),
        stranger.get("/batches/no-such"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert new_caller("operator").get(address).status_code == 200


def test_a_part_of_a_batch_is_no_batch(ann: httpx2.Client) -> None:
    """The record store has more keys that begin like a batch's own."""
    batch_id = submit(ann, "square", [1], open=True)["batch_id"]
    for part in ("states", "chunks", "items:0", ""):
        address = f"/batches/{batch_id}:{part}"
        answers = [
            ann.get(address),
            ann.get(address, params={"wait": 1}),
            ann.get(f"{address}/items"),
            ann.get(f"{address}/results"),
            ann.get("/events", params={"batch": f"{batch_id}:{part}"}),
            ann.post(f"{address}/items", json={"count": 1}),
            ann.post(f"{address}/retry"),
            ann.delete(address),
        ]
        assert {answer.status_code for answer in answers} == {404}


WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "too many items": ({"items": [0] * 100_001}, 422, "100000"),
    "too high a count": ({"count": 100_001}, 422, "100000"),
    "items and count": ({"items": [1], "count": 1}, 422, "either items or count"),
    "neither": ({}, 422, "either items or count"),
    "no chunk": ({"count": 1, "chunk_size": 0}, 422, "greater than or equal to 1"),
    "a misspelt task": ({"count": 1, "task": "batched.sqare"}, 404, "did you mean 'batched.square'"),
    "a task that is not public": ({"count": 1, "task": "batched.secret"}, 404, "no public task"),
    "no such argument": ({"count": 1, "task": "batched.plain", "kwargs": {"c": 1}}, 422, "no such argument"),
    "no such callback": ({"count": 1, "on_complete": {"task": "batched.reprot"}}, 404, "batched.report"),
    "a callback without its arguments": ({"count": 1, "on_success": {"task": "batched.report"}}, 422, "path"),
    "a member too many": ({"count": 1, "on_end": {}}, 422, "on_end"),
    "a priority beyond the scale": ({"count": 1, "priority": 10}, 422, "priority"),
    "a negative count": ({"count": -1}, 422, "count"),
}


@pytest.mark.parametrize(("body", "status", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told(ann: httpx2.Client, body: dict, status: int, words: str) -> None:
    answer = ann.post("/batches", json={"task": "batched.square"} | body)
    assert answer.status_code == status, answer.text
    assert words in json.dumps(answer.json(), ensure_ascii=False)
    assert ann.get("/batches").json()["total"] == 0


def test_items_that_are_no_json_are_refused(ann: httpx2.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for text in ('{"task": "batched.square", "items": [NaN]}', '{"task": "batched.square", "items": [1,]}'):
        assert ann.post("/batches", content=text, headers=headers).status_code == 400
    assert ann.get("/batches/x/items", params={"state": "odd"}).status_code == 422


def test_a_hundred_thousand_items_are_accepted(ann: httpx2.Client) -> None:
    """More than the largest body of other requests, and more than a chunk's worth of everything."""
    given = [{"path": f"/some/folder/with/a/name/file-{number}"} for number in range(100_000)]
    batch = submit(ann, "picky", given, chunk_size=10_000)
    assert batch["total"] == 100_000
    assert items(ann, batch, page=2_000, limit=50)["items"][-1]["item"] == given[-1]
    ann.delete(f"/batches/{batch['batch_id']}")
    assert ended(ann, batch)["done"] == 100_000
    answer = ann.post(f"/batches/{batch['batch_id']}/items", json={"count": 1})
    assert answer.status_code == 409
