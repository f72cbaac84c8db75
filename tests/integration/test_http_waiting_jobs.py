"""Jobs over HTTP while no worker is there: they wait, can be listed, cancelled, and are nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.integration.asking import ended, submit
from tests.integration.conftest import Shop


def test_a_job_is_pending_until_a_worker_takes_it(ann: httpx2.Client) -> None:
    job = submit(ann, "add", 1, 2)
    assert (job["state"], job["attempts"], job["queue"], job["priority"]) == ("pending", 0, "offload", 5)
    assert ann.get(f"/jobs/{job['job_id']}").json() == job


def test_prefer_wait_answers_202_when_it_takes_longer(ann: httpx2.Client) -> None:
    answer = ann.post("/jobs", json={"task": "shop.add", "args": [1, 1]}, headers={"Prefer": "wait=0.2"})
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")


def test_a_waiting_job_that_is_cancelled_never_runs(ann: httpx2.Client, shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "ran"
    job_id = submit(ann, "log_start", str(file), "x")["job_id"]
    answer = ann.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    with shop.start_worker():
        assert ended(ann, submit(ann, "add", 1, 2)["job_id"])["state"] == "completed"
    assert not file.exists()
    assert ann.get(f"/jobs/{job_id}").json()["state"] == "cancelled"


def test_lists_are_filtered_and_paged_newest_first(ann: httpx2.Client) -> None:
    ids = [submit(ann, "add", n, n)["job_id"] for n in range(5)]
    submit(ann, "broken", queue="batch")
    page = ann.get("/jobs", params={"task": "shop.add", "limit": 2, "page": 2}).json()
    assert [job["job_id"] for job in page["items"]] == [ids[2], ids[1]]
    assert {k: page[k] for k in ("total", "page", "limit", "pages")} == {"total": 5, "page": 2, "limit": 2, "pages": 3}
    assert ann.get("/jobs", params={"queue": "batch"}).json()["total"] == 1
    assert ann.get("/jobs", params={"queue": "batch", "task": "shop.add"}).json()["total"] == 0
    assert ann.get("/jobs", params={"state": "completed"}).json()["total"] == 0


def test_another_owners_job_looks_like_none(ann: httpx2.Client, new_caller: Callable) -> None:
    job_id = submit(ann, "add", 1, 2)["job_id"]
    eve, operator = new_caller(), new_caller("operator")
    unknown = eve.get("/jobs/00000000-0000-0000-0000-000000000000")
    for answer in (eve.get(f"/jobs/{job_id}"), eve.delete(f"/jobs/{job_id}")):
        assert (answer.status_code, answer.json()["title"]) == (404, unknown.json()["title"])
    assert eve.get("/jobs").json()["total"] == 0
    assert operator.get(f"/jobs/{job_id}").status_code == 200
    assert operator.get("/jobs").json()["total"] >= 1
