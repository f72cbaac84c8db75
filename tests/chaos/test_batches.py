"""A large batch while its workers are killed: every item counted once, callbacks once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.deployment import Deployment
from tests.chaos.report import report
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

ITEMS = 20_000
KILLS = 2
SETTLING_S = 180


def test_workers_are_killed_under_a_large_batch(deploy: Callable[..., Deployment], scale: float) -> None:
    count = int(ITEMS * scale)
    deployment = deploy(workers=2, concurrency=2, lease_ttl_s=4)
    log, end = deployment.folder / "items", deployment.folder / "end"
    batch, accepted_s = submit(deployment, count, log, end)
    began = time.monotonic()
    for number in range(1, KILLS + 1):
        turn = count * number // (KILLS + 1)
        eventually(lambda turn=turn: seen(deployment, batch)["done"] >= turn, 600 * scale, poll_s=0.05)
        deployment.kill_worker(deployment.places[number - 1], whole_group=True)
    eventually(lambda: seen(deployment, batch)["state"] == "failed", SETTLING_S * max(1, scale), poll_s=0.5)
    took_s = time.monotonic() - began
    eventually(lambda: len(lines(end)) >= 2, 30)
    tell(seen(deployment, batch), Counter(lines(log)), lines(end), accepted_s, took_s)
    hold(deployment, seen(deployment, batch), Counter(lines(log)), lines(end), count)


def submit(deployment: Deployment, count: int, log: Path, end: Path) -> tuple[str, float]:
    told = {"task": "batched.report", "kwargs": {"path": str(end)}}
    callbacks = dict.fromkeys(("on_complete", "on_success", "on_failure"), told)
    body = {"task": "batched.toil", "items": list(range(count)), "kwargs": {"path": str(log)}, **callbacks}
    began = time.monotonic()
    with deployment.caller() as caller:
        answer = caller.post("/batches", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["batch_id"], time.monotonic() - began


def seen(deployment: Deployment, batch: str) -> dict:
    return deployment.get(f"/batches/{batch}")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def tell(batch: dict, runs: Counter[str], ends: list[str], accepted_s: float, took_s: float) -> None:
    report(
        "workers killed under a batch",
        f"{batch['total']} items accepted in {accepted_s:.1f} s",
        f"{batch['completed']} completed, {batch['failed']} failed, {KILLS} workers killed",
        f"{sum(1 for item in range(batch['total']) if runs[str(item)] > allowed(item))} items run more than once",
        f"{len(ends)} callbacks",
        f"{took_s:.0f} s, {batch['total'] / took_s:,.0f} items a second",
    )


def allowed(item: int) -> int:
    """How often an item is run if nothing is killed."""
    return 2 if item % 101 == 0 and item % 97 != 0 else 1


def hold(deployment: Deployment, batch: dict, runs: Counter[str], ends: list[str], count: int) -> None:
    unwanted = len(range(0, count, 97))
    assert (batch["total"], batch["done"], batch["running"], batch["pending"]) == (count, count, 0, 0)
    assert (batch["completed"], batch["failed"], batch["cancelled"]) == (count - unwanted, unwanted, 0)
    assert set(runs) == {str(item) for item in range(count)}
    assert all(runs[str(item)] >= allowed(item) for item in range(count))
    assert ends == [f"ended {batch['batch_id']} failed {count - unwanted} {unwanted}"] * 2
    failed = deployment.get(f"/batches/{batch['batch_id']}/items", state="failed", limit=500)
    assert failed["total"] == unwanted
    assert {one["item"] % 97 for one in failed["items"]} == {0}
