"""Jobs over HTTP, from the request to a real worker and back."""

from __future__ import annotations

import time

import httpx2
import pytest

from tests.integration.asking import ended, submit
from tests.waiting import eventually

WAIT = {"Prefer": "wait=15"}
pytestmark = pytest.mark.usefixtures("shop_worker")


def test_a_job_ends_completed_with_its_result(ann: httpx2.Client) -> None:
    job = ended(ann, submit(ann, "add", 20, 22)["job_id"])
    assert (job["state"], job["result"], job["attempts"], job["error"]) == ("completed", 42, 1, None)
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]


def test_prefer_wait_answers_200_with_the_outcome(ann: httpx2.Client) -> None:
    answer = ann.post("/jobs", json={"task": "shop.add", "args": [1, 1]}, headers=WAIT)
    assert (answer.status_code, answer.json()["result"]) == (200, 2)


def test_progress_is_seen_while_it_runs_and_cleared_for_the_next_attempt(ann: httpx2.Client) -> None:
    job_id = submit(ann, "slow", 2)["job_id"]
    seen = eventually(lambda: ann.get(f"/jobs/{job_id}").json()["progress"])
    assert (seen["total"], seen["message"]) == (50, f"step {int(seen['done'])}")
    assert ended(ann, job_id)["result"] == "done"


@pytest.mark.parametrize(
    ("task", "error_type", "text"),
    [
        ("broken", "ValueError", "it is broken"),
        ("not_json", "NotJSON", "the result is not JSON: builtins.object has no JSON form"),
        ("too_large", "TooLarge", "PLATFORM_RESULT_MAX_BYTES"),
        ("die", "WorkerCrashed", "exit code 3"),
    ],
)
def test_a_failure_says_what_went_wrong(ann: httpx2.Client, task: str, error_type: str, text: str) -> None:
    job = ended(ann, submit(ann, task)["job_id"])
    assert (job["state"], job["result"], job["error"]["type"]) == ("failed", None, error_type)
    assert text in job["error"]["message"]


def test_a_caller_that_waits_for_a_failure_is_told_of_its_dead_letter(ann: httpx2.Client) -> None:
    answer = ann.post("/jobs", json={"task": "shop.broken"}, headers={"Prefer": "wait=20"}).json()
    assert (answer["state"], answer["dead_letter_id"] is not None) == ("failed", True)


def test_retries_count_as_attempts_of_one_job(ann: httpx2.Client) -> None:
    job = ended(ann, submit(ann, "flaky", 2)["job_id"])
    assert (job["state"], job["result"], job["attempts"], job["error"]) == ("completed", "recovered", 3, None)


def test_retries_end_at_the_number_the_job_was_submitted_with(ann: httpx2.Client) -> None:
    job = ended(ann, submit(ann, "flaky", 2, max_retries=1)["job_id"])
    assert (job["state"], job["attempts"], job["max_retries"]) == ("failed", 2, 1)
    assert job["error"] == {"type": "ValueError", "message": "failure 2"}


def test_a_countdown_is_kept(ann: httpx2.Client) -> None:
    began = time.monotonic()
    job = submit(ann, "add", 1, 2, countdown=1.0)
    assert job["state"] == "scheduled"
    assert ended(ann, job["job_id"])["state"] == "completed"
    assert time.monotonic() - began >= 0.9


def test_a_running_job_stops_at_its_next_progress_report(ann: httpx2.Client) -> None:
    job_id = submit(ann, "slow", 60)["job_id"]
    eventually(lambda: ann.get(f"/jobs/{job_id}").json()["state"] == "running")
    answer = ann.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert ended(ann, job_id)["state"] == "cancelled"


def test_a_running_job_that_never_reports_is_stopped_after_the_grace_period(ann: httpx2.Client) -> None:
    job_id = submit(ann, "stubborn", 60)["job_id"]
    eventually(lambda: ann.get(f"/jobs/{job_id}").json()["state"] == "running")
    assert ann.delete(f"/jobs/{job_id}").status_code == 202
    assert ended(ann, job_id)["state"] == "cancelled"
    assert ended(ann, submit(ann, "add", 1, 2)["job_id"])["state"] == "completed"


def test_cancelling_an_ended_job_is_a_conflict(ann: httpx2.Client) -> None:
    job_id = submit(ann, "add", 1, 2)["job_id"]
    ended(ann, job_id)
    answer = ann.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()["detail"]) == (409, "the job is completed already")


def test_a_child_belongs_to_its_parents_owner(ann: httpx2.Client) -> None:
    job = ended(ann, submit(ann, "parent")["job_id"])
    child = ended(ann, job["result"])
    assert (child["parent_id"], child["owner"], child["state"]) == (job["job_id"], job["owner"], "completed")


def test_a_base_class_with_its_own_before_start_is_recorded_too(ann: httpx2.Client) -> None:
    job = ended(ann, submit(ann, "hooked")["job_id"])
    assert (job["state"], job["result"], job["attempts"]) == ("completed", True, 1)
