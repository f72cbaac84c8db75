"""Batches under way: killed, cancelled, paused; nothing is lost, nothing ends twice."""

from __future__ import annotations

import os
import signal

from tests.integration.stages.conftest import Flows
from tests.waiting import eventually

#: Of the stage ``sift``.
BATCH = 20


def test_a_worker_killed_with_a_batch_loses_nothing(flows: Flows) -> None:
    ids = flows.submit([{"kill worker": True} if n == 5 else {} for n in range(30)])
    first = flows.worker("-Q", "pipeline.sift", lease_ttl_s=2)
    eventually(lambda: not first.is_alive, 30)
    flows.worker("-Q", "pipeline.sift", lease_ttl_s=2)
    jobs = flows.ended(ids)
    assert {job.state for job in jobs.values()} == {"completed"}
    counts = flows.ledger.metrics("jobs")
    assert {field.split("\x1f")[-1]: number for field, number in counts.items()} == {"completed": "30"}


def test_what_a_killed_worker_wrote_is_not_written_again(flows: Flows) -> None:
    flows.worker("-Q", "pipeline.enrich,pipeline.sift")
    ids = flows.create(*({"n": n} for n in range(60)), notes={"drop": False})
    eventually(lambda: all(job.queue == "pipeline.write" for job in flows.jobs(ids).values()), 30)
    worker = flows.worker("-Q", "pipeline.write", lease_ttl_s=2)
    eventually(lambda: any(job.is_final for job in flows.jobs(ids).values()))
    worker.kill_group()
    flows.worker("-Q", "pipeline.write,pipeline.route,fanout", lease_ttl_s=2)
    jobs = flows.ended(ids)
    assert {job.state for job in jobs.values()} == {"completed"}
    assert {job.result["version"] for job in jobs.values()} == {1}
    eventually(lambda: len(flows.frames()) == 60)
    assert sorted(frame["data"]["n"] for frame in flows.frames()) == [*range(60)]


def test_a_worker_that_stops_ends_its_batch_first(flows: Flows) -> None:
    ids = flows.submit([{"gate": "go"}] * 20)
    worker = flows.worker("-Q", "pipeline.sift")
    eventually(lambda: sum(job.state == "running" for job in flows.jobs(ids).values()) > 0)
    running = {job_id for job_id, job in flows.jobs(ids).items() if job.state == "running"}
    worker.signal(signal.SIGTERM)
    flows.open("go")
    worker.stop()
    jobs = flows.jobs(ids)
    assert {jobs[job_id].state for job_id in running} == {"completed"}
    assert {job.attempts for job in jobs.values()} <= {0, 1}


def test_a_worker_that_is_stopped_by_force_gives_its_batch_back(flows: Flows) -> None:
    ids = flows.submit([{"gate": "go"}] * 20)
    worker = flows.worker("-Q", "pipeline.sift", shutdown_timeout_s=1)
    eventually(lambda: sum(job.state == "running" for job in flows.jobs(ids).values()) > 0)
    worker.stop()
    assert {job.state for job in flows.jobs(ids).values()} == {"pending"}
    flows.open("go")
    flows.worker("-Q", "pipeline.sift")
    assert {job.state for job in flows.ended(ids).values()} == {"completed"}


def test_a_waiting_job_that_is_cancelled_is_left_out_of_its_batch(flows: Flows) -> None:
    ids = flows.submit([{}] * 10)
    flows.ledger.cancel(ids[4])
    flows.worker("-Q", "pipeline.sift")
    jobs = flows.ended(ids)
    assert [job_id for job_id in ids if jobs[job_id].state == "cancelled"] == [ids[4]]
    assert ids[4] not in {line["id"] for line in flows.lines("done")}


def test_a_running_job_that_is_cancelled_takes_no_other_with_it(flows: Flows) -> None:
    ids = flows.submit([{"gate": "go"}] * 10)
    flows.worker("-Q", "pipeline.sift", cancel_grace_s=0)
    eventually(lambda: sum(job.state == "running" for job in flows.jobs(ids).values()) > 1)
    victim = next(job_id for job_id, job in flows.jobs(ids).items() if job.state == "running")
    flows.ledger.cancel(victim)
    eventually(lambda: flows.jobs([victim])[victim].state == "cancelled", 20)
    flows.open("go")
    jobs = flows.ended(ids)
    assert {jobs[job_id].state for job_id in ids if job_id != victim} == {"completed"}


def test_a_job_that_has_expired_is_left_out(flows: Flows) -> None:
    ids = flows.submit([{}] * 3, expires=0.01)
    others = flows.submit([{}] * 3)
    flows.worker("-Q", "pipeline.sift")
    jobs = flows.ended([*ids, *others])
    assert {(jobs[job_id].error or {})["type"] for job_id in ids} == {"Expired"}
    assert {jobs[job_id].state for job_id in others} == {"completed"}


def test_a_paused_stage_takes_nothing_until_it_is_resumed(flows: Flows) -> None:
    act = "import sys\nfrom tasks import app\nfrom platform.queueing import pauses\napp.load_everything()\n"
    act += "getattr(pauses, sys.argv[1])(['pipeline.sift'], 'somebody')"
    flows.run(act, "pause")
    flows.worker("-Q", "pipeline.sift,pipeline.email")
    ids = flows.submit([{}] * 10)
    others = flows.submit([{}] * 3, task="flows.email")  # they fail, but they are taken
    flows.ended(others)
    assert {job.attempts for job in flows.jobs(ids).values()} == {0}
    flows.run(act, "resume")
    assert {job.state for job in flows.ended(ids).values()} == {"completed"}


def test_the_most_urgent_come_first(flows: Flows) -> None:
    held = flows.submit([{"gate": "go"}])
    flows.worker("-Q", "pipeline.sift")
    eventually(lambda: flows.jobs(held)[held[0]].state == "running")
    low = flows.submit([{}] * 40, priority=1)
    high = flows.submit([{}] * 20, priority=8)
    flows.open("go")
    flows.ended([*low, *high])
    order = [line["id"] for line in flows.lines("done")][1:]
    ahead = BATCH if "TEST_BROKER_URL" in os.environ else 0  # what RabbitMQ has sent ahead is out of the order
    assert set(high) <= set(order[: 20 + ahead])
