"""Many jobs in one request, all of them or none."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import redis

from tests.integration.asking import ended
from tests.integration.conftest import Shop
from tests.integration.test_broker_away import frozen, valkey_pid
from tests.processes import Worker
from tests.waiting import eventually
from web.client import Client


@pytest.fixture(scope="module")
def module_of_tasks() -> str:
    return "bulky"


@pytest.fixture
def running(shop: Shop) -> Iterator[Worker]:
    worker = shop.start_worker()
    yield worker
    worker.stop()


def bulk(caller: httpx2.Client, *jobs: dict[str, Any], **headers: str) -> httpx2.Response:
    return caller.post("/jobs/bulk", json={"jobs": list(jobs)}, headers=headers)


def add(*args: Any, **more: Any) -> dict[str, Any]:
    return {"task": "bulky.add", "args": args} | more


def total(caller: httpx2.Client) -> int:
    return caller.get("/jobs").json()["total"]


@pytest.mark.usefixtures("running")
def test_every_job_is_the_callers_and_runs(ann: httpx2.Client) -> None:
    jobs = [add(1, 2), add(3), {"task": "bulky.urgent", "kwargs": {"value": 5}, "queue": "offload", "priority": 2,
                                "max_retries": 1}, add(4, countdown=0.5)]  # fmt: skip
    answer = bulk(ann, *jobs)
    assert (answer.status_code, list(answer.json())) == (202, ["job_ids"])
    found = [ended(ann, job_id) for job_id in answer.json()["job_ids"]]
    assert [(job["state"], job["result"], job["attempts"]) for job in found] == [
        ("completed", result, 1) for result in (3, 4, 5, 5)
    ]
    assert [(job["task"], job["queue"], job["priority"], job["max_retries"]) for job in found[1:3]] == [
        ("bulky.add", "offload", 5, 3),
        ("bulky.urgent", "offload", 2, 1),
    ]
    assert len({(job["owner"], job["app_id"]) for job in found}) == 1


BAD: list[tuple[dict[str, Any], list[Any], str]] = [
    ({"task": "bulky.ad"}, ["task"], "did you mean 'bulky.add'"),
    ({"task": "bulky.limited"}, ["task"], "no public task"),
    ({"args": [1]}, ["task"], "required"),
    (add(1, 2, 3), ["args"], "too many"),
    (add(kwargs={"c": 1}), ["c"], "no such argument"),
    (add(1, queue="ofload"), ["queue"], "did you mean 'offload'"),
    (add(1, queue="dead-letter"), ["queue"], "no queue"),
    (add(1, priority=10), ["priority"], "less than or equal to 9"),
    (add(1, priority="9"), ["priority"], "valid integer"),
    (add(1, countdown=1, eta="2030-01-01T00:00:00Z"), ["eta"], "not both"),
    (add(1, eta="9999-06-01T00:00:00Z"), ["eta"], "year 9998"),
    (add(1, prority=1), ["prority"], "not permitted"),
]


@pytest.mark.parametrize(("job", "loc", "why"), BAD)
def test_one_that_does_not_fit_refuses_all_and_is_named(
    ann: httpx2.Client, job: dict[str, Any], loc: list[Any], why: str
) -> None:
    answer = bulk(ann, add(1), add(2), job, add(3))
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert [(error["loc"], why in error["msg"]) for error in problem["errors"]] == [(["body", "jobs", 2, *loc], True)]
    assert total(ann) == 0


def test_all_that_does_not_fit_is_named_at_once(ann: httpx2.Client) -> None:
    errors = bulk(ann, {"task": "x"}, add(1), add(1, 2, 3), add(1, queue="x")).json()["errors"]
    assert [error["loc"][2] for error in errors] == [0, 2, 3]


@pytest.mark.parametrize(
    "body", [{}, {"jobs": []}, {"jobs": {}}, {"jobs": [7]}, {"jobs": [add(1)], "more": 1}, [add(1)]]
)
def test_a_body_of_another_form_is_422(ann: httpx2.Client, body: Any) -> None:
    assert ann.post("/jobs/bulk", json=body).status_code == 422


def test_ten_thousand_are_taken_and_one_more_is_not(ann: httpx2.Client) -> None:
    job = {"task": "bulky.add", "args": [1]}
    assert bulk(ann, *[job] * 10_001).json()["errors"][0]["loc"] == ["body", "jobs"]
    assert total(ann) == 0
    answer = bulk(ann, *[job] * 10_000)
    assert (answer.status_code, len(set(answer.json()["job_ids"])), total(ann)) == (202, 10_000, 10_000)


def test_a_body_over_the_limit_is_413(ann: httpx2.Client) -> None:
    assert bulk(ann, add("x" * 1_100_000)).status_code == 413


def test_its_address_is_no_jobs(ann: httpx2.Client) -> None:
    answer = ann.get("/jobs/bulk")
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"OPTIONS", "POST"})
    assert ann.get("/jobs/bulky").status_code == 404


def test_nobody_submits_without_a_key(shop_web) -> None:
    assert shop_web.http.post("/jobs/bulk", json={"jobs": [add(1)]}).status_code == 401


def test_the_same_key_makes_the_same_jobs(shop: Shop, ann: httpx2.Client) -> None:
    """Also where the first answer was lost with its process."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first, again = (bulk(ann, add(1), add(2), **key) for _ in range(2))
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert bulk(ann, add(1), **key).status_code == 422
    with redis.Redis.from_url(shop.redis_url) as client:
        for name in client.scan_iter("*idempotency:*"):
            client.delete(name)
    assert bulk(ann, add(1), add(2), **key).json() == first.json()
    assert total(ann) == 2


def test_jobs_that_may_not_be_doubled_are_not(ann: httpx2.Client) -> None:
    single = {"task": "bulky.single", "args": [uuid.uuid4().hex]}
    one, two, other = bulk(ann, single, single, add(1)).json()["job_ids"]
    assert (one == two, one == other, total(ann)) == (True, False, 2)
    assert bulk(ann, single).json()["job_ids"] == [one]


def test_a_call_that_is_rejected_refuses_all(ann: httpx2.Client) -> None:
    rejecting = {"task": "bulky.rejecting", "args": [uuid.uuid4().hex]}
    standing = bulk(ann, rejecting).json()["job_ids"][0]
    answer = bulk(ann, add(1), rejecting)
    assert (answer.status_code, answer.headers["Location"]) == (409, f"/jobs/{standing}")
    assert (answer.json()["errors"][0]["loc"], total(ann)) == (["body", "jobs", 1], 1)


def test_anothers_job_stands_for_nobody_else(ann: httpx2.Client, new_caller: Callable[..., httpx2.Client]) -> None:
    single = {"task": "bulky.single", "args": [uuid.uuid4().hex]}
    bob = new_caller()
    standing = bulk(bob, single).json()["job_ids"][0]
    answer = bulk(ann, add(1), single)
    assert (answer.status_code, standing in answer.text, total(ann)) == (409, False, 0)
    assert bulk(new_caller("operator"), single).json()["job_ids"] == [standing]


def test_a_silent_server_is_503_in_time_and_may_be_asked_again(shop: Shop, ann: httpx2.Client) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    jobs = [add(number) for number in range(50)]
    with frozen(valkey_pid(shop)):
        began = time.monotonic()
        answer = bulk(ann, *jobs, **key)
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert time.monotonic() - began < 3
    answer = eventually(lambda: (found := bulk(ann, *jobs, **key)).status_code == 202 and found, 20)
    assert (len(set(answer.json()["job_ids"])), total(ann)) == (50, 50)


def test_a_server_without_memory_takes_none(shop: Shop, ann: httpx2.Client) -> None:
    with redis.Redis.from_url(shop.redis_url) as client:
        try:
            client.config_set("maxmemory", 1)
            assert bulk(ann, *[add(1)] * 100).status_code >= 500
        finally:
            client.config_set("maxmemory", 0)
    assert total(ann) == 0


def test_the_client_submits_as_many_as_there_are(ann: httpx2.Client, shop_web) -> None:
    key = ann.headers["Authorization"].removeprefix("Bearer ")
    with Client(shop_web.url, api_key=key) as client:
        ids = client.jobs.submit_many("bulky.add", ((number,) for number in range(2500)), priority=1)
        assert (len(set(ids)), client.jobs.get(ids[-1]).priority) == (2500, 1)
        assert client.jobs.submit_many("bulky.add", []) == []
    assert total(ann) == 2500
