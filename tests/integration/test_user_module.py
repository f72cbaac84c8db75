"""A user's own module, outside the project, named in PLATFORM_IMPORTS: nothing else to do."""

from __future__ import annotations

import httpx2
import pytest

from tests.integration.conftest import Shop

pytestmark = pytest.mark.usefixtures("shop_worker")


def test_a_plain_task_runs_over_http(ann: httpx2.Client) -> None:
    answer = ann.post("/jobs", json={"task": "shop.add", "args": ["a", "b"]}, headers={"Prefer": "wait=15"})
    assert answer.json()["result"] == "ab"


def test_a_function_answers_with_its_result(ann: httpx2.Client) -> None:
    by_query = ann.get("/api/Calc/multiply", params={"a": 6, "b": 7})
    by_body = ann.post("/api/Calc/multiply", json={"a": 6})
    assert (by_query.status_code, by_query.json()["result"], by_body.json()["result"]) == (200, 42, 12)
    assert ann.get(f"/jobs/{by_query.json()['job_id']}").json()["task"] == "Calc.multiply"


def test_a_function_with_no_patience_answers_202_the_job(ann: httpx2.Client) -> None:
    answer = ann.get("/api/Calc/later", params={"a": 1})
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/jobs/{answer.json()['job_id']}")


def test_respond_async_answers_202_though_the_function_is_quick(ann: httpx2.Client) -> None:
    answer = ann.get("/api/Calc/multiply?a=1", headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["task"]) == (202, "Calc.multiply")


def test_a_function_that_fails_is_a_problem_that_names_the_error(ann: httpx2.Client) -> None:
    answer = ann.post("/api/Calc/fail", json={"text": "no such luck"})
    assert (answer.status_code, answer.json()["detail"]) == (500, "Calc.fail failed: ValueError: no such luck")


def test_a_provider_creates_reads_acts_and_deletes(ann: httpx2.Client) -> None:
    address, wait = "/resources/acme.shelf/box/red", {"Prefer": "wait=15"}
    put = ann.put(address, json={"size": 3}, headers=wait)
    assert (put.status_code, put.json()["state"]) == (200, "completed")
    stored = ann.get(address).json()
    assert (stored["properties"], stored["version"]) == ({"type": "box", "name": "red", "size": 3}, 1)
    acted = ann.post(f"{address}/restart", json={"hard": True}, headers=wait).json()
    assert acted["result"] == {"restarted": "red", "arguments": {"hard": True}}
    assert ann.delete(address, headers=wait).json()["result"] == {"gone": "red"}
    assert ann.get(address).status_code == 404


def test_a_provider_operation_answers_202_with_its_job(ann: httpx2.Client) -> None:
    answer = ann.put("/resources/acme.shelf/box/blue", json={})
    job = answer.json()
    assert (answer.status_code, job["queue"], job["task"]) == (202, "offload", "tasks.offload.run")
    assert answer.headers["Location"] == f"/jobs/{job['job_id']}"


def test_no_folder_is_read_that_was_not_allowed(ann: httpx2.Client, shop: Shop) -> None:
    refused = ann.get("/api/Files/statistics", params={"path": str(shop.folder)})
    assert (refused.status_code, "PLATFORM_FILES_ROOTS" in refused.json()["detail"]) == (500, True)
