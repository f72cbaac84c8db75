"""Unique tasks over HTTP: the job that stands for a call is the answer, if the caller may see it; else 409."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import redis

from tests.integration.asking import ended
from tests.integration.conftest import Shop
from tests.processes import Worker
from tests.waiting import eventually

STANDS = "the task is unique, and another job stands for this call"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """The file that jobs wait for; there after the test, so that none of them keeps the worker from the next."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def post(caller: httpx2.Client, task: str, gate: Path, **headers: str) -> httpx2.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.post("/jobs", json={"task": f"shop.{task}", "args": [str(gate)]}, headers=names)


def test_the_same_call_is_answered_with_the_same_job(ann: httpx2.Client, gate: Path) -> None:
    first, second = post(ann, "sync", gate), post(ann, "sync", gate)
    assert (second.status_code, second.json()["job_id"]) == (202, first.json()["job_id"])
    assert second.headers["Location"] == first.headers["Location"]
    assert ann.get("/jobs").json()["total"] == 1


def test_many_at_once_make_one_job(ann: httpx2.Client, gate: Path) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(ann, "sync", gate), range(40)))
    assert ({answer.status_code for answer in answers}, len({a.json()["job_id"] for a in answers})) == ({202}, 1)
    assert ann.get("/jobs").json()["total"] == 1


def test_whoever_prefers_to_wait_waits_for_that_job(
    ann: httpx2.Client, gate: Path, shop: Shop, shop_worker: Worker
) -> None:
    first = post(ann, "sync", gate)
    channel = "{platform}:job:" + first.json()["job_id"]
    with ThreadPoolExecutor(1) as pool, redis.Redis.from_url(shop.redis_url) as client:
        waiting = pool.submit(post, ann, "sync", gate, Prefer="wait=20")
        eventually(lambda: client.pubsub_numsub(channel)[0][1])
        gate.touch()
        answer = waiting.result()
    body = answer.json()
    assert (answer.status_code, body["result"]) == (200, "synced")
    assert body["job_id"] == first.json()["job_id"]
    assert ended(ann, post(ann, "sync", gate).json()["job_id"])["job_id"] != body["job_id"]


@pytest.mark.parametrize("task", ["sync", "import_once"])
def test_anothers_job_is_a_conflict_without_details(
    new_caller: Callable[..., httpx2.Client], gate: Path, task: str
) -> None:
    job_id = post(new_caller(), task, gate).json()["job_id"]
    answer = post(new_caller(), task, gate)
    assert (answer.status_code, answer.json()["detail"]) == (409, STANDS)
    assert "Location" not in answer.headers
    assert job_id not in answer.text


def test_an_operator_is_shown_anothers_job(new_caller: Callable[..., httpx2.Client], gate: Path) -> None:
    job_id = post(new_caller(), "sync", gate).json()["job_id"]
    answer = post(new_caller("operator"), "sync", gate)
    assert (answer.status_code, answer.json()["job_id"]) == (202, job_id)


def test_a_rejecting_task_is_a_conflict_that_names_ones_own_job(ann: httpx2.Client, gate: Path) -> None:
    job_id = post(ann, "import_once", gate).json()["job_id"]
    answer = post(ann, "import_once", gate)
    assert (answer.status_code, answer.headers["Location"]) == (409, f"/jobs/{job_id}")
    sentence = f"shop.import_once is unique, and its job {job_id} has not ended yet; no other one was submitted"
    assert answer.json()["detail"] == sentence


def test_a_key_and_a_unique_task_both_hold(ann: httpx2.Client, gate: Path) -> None:
    keys = [uuid.uuid4().hex for _ in range(2)]
    first = post(ann, "import_once", gate, Idempotency_Key=keys[0])
    again = post(ann, "import_once", gate, Idempotency_Key=keys[0])
    assert (again.status_code, again.json()) == (202, first.json())
    assert post(ann, "import_once", gate, Idempotency_Key=keys[1]).status_code == 409
    ids = [post(ann, "sync", gate, Idempotency_Key=key).json()["job_id"] for key in (keys[1] + "x", keys[0] + "x")]
    assert ids[0] == ids[1]
    assert ann.get("/jobs").json()["total"] == 2


def test_a_function_may_be_unique(
    new_caller: Callable[..., httpx2.Client], ann: httpx2.Client, shop_worker: Worker
) -> None:
    stranger = new_caller()

    def call(caller: httpx2.Client, wait_s: int) -> httpx2.Response:
        return caller.post("/api/Calc/double", json={"n": 4}, headers={"Prefer": f"wait={wait_s}"})

    first, strangers, second = call(ann, 0), call(stranger, 0), call(ann, 20)
    assert (first.status_code, strangers.status_code, second.status_code) == (202, 409, 200)
    assert second.json() == {"result": 8, "job_id": first.json()["job_id"]}
