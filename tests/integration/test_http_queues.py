"""Queues over HTTP: everybody may look, operators may pause and resume."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from platform.queues import BUILT_IN
from tests.integration.asking import ended, submit
from tests.integration.queueing.conftest import ON_RABBITMQ
from tests.processes import Web, Worker
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture
def operator(new_caller: Callable[..., httpx2.Client]) -> httpx2.Client:
    return new_caller("operator")


def queue(caller: httpx2.Client, name: str) -> dict:
    return next(q for q in caller.get("/queues").json()["items"] if q["name"] == name)


def test_everybody_signed_in_sees_every_queue(ann: httpx2.Client, shop_web: Web) -> None:
    page = ann.get("/queues").json()
    assert [q["name"] for q in page["items"]] == list(BUILT_IN)
    assert (page["total"], page["pages"]) == (len(BUILT_IN), 1)
    assert [q["name"] for q in ann.get("/queues", params={"limit": 2, "page": 2}).json()["items"]] == list(BUILT_IN)[
        2:4
    ]
    assert ann.get("/queues/batch").json()["name"] == "batch"
    assert shop_web.http.get("/queues").status_code == 401


def test_an_operator_pauses_and_resumes(operator: httpx2.Client, ann: httpx2.Client) -> None:
    answer = operator.post("/queues/fanout/pause")
    paused = answer.json()
    assert (answer.status_code, paused["name"], paused["paused"]) == (200, "fanout", True)
    assert paused["paused_by"].endswith("@example.com")
    assert paused["paused_at"].endswith("Z")
    assert operator.post("/queues/fanout/pause").json()["paused_at"] == paused["paused_at"]
    assert queue(ann, "fanout")["paused_by"] == paused["paused_by"]
    assert 'platform_queue_paused{queue="fanout"} 1.0' in ann.get("/metrics").text
    for _ in range(2):
        resumed = operator.post("/queues/fanout/resume").json()
        assert (resumed["paused"], resumed["paused_at"], resumed["paused_by"]) == (False, None, None)
    assert 'platform_queue_paused{queue="fanout"} 0.0' in ann.get("/metrics").text


def test_a_raised_limit_lets_waiting_jobs_start_at_once(
    operator: httpx2.Client, ann: httpx2.Client, tmp_path: object
) -> None:
    answer = operator.put("/queues/offload/limits", json={"concurrency": 1, "rate": None})
    limits = answer.json()["limits"]
    assert (answer.status_code, limits["concurrency"], limits["rate"]) == (200, 1, None)
    assert (limits["set_by"].endswith("@example.com"), limits["set_at"].endswith("Z")) == (True, True)
    gate = f"{tmp_path}/gate"
    jobs = [submit(ann, "hold", gate)["job_id"] for _ in range(4)]
    wanted = {"running": 1, "limited": 3, "depth": 0}
    eventually(lambda: queue(ann, "offload").items() >= wanted.items())
    waiting = [job for job in jobs if ann.get(f"/jobs/{job}").json()["waiting_for"] == "limit queue:offload"]
    assert len(waiting) == 3
    assert 'platform_queue_limited_jobs{queue="offload"} 3.0' in ann.get("/metrics").text
    operator.put("/queues/offload/limits", json={"concurrency": 2})
    eventually(lambda: queue(ann, "offload")["running"] == 2, 5)
    assert queue(ann, "offload")["limited"] == 2
    assert operator.put("/queues/offload/limits", json={"concurrency": None}).json()["limits"] is None
    with open(gate, "w"):
        pass
    assert [ended(ann, job)["state"] for job in jobs] == ["completed"] * 4
    assert queue(ann, "offload")["limited"] == 0


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], {"rate": "fast"}, {"rate": "-1/s"}, {"rate": 10}, {"concurrency": 0}, {"concurrency": 1001}),
        *({"concurrency": True}, {"concurrency": "2"}, {"rate": "1/s", "burst": 2}),
    ],
)
def test_a_limit_that_makes_no_sense_is_422(operator: httpx2.Client, body: object) -> None:
    answer = operator.put("/queues/batch/limits", json=body)
    assert (answer.status_code, bool(answer.json()["errors"])) == (422, True)
    assert queue(operator, "batch")["limits"] is None


def test_who_held_a_queue_back_is_in_the_audit_trail(operator: httpx2.Client) -> None:
    operator.post("/queues/fanout/pause")
    operator.post("/queues/fanout/resume")
    operator.put("/queues/fanout/limits", json={"rate": "10/s"})
    operator.put("/queues/fanout/limits", json={"concurrency": None, "rate": None})
    operator.put("/queues/ofload/limits", json={"rate": "10/s"})
    acts = operator.get("/audit", params={"action": "queue.", "subject": "fanout", "limit": 4}).json()["items"]
    assert [act["action"] for act in acts] == ["queue.limit", "queue.limit", "queue.resume", "queue.pause"]
    assert acts[0]["details"] == {
        "before": {"concurrency": None, "rate": "10/s"},
        "after": {"concurrency": None, "rate": None},
    }
    assert all(act["actor"].endswith("@example.com") for act in acts)
    assert operator.get("/audit", params={"subject": "ofload"}).json()["total"] == 0


def test_a_user_may_neither_pause_nor_resume_nor_limit(ann: httpx2.Client) -> None:
    assert ann.put("/queues/offload/limits", json={"concurrency": 1}).status_code == 403
    for verb in ("pause", "resume"):
        answer = ann.post(f"/queues/offload/{verb}")
        assert (answer.status_code, "role operator" in answer.json()["detail"]) == (403, True)
    assert queue(ann, "offload")["paused"] is False


def test_a_name_that_is_no_queue_is_404_with_the_nearest(operator: httpx2.Client) -> None:
    for answer in (
        operator.get("/queues/ofload"),
        *(operator.post(f"/queues/ofload/{v}") for v in ("pause", "resume")),
        operator.put("/queues/ofload/limits", json={"concurrency": 1}),
    ):
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert answer.json()["detail"] == "there is no queue 'ofload'; did you mean 'offload'?"


def test_the_dead_letters_can_be_neither_paused_nor_limited(operator: httpx2.Client) -> None:
    assert operator.put("/queues/dead-letter/limits", json={"rate": "1/s"}).status_code == 409
    for verb in ("pause", "resume"):
        answer = operator.post(f"/queues/dead-letter/{verb}")
        assert (answer.status_code, "dead-letter" in answer.json()["detail"]) == (409, True)


def test_what_waits_is_counted_by_priority(operator: httpx2.Client, ann: httpx2.Client, shop_worker: Worker) -> None:
    operator.post("/queues/batch/pause")
    if ON_RABBITMQ:
        shop_worker.wait_for("Canceling queue batch", 5)
    jobs = [submit(ann, "add", 1, 2, queue="batch", priority=p)["job_id"] for p in (9, 9, 5, 0)]
    seen = queue(ann, "batch")
    counted = dict.fromkeys("9876543210", 0) | {"9": 2, "5": 1, "0": 1}
    assert (seen["depth"], seen["by_priority"]) == (4, None if ON_RABBITMQ else counted)
    assert 0 <= seen["oldest_age_s"] < 30
    assert len(eventually(lambda: queue(ann, "batch")["consumers"])) == 1
    operator.post("/queues/batch/resume")
    assert [ended(ann, job)["state"] for job in jobs] == ["completed"] * 4
    after = queue(ann, "batch")
    assert (after["depth"], after["oldest_age_s"]) == (0, None)
    assert after["by_priority"] == (None if ON_RABBITMQ else dict.fromkeys("9876543210", 0))


def test_jobs_that_run_or_wait_for_their_time_are_counted(ann: httpx2.Client, tmp_path: object) -> None:
    gate = f"{tmp_path}/gate"
    running = submit(ann, "hold", gate, queue="pipeline.write")["job_id"]
    later = submit(ann, "add", 1, 2, queue="pipeline.write", countdown=3600)["job_id"]
    eventually(lambda: ann.get(f"/jobs/{running}").json()["state"] == "running")
    seen = queue(ann, "pipeline.write")
    assert (seen["running"], seen["scheduled"], seen["retrying"]) == (1, 1, 0)
    with open(gate, "w"):
        pass
    ended(ann, running)
    assert ann.delete(f"/jobs/{later}").status_code == 200


def test_the_rates_are_those_of_the_last_minute(ann: httpx2.Client) -> None:
    assert queue(ann, "pipeline.route")["rates"] == {"in_per_s": 0.0, "out_per_s": 0.0, "failed_per_s": 0.0}
    jobs = [submit(ann, name, queue="pipeline.route")["job_id"] for name in ["broken"] * 6]
    jobs += [submit(ann, "add", 1, 2, queue="pipeline.route")["job_id"] for _ in range(24)]
    for job in jobs:
        ended(ann, job)
    rates = queue(ann, "pipeline.route")["rates"]
    assert 30 / 60 <= rates["in_per_s"] <= 30 / 50
    assert 30 / 60 <= rates["out_per_s"] <= 30 / 50
    assert 6 / 60 <= rates["failed_per_s"] <= 6 / 50
