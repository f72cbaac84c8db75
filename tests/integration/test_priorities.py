"""One scale of priority on every broker: with one busy worker, the most urgent of what waits starts first."""

from __future__ import annotations

import os
import random
from pathlib import Path

import httpx2
import pytest

from tests.integration.asking import submit
from tests.integration.conftest import Shop
from tests.waiting import eventually

JOBS = 200


@pytest.mark.skipif(os.environ.get("TEST_QUEUE_TYPE") == "quorum", reason="quorum queues have priorities from 4.0 on")
def test_of_200_waiting_jobs_the_most_urgent_start_first(shop: Shop, ann: httpx2.Client, tmp_path: Path) -> None:
    gate, order = tmp_path / "gate", tmp_path / "order"
    with shop.start_worker(concurrency=1):
        holding = submit(ann, "hold", str(gate))["job_id"]
        eventually(lambda: ann.get(f"/jobs/{holding}").json()["state"] == "running")
        priorities = [n % 10 for n in range(JOBS)]
        random.Random(7).shuffle(priorities)
        for priority in priorities:
            submit(ann, "log_start", str(order), str(priority), priority=priority)
        gate.touch()
        eventually(lambda: order.exists() and len(order.read_text().split()) == JOBS, 60)
    started = [int(line) for line in order.read_text().split()]
    # RabbitMQ hands a consumer its next message while it works on one: that one was taken before the rest came.
    assert started[1:] == sorted(started[1:], reverse=True)
