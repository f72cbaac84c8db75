"""Frozen workers and long jobs: whoever lives keeps its job, whoever is silent too long completes nothing twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.accounting import Account
from tests.chaos.deployment import Deployment
from tests.chaos.report import report
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

TTL_S = 3.0
LONG_S = 20.0


def test_a_worker_frozen_for_longer_than_its_lease_completes_nothing_twice(
    deploy: Callable[..., Deployment], scale: float
) -> None:
    deployment = deploy(workers=2, concurrency=2, lease_ttl_s=TTL_S)
    waits, rounds = [], max(1, int(2 * scale))
    for _ in range(rounds):
        job_ids = [deployment.submit("work", 3 * TTL_S), deployment.submit("work", 1)]
        frozen = deployment.place_of(job_ids[0])
        deployment.freeze(frozen)
        frozen_at = time.time()
        eventually(lambda job_id=job_ids[0]: len(deployment.effects.runs()[job_id]) == 2, 30)
        waits.append(deployment.effects.runs()[job_ids[0]][1].started_at - frozen_at)
        deployment.thaw(frozen)
        later = [deployment.submit("work", 0.01) for _ in range(20)]
        deployment.await_completed([*job_ids, *later], 60)
        assert {deployment.jobs()[job_id]["attempts"] for job_id in later} == {1}
        assert deployment.jobs()[job_ids[0]]["attempts"] == 2
    account = Account.of(deployment, deployment.jobs())
    elsewhere = f"run elsewhere after {max(waits):.1f} s at most"
    report(
        "frozen past the lease and thawed", f"{rounds} times with a lease of {TTL_S:g} s", elsewhere, account.summary()
    )
    assert account.completions == len(account.accepted)
    assert account.lost == []
    assert all(place.worker.is_alive for place in deployment.places)


def test_a_long_job_and_one_due_in_two_hours_run_once_while_other_workers_come_and_go(
    deploy: Callable[..., Deployment], scale: float, seed: int
) -> None:
    """``--chaos-scale=30`` makes it a job of ten minutes; the two hours pass on the clock of tests."""
    long_s, chance = LONG_S * scale, random.Random(seed)
    deployment = deploy(workers=3, concurrency=1, lease_ttl_s=TTL_S)
    long = deployment.submit("long", long_s)
    due = deployment.submit("work", 0.1, eta=(datetime.now(UTC) + timedelta(hours=2)).isoformat())
    home = deployment.place_of(long)
    others = [place for place in deployment.places if place is not home]
    ends_at = time.monotonic() + long_s

    def come_and_go(share: float) -> None:
        """Until that share of the long job's time is over."""
        while time.monotonic() < ends_at - (1 - share) * long_s:
            victim = chance.choice(others)
            deployment.kill_worker(victim, whole_group=True)
            victim.worker.wait_until_ready()
            deployment.submit("work", 0.1)

    come_and_go(0.3)
    deployment.forward_clock(3600)
    come_and_go(0.5)
    assert deployment.get(f"/jobs/{due}")["state"] == "scheduled"
    deployment.forward_clock(3600)
    deployment.await_completed([due], 10)
    come_and_go(0.8)
    deployment.await_completed([long], long_s)
    runs = {job_id: len(deployment.effects.runs()[job_id]) for job_id in (long, due)}
    report(
        "a long job and one due in 2 h",
        f"{long_s:.0f} s with a lease of {TTL_S:g} s, {len(deployment.deaths)} other workers killed",
        f"{runs[long]} run of the long one, {runs[due]} of the other",
    )
    assert [deployment.jobs()[job_id]["attempts"] for job_id in runs] == list(runs.values()) == [1, 1]
    deployment.await_completed(deployment.jobs(), 30)
    assert deployment.outcomes()["completed"] == len(deployment.jobs())
