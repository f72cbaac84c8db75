"""Jobs that run while their broker is killed and started again run once: their workers lived."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.chaos.accounting import Account
from tests.chaos.brokers import RabbitMQ
from tests.chaos.deployment import Deployment
from tests.chaos.report import report
from tests.chaos.test_leases import TTL_S
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)

# Long enough to see the broker go, come back and deliver again, in seconds.
JOB_S = {"Valkey": 28.0, "RabbitMQ": 20.0}
# Of a lease. The worst is an outage a little shorter than one: heartbeats have lapsed, but not for long enough to
# be suspicious.
AWAY = (0.65, 0.85, 2.5)


def test_jobs_outlive_their_valkey(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(workers=3, concurrency=2, lease_ttl_s=TTL_S)
    job_ids = submit(deployment)
    for part in AWAY:
        deployment.kill_broker(part * TTL_S)
        calm_at = time.monotonic() + 1.5 * TTL_S  # by then workers may take each other for dead again
        eventually(lambda calm_at=calm_at: time.monotonic() > calm_at)
    assert_ran_once(deployment, job_ids)


def test_jobs_outlive_their_rabbitmq(deploy: Callable[..., Deployment], rabbitmq: RabbitMQ) -> None:
    """Classic and quorum queues at once: they share the node that is killed."""
    kinds = ("classic", "quorum")
    options = {"workers": 2, "concurrency": 3, "lease_ttl_s": TTL_S}
    deployments = [deploy(broker=rabbitmq.virtual_host(), queue_type=kind, **options) for kind in kinds]
    job_ids = [submit(deployment) for deployment in deployments]
    with deployments[1].outage():
        deployments[0].kill_broker(away_s=1)
    for deployment, ids in zip(deployments, job_ids, strict=True):
        assert_ran_once(deployment, ids)


def submit(deployment: Deployment) -> list[str]:
    """Six jobs, all running on return."""
    seconds = JOB_S[deployment.broker.name]
    job_ids = [deployment.submit(task, seconds) for task in ("work", "long") for _ in range(3)]
    for job_id in job_ids:
        deployment.place_of(job_id)
    return job_ids


def assert_ran_once(deployment: Deployment, job_ids: list[str]) -> None:
    seconds = JOB_S[deployment.broker.name]
    account = Account.settled(deployment, job_ids, 3 * seconds)
    lengths = ", ".join(f"{outage.ended - outage.began:.1f}" for outage in deployment.outages)
    report(f"{deployment.label} away for {lengths} s under jobs of {seconds:g} s", account.summary())
    assert account.lost == []
    assert account.repeated == []
    assert {account.jobs[job_id]["attempts"] for job_id in job_ids} == {1}
