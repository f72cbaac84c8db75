"""Schedulers killed while they act: what was due is run, late by a fail-over at most, and nothing is run twice."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.chaos.deployment import Deployment
from tests.chaos.report import report
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

SCHEDULES, BEATS, KILLS = 30, 3, 2
EVERY_S = 1.0
BETWEEN_KILLS_S = 12.0
#: What is promised: that late is a run at most whose scheduler was killed.
FAIL_OVER_S = 15.0


def test_no_run_is_missed_and_none_doubled_while_acting_schedulers_are_killed(
    deploy: Callable[..., Deployment], scale: float
) -> None:
    """``--chaos-scale=10`` kills twenty schedulers in seven minutes."""
    deployment = deploy(workers=2, concurrency=2)
    beats = {beat.pid: beat for beat in (deployment.start_beat() for _ in range(BEATS))}
    first_due = {made["id"]: _ms(made["next_run_at"]) for made in (_add(deployment, n) for n in range(SCHEDULES))}
    began, gaps = time.monotonic(), []
    for _ in range(max(1, int(KILLS * scale))):
        _run_for(deployment, BETWEEN_KILLS_S)
        acting = _acting_pid(deployment)
        assert acting is not None
        beats.pop(acting).kill()
        killed_at = time.monotonic()
        eventually(lambda killed=acting: _acting_pid(deployment) not in (None, killed), FAIL_OVER_S)
        gaps.append(time.monotonic() - killed_at)
        another = deployment.start_beat()
        beats[another.pid] = another
    _run_for(deployment, BETWEEN_KILLS_S)
    kept = [_paused(deployment, schedule_id) for schedule_id in first_due]
    took_s = time.monotonic() - began
    expected = {job_id: due_ms for one in kept for job_id, due_ms in _due(one, first_due[one["id"]]).items()}
    deployment.await_completed(expected, 60)
    jobs, runs = deployment.jobs(), deployment.effects.runs()
    late_s = {job_id: (_ms(jobs[job_id]["created_at"]) - due_ms) / 1000 for job_id, due_ms in expected.items()}
    median_ms = sorted(late_s.values())[len(late_s) // 2] * 1000
    report(
        f"{SCHEDULES} schedules every second over {BEATS} schedulers",
        f"{took_s:.0f} s, {len(gaps)} killed while they acted, another acted after {max(gaps):.1f} s at most",
        f"{len(expected)} runs due, {len(jobs)} jobs, {sum(map(len, runs.values()))} times run",
        f"late by {median_ms:.0f} ms (median), {max(late_s.values()):.1f} s at most",
    )
    assert jobs.keys() == expected.keys()
    assert {job_id: len(found) for job_id, found in runs.items()} == dict.fromkeys(expected, 1)
    assert [one["missed_runs"] for one in kept] == [0] * SCHEDULES
    assert max(late_s.values()) <= FAIL_OVER_S


def _add(deployment: Deployment, number: int) -> dict[str, Any]:
    said = {"name": f"every second {number}", "task": "toil.work", "args": [0], "every_s": EVERY_S, "missed": "all"}
    with deployment.caller() as caller:
        answer = caller.post("/schedules", json=said)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _paused(deployment: Deployment, schedule_id: str) -> dict[str, Any]:
    """It makes no run from now on."""
    with deployment.caller() as caller:
        answer = caller.post(f"/schedules/{schedule_id}/pause")
    assert answer.status_code == 200, answer.text
    return answer.json()


def _due(kept: dict[str, Any], first_ms: int) -> dict[str, int]:
    """The jobs it must have made, and when each was due: one for every second until it was paused."""
    times = [first_ms + int(EVERY_S * 1000) * n for n in range(kept["runs"])]
    assert abs(times[-1] - _ms(kept["last_run_at"])) < FAIL_OVER_S * 1000
    return {str(uuid.uuid5(uuid.UUID(kept["id"]), str(due_ms))): due_ms for due_ms in times}


def _run_for(deployment: Deployment, seconds: float) -> None:
    """Until so much has been due and done in that time that nothing is behind."""
    deadline = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= deadline, 2 * seconds)
    eventually(lambda: deployment.get("/status")["schedules"]["overdue"] == 0, FAIL_OVER_S)


def _acting_pid(deployment: Deployment) -> int | None:
    told = deployment.get("/status")["schedules"]
    return next((one["pid"] for one in told["schedulers"] if one["name"] == told["acting"]), None)


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
