"""A batch followed over a socket and as server-sent events, from the SDK and from a terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.batches.conftest import counts, ended, items, show, submit
from tests.integration.conftest import Shop
from tests.processes import Web
from tests.waiting import eventually
from web.client import APIError, AsyncClient, Batch, Client, NotFoundError, WaitTimeout
from web.client.sockets import BatchChanged, Refused

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture
def sdk(ann: httpx2.Client, shop_web: Web) -> Iterator[Client]:
    with Client(shop_web.url, ann.headers["Authorization"].removeprefix("Bearer ")) as client:
        yield client


def followed(events: Iterator[BatchChanged]) -> list[Batch]:
    seen = []
    for event in events:
        seen.append(event.batch)
        if event.batch.is_final:
            return seen
    raise AssertionError("the subscription ended before the batch")


def is_growing(seen: list[Batch]) -> bool:
    return [batch.done for batch in seen] == sorted(batch.done for batch in seen)


def test_a_socket_is_told_how_far_it_is(sdk: Client) -> None:
    with sdk.socket() as socket:
        batch = sdk.batches.create("batched.pause", count=60, kwargs={"seconds": 0.05}, chunk_size=10)
        seen = followed(socket.subscribe(batch=batch.batch_id))
    assert is_growing(seen)
    assert (seen[-1].state, seen[-1].done, seen[-1].completed) == ("completed", 60, 60)
    took_s = (seen[-1].finished_at - seen[-1].created_at).total_seconds()
    assert 5 < len(seen) <= 10 * took_s + 3
    assert any(batch.eta_s for batch in seen)


def test_whoever_comes_late_is_told_the_end_at_once(sdk: Client) -> None:
    batch = sdk.batches.wait(sdk.batches.create("batched.square", [1, 2]).batch_id, timeout_s=30)
    with sdk.socket() as socket:
        assert [one.state for one in followed(socket.subscribe(batch=batch.batch_id))] == ["completed"]


def test_a_repair_is_told_as_well(sdk: Client, tmp_path: Path) -> None:
    kwargs = {"path": str(tmp_path / "notes"), "failures": 1, "of": [0]}
    batch = sdk.batches.create("batched.noted", count=2, kwargs=kwargs, max_retries=0)
    with sdk.socket() as socket:
        events = socket.subscribe(batch=batch.batch_id)
        assert followed(events)[-1].state == "failed"
        sdk.batches.retry(batch.batch_id)
        assert followed(events)[-1].state == "completed"


def test_anothers_batch_cannot_be_followed(sdk: Client, new_caller: Callable[..., httpx2.Client]) -> None:
    batch = submit(new_caller(), "square", 1)
    with sdk.socket() as socket:
        for batch_id in (batch["batch_id"], "no-such"):
            with pytest.raises(Refused) as refused:
                socket.subscribe(batch=batch_id)
            assert refused.value.code == "not_found"


def test_server_sent_events_tell_it_too(ann: httpx2.Client) -> None:
    batch = submit(ann, "pause", 20, kwargs={"seconds": 0.05}, chunk_size=5)
    seen: list[dict] = []
    with ann.stream("GET", "/events", params={"batch": batch["batch_id"]}) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("data: ") and '"event":"batch"' in line:
                frame = json.loads(line.removeprefix("data: "))
                seen.append(frame["data"])
                assert frame["channel"].endswith(f":batch:{batch['batch_id']}")
            if seen and seen[-1]["state"] == "completed":
                break
    assert seen[-1]["completed"] == 20
    assert ann.get("/events", params={"batch": "no-such"}).status_code == 404


def test_the_sdk_waits_and_reads_results(sdk: Client, tmp_path: Path) -> None:
    end = tmp_path / "end"
    batch = sdk.batches.create(
        "batched.picky", range(450), kwargs={"bad": [3]}, on_failure=("batched.report", {"path": str(end)})
    )
    moves: list[Batch] = []
    done = sdk.batches.wait(batch.batch_id, timeout_s=60, on_progress=moves.append, look_s=0.1)
    assert (done.state, done.completed, done.failed) == ("failed", 449, 1)
    assert moves[-1] == done
    assert [one.index for one in sdk.batches.results(batch.batch_id)] == list(range(450))
    assert [one.error.message for one in sdk.batches.items(batch.batch_id, state="failed")] == ["3 is bad"]
    assert [one.batch_id for one in sdk.batches.list(state="failed")] == [batch.batch_id]
    with pytest.raises(APIError) as conflict:
        sdk.batches.cancel(batch.batch_id)
    assert conflict.value.status_code == 409
    with pytest.raises(NotFoundError):
        sdk.batches.get("no-such")
    eventually(lambda: end.exists() and sdk.batches.get(batch.batch_id).on_failure.job_id)


def test_the_sdk_waits_no_longer_than_it_is_told(sdk: Client) -> None:
    batch = sdk.batches.create("batched.square", [1], open=True)
    with pytest.raises(WaitTimeout) as late:
        sdk.batches.wait(batch.batch_id, timeout_s=0.5)
    assert late.value.batch.batch_id == batch.batch_id
    sdk.batches.add(batch.batch_id, [2], close=True)
    assert sdk.batches.wait(batch.batch_id, timeout_s=30).completed == 2


def test_the_sdk_awaits_as_well(sdk: Client, ann: httpx2.Client, shop_web: Web) -> None:
    async def conversation() -> list[int]:
        key = ann.headers["Authorization"].removeprefix("Bearer ")
        async with AsyncClient(shop_web.url, key) as client:
            batch = await client.batches.create("batched.square", range(5))
            assert (await client.batches.wait(batch.batch_id, timeout_s=30)).completed == 5
            return [one.result async for one in client.batches.results(batch.batch_id)]

    assert asyncio.run(conversation()) == [0, 1, 4, 9, 16]


def test_a_terminal_lists_shows_repairs_and_cancels(ann: httpx2.Client, shop: Shop, tmp_path: Path) -> None:
    kwargs = {"path": str(tmp_path / "notes"), "failures": 1, "of": [1]}
    batch = ended(ann, submit(ann, "noted", 3, kwargs=kwargs, max_retries=0))
    listed = json.loads(shop.celery("batches", "ls", "--state", "failed", "--json").stdout)
    assert batch["batch_id"] in [one["batch_id"] for one in listed]
    shown = shop.celery("batches", "show", batch["batch_id"])
    assert "item 1 failed, 1 runs: ValueError: run 1 of 1" in shown.stdout
    assert json.loads(shop.celery("batches", "show", batch["batch_id"], "--json").stdout)["failed"] == 1
    assert shop.celery("batches", "retry", batch["batch_id"]).returncode == 0
    followed = shop.celery("batches", "show", "--follow", "--json", batch["batch_id"])
    assert (followed.returncode, json.loads(followed.stdout.splitlines()[-1])["completed"]) == (0, 3)
    again = shop.celery("batches", "retry", batch["batch_id"])
    assert (again.returncode, "nothing to run again" in again.stderr) == (1, True)
    over = shop.celery("batches", "cancel", batch["batch_id"])
    assert (over.returncode, "completed already" in over.stderr) == (1, True)
    assert shop.celery("batches", "show", "no-such").returncode == 1
    assert shop.celery("batches", "ls", "--state", "odd").returncode == 2
    waiting = submit(ann, "square", 1, open=True)
    eventually(lambda: show(ann, waiting)["completed"] == 1)
    assert json.loads(shop.celery("batches", "cancel", waiting["batch_id"], "--json").stdout)["state"] in (
        "completed",
        "cancelled",
    )


def test_accounts_are_made_up_as_a_batch(ann: httpx2.Client) -> None:
    answer = ann.post("/api/accounts/generate", json={"count": 50, "priority": "high"})
    assert answer.status_code == 200, answer.text
    batch = ended(ann, answer.json()["result"])
    assert (counts(batch), batch["priority"]) == (("completed", 50, 0, 0), 8)
    made = [json.loads(line)["result"] for line in ann.get(answer.json()["result"]["results"]).text.splitlines()]
    assert len({account["email"] for account in made}) == 50
    assert items(ann, batch, limit=1)["items"][0]["result"] == made[0]
    assert ann.post("/api/accounts/generate", json={"count": 0}).status_code == 422
    assert ann.post("/api/accounts/generate", json={"count": 1, "priority": "odd"}).status_code == 422
