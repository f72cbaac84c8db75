"""Jobs that end their process, their worker, their memory or their time: run so often and no more, kept with what was
seen of their ends, and completed once their cause is mended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.deployment import Deployment
from tests.chaos.report import report
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)

MEGABYTE = 2**20
#: How each of ``poison``'s tasks ends: reason, runs, what the evidence says, and how much memory it held at least.
ENDS: dict[str, tuple[str, int, dict[str, Any], int]] = {
    "leave": ("worker_lost", 3, {"exit_code": 3, "deaths": 3}, 10 * MEGABYTE),
    "kill_child": ("worker_lost", 3, {"signal": "SIGKILL", "deaths": 3}, 10 * MEGABYTE),
    "exhaust": ("retries_exhausted", 3, {}, 150 * MEGABYTE),
    "overrun": ("time_limit", 1, {}, 10 * MEGABYTE),
    "kill_worker": ("worker_lost", 3, {"deaths": 3}, 0),
}
# Last: those beside it would be counted as having died with the worker.
LAST = "kill_worker"


def test_poison_is_run_so_often_and_no_more_and_completes_after_the_fix(standing: Deployment, tmp_path: Path) -> None:
    began, mended = time.monotonic(), tmp_path / "mended"
    jobs = {task: standing.submit(f"poison.{task}", str(mended)) for task in ENDS if task != LAST}
    await_failed(standing, list(jobs.values()))
    jobs[LAST] = standing.submit(f"poison.{LAST}", str(mended))
    await_failed(standing, [jobs[LAST]])
    standing.places[0].worker.wait_until_ready()
    for task, job_id in jobs.items():
        assert_is_kept(standing, task, job_id)
    died_s = time.monotonic() - began

    mended.touch()
    letters = {job_id: standing.get(f"/jobs/{job_id}")["dead_letter_id"] for job_id in jobs.values()}
    for letter_id in letters.values():
        assert standing.post(f"/dead-letters/{letter_id}/replay")["state"] == "replayed"
    standing.await_completed(letters, 30)
    for task, job_id in jobs.items():
        runs = standing.effects.runs()[job_id]
        assert (len(runs), runs[-1].ended_at is not None) == (ENDS[task][1] + 1, True), task
        assert standing.get(f"/dead-letters/{letters[job_id]}")["replayed"] == 1
    deaths = f"{len(ENDS)} kinds, dead letters after {died_s:.0f} s"
    report(f"poison on {standing.label}", deaths, f"all replayed and completed after {time.monotonic() - began:.0f} s")


def await_failed(deployment: Deployment, job_ids: list[str]) -> None:
    def have_failed() -> bool:
        deployment.revive()
        jobs = [deployment.get(f"/jobs/{job_id}") for job_id in job_ids]
        return all(job["state"] == "failed" and job["dead_letter_id"] for job in jobs)

    eventually(have_failed, 90, poll_s=0.2)


def assert_is_kept(deployment: Deployment, task: str, job_id: str) -> None:
    reason, runs, evidence, memory = ENDS[task]
    found = deployment.get("/dead-letters", task=f"poison.{task}")
    assert found["total"] == 1, task
    (letter,) = found["items"]
    seen = letter["evidence"] or {}
    assert (letter["job_id"], letter["reason"]) == (job_id, reason), letter
    assert len(deployment.effects.runs()[job_id]) == letter["attempts"] == runs, task
    assert {name: seen.get(name) for name in evidence} == evidence, letter
    assert seen.get("peak_memory_bytes", 0) >= memory, letter
