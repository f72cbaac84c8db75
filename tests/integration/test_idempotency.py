"""A POST with an Idempotency-Key may be sent again: one job, one answer."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.integration.asking import ended
from tests.integration.conftest import Shop
from tests.integration.test_broker_away import frozen, valkey_pid
from tests.waiting import eventually
from web.idempotency import UNDER_WAY_S

JOB = {"task": "shop.add", "args": [1, 2]}


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def test_the_first_answer_is_given_again_and_nothing_is_submitted_twice(ann: httpx2.Client, key: dict) -> None:
    first, second = (ann.post("/jobs", json=JOB, headers=key) for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["Location"] == first.headers["Location"]
    assert (second.headers["Idempotent-Replayed"], "Idempotent-Replayed" in first.headers) == ("true", False)
    assert ann.get("/jobs").json()["total"] == 1


def test_the_same_key_with_another_body_or_path_is_refused(ann: httpx2.Client, key: dict) -> None:
    ann.post("/jobs", json=JOB, headers=key)
    for path, body in (("/jobs", JOB | {"args": [3, 4]}), ("/api/Calc/multiply", {"a": 1})):
        answer = ann.post(path, json=body, headers=key)
        assert (answer.status_code, "another request" in answer.json()["detail"]) == (422, True)
    assert ann.get("/jobs").json()["total"] == 1


def test_twenty_at_once_make_one_job(ann: httpx2.Client, key: dict) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ann.post("/jobs", json=JOB, headers=key), range(20)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["job_id"] for answer in answers if answer.status_code == 202}) == 1
    assert ann.get("/jobs").json()["total"] == 1


def test_keys_of_two_callers_have_nothing_to_do_with_each_other(new_caller, key: dict) -> None:
    first, second = (caller.post("/jobs", json=JOB, headers=key).json() for caller in (new_caller(), new_caller()))
    assert first["job_id"] != second["job_id"]


def test_a_refusal_is_an_answer_too(ann: httpx2.Client, key: dict) -> None:
    first, second = (ann.post("/jobs", json={"task": "shop.nothing"}, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code, second.json()) == (404, 404, first.json())


@pytest.mark.parametrize("bad", ["", "x" * 256, "tab\there"])
def test_a_key_that_is_none_is_refused(ann: httpx2.Client, bad: str) -> None:
    assert ann.post("/jobs", json=JOB, headers={"Idempotency-Key": bad}).status_code == 400


def test_a_request_whose_server_died_after_enqueuing_makes_no_second_job(
    shop: Shop, ann: httpx2.Client, key: dict
) -> None:
    """The answer was never kept, as if the process had been killed: the job's id comes from the key."""
    import redis

    first = ann.post("/jobs", json=JOB, headers=key).json()
    with redis.Redis.from_url(shop.redis_url) as client:
        for name in client.scan_iter("*idempotency:*"):
            client.delete(name)
    again = ann.post("/jobs", json=JOB, headers=key).json()
    assert again["job_id"] == first["job_id"]
    with shop.start_worker():
        assert ended(ann, first["job_id"])["state"] == "completed"
        other = ann.post("/jobs", json=JOB, headers={"Prefer": "wait=10"}).json()
    assert (other["state"], ann.get(f"/jobs/{first['job_id']}").json()["attempts"]) == ("completed", 1)


def test_functions_and_actions_take_keys_and_tokens_are_never_kept(ann: httpx2.Client, key: dict, shop: Shop) -> None:
    one, two = (ann.post("/api/Calc/later", json={"a": 1}, headers=key).json() for _ in range(2))
    assert one["job_id"] == two["job_id"]
    tokens = [ann.post("/session/tokens", json={}, headers=key).json()["token"] for _ in range(2)]
    assert tokens[0] != tokens[1]


def test_a_refusal_that_could_not_take_its_word_back_does_not_refuse_for_long(
    shop: Shop, ann: httpx2.Client, key: dict
) -> None:
    with frozen(valkey_pid(shop)):
        assert ann.post("/jobs", json=JOB, headers=key).status_code == 503
    thawed_at = time.monotonic()
    eventually(lambda: ann.post("/jobs", json=JOB, headers=key).status_code == 202, 15, poll_s=0.2)
    assert time.monotonic() - thawed_at < UNDER_WAY_S + 2


def test_a_request_that_takes_long_holds_its_key_all_the_time(ann: httpx2.Client, key: dict) -> None:
    waits = key | {"Prefer": f"wait={2 * UNDER_WAY_S}"}
    with ThreadPoolExecutor(1) as pool:  # nobody works, so it waits to the end
        first = pool.submit(ann.post, "/jobs", json=JOB, headers=waits)
        eventually(lambda: ann.get("/jobs").json()["total"] == 1)
        answers: list[httpx2.Response] = []
        eventually(lambda: answers.append(ann.post("/jobs", json=JOB, headers=key)) or first.done(), 30, poll_s=0.2)
    assert first.result().status_code == 202
    told = [answer.status_code == 409 or "Idempotent-Replayed" in answer.headers for answer in answers]
    assert told.count(False) == 0
    assert len(answers) > UNDER_WAY_S
