"""A paused queue is left alone, whatever idles, works, starts, dies or restarts; resumed, it goes on at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import redis

from platform import embedded as server
from platform.errors import QueueNotServed, UnknownQueue
from platform.jobs.ledger import ledger
from platform.queueing.overview import queue_now
from platform.queueing.pauses import pause, paused, resume
from tests.conftest import SESSION_DIR
from tests.integration.queueing.conftest import ON_RABBITMQ, state, submit, works_on
from tests.processes import Worker
from tests.waiting import eventually

BY = "ann@example.com"


def pause_offload(*workers: Worker) -> None:
    """Pause it, and on RabbitMQ wait until the workers have followed."""
    done = [worker.text().count("Canceling queue offload") for worker in workers]
    pause(["offload"], BY)
    if ON_RABBITMQ:
        for worker, before in zip(workers, done, strict=True):
            eventually(lambda w=worker, n=before: w.text().count("Canceling queue offload") > n, 5)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_an_idle_worker_takes_nothing_and_starts_at_once_when_resumed(start: Callable[..., Worker], pool: str) -> None:
    worker = start(options=(f"--pool={pool}",))
    for _ in range(3):
        pause_offload(worker)
        job = submit("add", 1, 2)
        works_on()
        assert (state(job), queue_now("offload").depth) == ("pending", 1)
        resumed_at = time.time()
        resume(["offload"], BY)
        eventually(lambda job=job: state(job) == "completed")
        waited_s = datetime.fromisoformat(ledger().get(job).started_at).timestamp() - resumed_at
        print(f"started {waited_s:.3f} s after the resume")
        # An idle worker of Redis asks by itself once a second: sooner means that it was woken. One of RabbitMQ looks
        # once a second; without an event loop its consumer listens once in two.
        assert waited_s < (4.0 if ON_RABBITMQ else 0.5)


def test_a_busy_worker_ends_its_job_and_takes_no_other(start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start()
    gate = tmp_path / "gate"
    running = submit("hold", str(gate))
    eventually(lambda: state(running) == "running")
    waiting = [submit("add", n, n) for n in range(5)]
    pause_offload(worker)
    gate.touch()
    eventually(lambda: state(running) == "completed")
    works_on()
    # RabbitMQ hands a consumer its next message while it works on one; that one may run.
    sent_ahead = 1 if ON_RABBITMQ else 0
    assert [state(job) for job in waiting[sent_ahead:]] == ["pending"] * (5 - sent_ahead)
    resume(["offload"], BY)
    eventually(lambda: all(state(job) == "completed" for job in waiting))


def test_a_worker_that_starts_later_is_bound(start: Callable[..., Worker]) -> None:
    pause_offload()
    jobs = [submit("add", n, n) for n in range(3)]
    worker = start(concurrency=2)
    works_on()
    assert [state(job) for job in jobs] == ["pending"] * 3
    serving = eventually(lambda: queue_now("offload").consumers)
    assert len(serving) == 1
    resume(["offload"], BY)
    eventually(lambda: all(state(job) == "completed" for job in jobs))
    assert "Traceback" not in worker.text()


def test_every_queue_of_a_worker_may_be_paused(start: Callable[..., Worker]) -> None:
    pause(["offload", "batch"], BY)
    jobs = [submit("add", 1, 2, queue=queue) for queue in ("offload", "batch")]
    first, second = start(), start(concurrency=1)
    resume(["batch"], BY)
    eventually(lambda: state(jobs[1]) == "completed")
    assert state(jobs[0]) == "pending"
    assert (first.is_alive, second.is_alive) == (True, True)


def test_a_running_job_whose_worker_is_killed_waits_in_its_paused_queue(
    start: Callable[..., Worker], tmp_path: Path
) -> None:
    first = start()
    gate = tmp_path / "gate"
    job = submit("hold", str(gate))
    eventually(lambda: state(job) == "running")
    second = start()
    pause_offload(first, second)
    first.kill_group()
    eventually(lambda: queue_now("offload").depth == 1, 20)  # given back
    works_on()
    assert ledger().get(job).attempts == 1
    second.kill_group()
    start()
    works_on()
    assert ledger().get(job).attempts == 1
    gate.touch()
    resume(["offload"], BY)
    eventually(lambda: state(job) == "completed", 20)
    assert ledger().get(job).attempts == 2


def test_a_pause_survives_a_killed_server(
    start: Callable[..., Worker], embedded: redis.Redis, pytestconfig: pytest.Config
) -> None:
    worker = start()
    pause_offload(worker)
    before = paused()
    job = submit("add", 1, 2)
    eventually(lambda: embedded.execute_command("WAITAOF", 1, 0, 2000)[0] == 1)
    os.kill(int(embedded.info("server")["process_id"]), signal.SIGKILL)
    server.ensure_running(pytestconfig.stash[SESSION_DIR])
    assert paused() == before
    eventually(lambda: works_on() is None, 40)
    assert state(job) == "pending"
    resume(["offload"], BY)
    eventually(lambda: state(job) == "completed", 20)


def test_a_retry_waits_in_its_paused_queue(start: Callable[..., Worker], tmp_path: Path) -> None:
    worker = start()
    gate = tmp_path / "gate"
    job = submit("fail_after", str(gate))
    eventually(lambda: state(job) == "running")
    pause_offload(worker)
    gate.touch()
    eventually(lambda: state(job) == "retrying")
    works_on()
    assert (state(job), ledger().get(job).attempts) == ("retrying", 1)
    resume(["offload"], BY)
    eventually(lambda: state(job) == "completed")


@pytest.mark.usefixtures("embedded")
def test_who_paused_first_is_kept_and_a_resume_ends_it() -> None:
    pause(["offload"], "ann")
    first = paused()
    pause(["offload", "batch"], "bob")
    assert paused()["offload"] == first["offload"]
    assert (paused()["batch"].paused_by, set(paused())) == ("bob", {"offload", "batch"})
    resume(["offload", "offload", "fanout"], "bob")
    assert set(paused()) == {"batch"}


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("change", [pause, resume])
def test_a_wrong_name_changes_nothing(change: Callable[..., None]) -> None:
    pause(["fanout"], BY)
    with pytest.raises(UnknownQueue, match="there is no queue 'ofload'; did you mean 'offload'"):
        change(["batch", "fanout", "ofload"], BY)
    with pytest.raises(QueueNotServed, match="dead-letter"):
        change(["batch", "fanout", "dead-letter"], BY)
    assert set(paused()) == {"fanout"}
