"""Jobs of workers that were killed: given back, waiting to be, or gone for good."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection

from platform.audit import orphans as checks
from platform.audit.subject import Subject
from tasks import app
from tests import processes
from tests.waiting import eventually

PREFIX = "{platform}:"
HOLD = """
import time
from tasks import app

@app.task(acks_late=False)
def early():
    time.sleep(600)

@app.task
def late():
    time.sleep(600)
"""
IS_RABBITMQ = os.environ.get("TEST_BROKER_URL", "").startswith("amqp")
on_redis = pytest.mark.skipif(IS_RABBITMQ, reason="leases are of Redis")
on_rabbitmq = pytest.mark.skipif(not IS_RABBITMQ, reason="on Redis what a worker holds is known")

New = Callable[..., Subject]
Kill = Callable[[str], Any]


def all_of(subject: Subject) -> dict[str, str]:
    return {found.code: found.severity.value for check in checks.CHECKS for found in check(subject)}


def lose(embedded: redis.Redis, broker_url: str) -> None:
    """What a broker does that comes back from an older state."""
    if IS_RABBITMQ:
        eventually(lambda: purged(broker_url))
    else:
        embedded.delete(*embedded.keys(f"{PREFIX}queue:held:*"))


def purged(broker_url: str) -> int:
    with Connection(broker_url) as connection:
        return connection.default_channel.queue_purge("offload")


@pytest.fixture
def killed(worker: Callable[..., processes.Worker], embedded: redis.Redis, tmp_path: Path) -> Kill:
    """``killed("late")``: that task's job was running on a worker that is gone, with its heartbeat."""
    (tmp_path / "hold.py").write_text(HOLD)

    def kill(task: str) -> Any:
        dying = worker(imports="hold", folder=tmp_path, lease_ttl_s=2)
        job = app.send_task(f"hold.{task}")
        eventually(lambda: job.state == "STARTED")
        dying.kill_group()
        eventually(lambda: not embedded.keys(f"{PREFIX}queue:lease:*"))
        return job

    return kill


@on_redis
def test_jobs_of_dead_workers_are_told_of(new_subject: New, killed: Kill, embedded: redis.Redis) -> None:
    killed("late")
    assert all_of(new_subject()) == {"orphans": "note"}  # its line in the registry still says it lives
    embedded.delete(*embedded.keys(f"{PREFIX}worker:*"))
    assert all_of(new_subject()) == {"orphans-without-rescuer": "warning"}


def test_a_job_whose_message_the_broker_lost_is_an_error(
    new_subject: New, killed: Kill, embedded: redis.Redis, broker_url: str
) -> None:
    job = killed("late")
    lose(embedded, broker_url)
    (found,) = checks.lost(new_subject())
    assert (found.code, found.severity) == ("jobs-without-message", "error")
    assert job.id in found.problem


@on_redis
def test_a_waiting_job_whose_message_the_broker_lost_is_an_error(
    new_subject: New, embedded: redis.Redis, broker_url: str
) -> None:
    waiting, delayed = app.send_task("hold.late"), app.send_task("hold.late", countdown=30)
    for job in (waiting, delayed):
        embedded.hset(f"{PREFIX}job:{job.id}", "ready_at", int((time.time() - checks.PUBLISHED_S - 1) * 1000))
    assert all_of(new_subject()) == {}
    embedded.delete(*embedded.keys(f"{PREFIX}queue:offload*"))
    (found,) = checks.lost(new_subject())
    assert (
        f"1 job is pending by the record alone, and the broker has no message that could start them: {waiting.id}"
        in found.problem
    )
    embedded.delete(f"{PREFIX}delayed:messages")
    assert {one.problem.split()[3] for one in checks.lost(new_subject())} == {"pending", "scheduled"}


@on_rabbitmq
def test_a_job_that_was_acknowledged_early_is_an_error(new_subject: New, killed: Kill) -> None:
    job = killed("early")
    (found,) = checks.lost(new_subject())
    assert job.id in found.problem
    assert "acks_late" in found.why


def test_a_job_that_was_given_back_and_waits_is_none_of_them(
    new_subject: New, killed: Kill, worker: Callable[..., processes.Worker], embedded: redis.Redis
) -> None:
    job = killed("late")
    worker("-Q", "batch", lease_ttl_s=2)  # gives it back and cannot run it
    eventually(lambda: not embedded.keys(f"{PREFIX}queue:held:*"))
    assert job.state == "STARTED"
    assert all_of(new_subject()) == {}


def test_a_job_that_runs_is_none_of_them(
    new_subject: New, worker: Callable[..., processes.Worker], tmp_path: Path
) -> None:
    (tmp_path / "hold.py").write_text(HOLD)
    worker(imports="hold", folder=tmp_path)
    job = app.send_task("hold.late")
    eventually(lambda: job.state == "STARTED")
    assert all_of(new_subject()) == {}
