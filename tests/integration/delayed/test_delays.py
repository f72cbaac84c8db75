"""Delays of real jobs on real workers: exact, once, through restarts, in every pool."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery, Signature, group

from platform import clock
from platform.delayed.schedule import Schedule
from platform.jobs.ledger import Ledger
from platform.jobs.states import State
from tests.processes import Worker
from tests.waiting import eventually

NewWorker = Callable[..., Worker]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where tasks leave a line for every run."""
    return tmp_path / "runs"


def runs(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def is_completed(ledger: Ledger, job_id: str) -> bool:
    return ledger.get(job_id).state == "completed"


def lateness_s(ledger: Ledger, job_id: str, eta: datetime) -> float:
    began = ledger.get(job_id).started_at
    assert began is not None
    return (datetime.fromisoformat(began) - eta).total_seconds()


def test_delayed_jobs_start_within_a_second_of_their_time(
    sender: Celery, ledger: Ledger, new_worker: NewWorker, file: Path
) -> None:
    new_worker(concurrency=2)
    new_worker()
    first = datetime.now(UTC) + timedelta(seconds=1)
    etas = [first + timedelta(milliseconds=130 * number) for number in range(40)]
    jobs = {sender.send_task("waits.note", (str(file),), eta=eta).id: eta for eta in etas}
    eventually(lambda: all(is_completed(ledger, job_id) for job_id in jobs), timeout_s=20)
    late = [lateness_s(ledger, job_id, eta) for job_id, eta in jobs.items()]
    assert min(late) > -0.002  # a record's times are whole milliseconds
    assert max(late) < 1
    assert len(runs(file)) == 40


def test_nothing_of_a_delayed_job_is_in_a_worker(
    sender: Celery, ledger: Ledger, schedule: Schedule, new_worker: NewWorker, file: Path
) -> None:
    new_worker()
    job_id = sender.send_task("waits.note", (str(file),), countdown=3600).id
    canary = sender.send_task("waits.note", (str(file), "canary")).id
    eventually(lambda: is_completed(ledger, canary))
    assert ledger.get(job_id).state == "scheduled"
    kept = schedule.get(job_id)
    assert kept is not None
    assert kept.envelope.headers["eta"] is None


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads", "gevent"])
def test_a_retry_waits_in_the_schedule_whatever_the_pool(
    sender: Celery, ledger: Ledger, schedule: Schedule, new_worker: NewWorker, file: Path, pool: str
) -> None:
    worker = new_worker("--pool", pool, concurrency=2)
    job_id = sender.send_task("waits.again", (str(file), 1.5)).id
    eventually(lambda: schedule.get(job_id), poll_s=0.01)
    job = ledger.get(job_id)
    assert (job.state, job.attempts) == ("retrying", 1)
    assert job.eta is not None
    eventually(lambda: is_completed(ledger, job_id))
    assert (runs(file), ledger.get(job_id).attempts) == (["0", "1", "2"], 3)
    assert "Traceback" not in worker.text()


def test_a_retry_whose_worker_is_killed_while_it_waits_goes_on_elsewhere(
    sender: Celery, ledger: Ledger, schedule: Schedule, new_worker: NewWorker, file: Path
) -> None:
    first = new_worker()
    job_id = sender.send_task("waits.again", (str(file), 1.0, 1)).id
    eventually(lambda: schedule.get(job_id), poll_s=0.01)
    first.kill_group()
    new_worker()
    eventually(lambda: is_completed(ledger, job_id), timeout_s=20)
    assert runs(file) == ["0", "1"]


def test_a_cancelled_delayed_job_never_runs_and_leaves_nothing(
    sender: Celery, ledger: Ledger, schedule: Schedule, new_worker: NewWorker, file: Path
) -> None:
    new_worker()
    job_id = sender.send_task("waits.note", (str(file),), countdown=3600).id
    assert ledger.cancel(job_id) == "cancelled"
    eventually(lambda: schedule.get(job_id) is None)
    canary = sender.send_task("waits.note", (str(file), "canary")).id
    eventually(lambda: is_completed(ledger, canary))
    assert (runs(file), ledger.get(job_id).state) == (["canary"], "cancelled")


def test_a_woken_job_runs_before_its_time(
    sender: Celery, ledger: Ledger, schedule: Schedule, new_worker: NewWorker, file: Path
) -> None:
    new_worker()
    job_id = sender.send_task("waits.note", (str(file),), countdown=3600).id
    assert schedule.wake(job_id) is True
    eventually(lambda: is_completed(ledger, job_id))


def test_a_message_published_twice_by_a_dying_pump_is_one_run(
    sender: Celery, ledger: Ledger, schedule: Schedule, new_worker: NewWorker, file: Path
) -> None:
    job_id = sender.send_task("waits.note", (str(file),), countdown=0.01).id
    eventually(lambda: schedule.counts()["due"])
    _, taken, _ = schedule.take(10, lease_ms=1)
    with sender.producer_or_acquire() as producer:
        for _, envelope in taken:
            envelope.publish(producer, declare=[sender.amqp.queues["offload"]])
    new_worker()
    eventually(lambda: is_completed(ledger, job_id))
    canary = sender.send_task("waits.note", (str(file), "canary"), priority=0).id
    eventually(lambda: is_completed(ledger, canary) and schedule.get(job_id) is None)
    assert runs(file) == ["ran", "canary"]


def test_two_hours_on_a_test_clock_while_workers_come_and_go(
    sender: Celery, ledger: Ledger, new_worker: NewWorker, file: Path, tmp_path: Path
) -> None:
    ahead = tmp_path / "ahead"
    env = {clock.VARIABLE: str(ahead)}
    first, _ = new_worker(env=env), new_worker(env=env)
    job_id = sender.send_task("waits.note", (str(file),), eta=datetime.now(UTC) + timedelta(hours=2)).id
    first.kill_group()
    ahead.write_text("7190")
    new_worker(env=env)
    canary = sender.send_task("waits.note", (str(file), "canary")).id
    eventually(lambda: is_completed(ledger, canary))
    assert (runs(file), ledger.get(job_id).state) == (["canary"], "scheduled")
    ahead.write_text("7201")
    eventually(lambda: is_completed(ledger, job_id), timeout_s=3)
    new_worker(env=env).stop()
    assert Counter(runs(file)) == {"canary": 1, "ran": 1}
    assert ledger.get(job_id).attempts == 1


def test_links_of_a_chain_and_a_chords_body_wait_each_for_its_own_time(
    sender: Celery, ledger: Ledger, new_worker: NewWorker, file: Path
) -> None:
    new_worker(concurrency=2)

    def note(text: str) -> Signature:
        return sender.signature("waits.note", (str(file), text), immutable=True, countdown=0.3)

    (note("one") | note("two") | group(note("three"), note("three")) | note("four")).apply_async()
    eventually(lambda: runs(file) == ["one", "two", "three", "three", "four"])
    assert ledger.list(state=State.SCHEDULED).total == 0


def test_an_expired_job_is_noticed_by_a_worker_on_every_broker(
    sender: Celery, ledger: Ledger, new_worker: NewWorker, file: Path
) -> None:
    ids = [
        sender.send_task("waits.note", (str(file),), expires=0.2).id,
        sender.send_task("waits.note", (str(file),), expires=0.2, countdown=0.5).id,
    ]
    time_is_over = datetime.now(UTC) + timedelta(seconds=0.5)
    eventually(lambda: datetime.now(UTC) > time_is_over)
    new_worker()
    for job_id in ids:
        eventually(lambda job_id=job_id: ledger.get(job_id).is_final)  # type: ignore[misc]
        assert ledger.get(job_id).error == {
            "type": "Expired",
            "message": "the job's time was over before a worker was free; submit it again, with a later `expires`",
        }
    assert runs(file) == []


@pytest.mark.parametrize("countdown", ["inf", "1e300", "nan"])
def test_a_time_no_job_could_wait_for_is_refused_in_a_sentence(
    celery: Callable[..., subprocess.CompletedProcess[str]], countdown: str
) -> None:
    done = celery("jobs", "submit", "tasks.files.count", "-a", '["/x"]', "--countdown", countdown)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_years_are_waited_for_and_what_is_past_runs_at_once(
    celery: Callable[..., subprocess.CompletedProcess[str]], sender: Celery, schedule: Schedule, ledger: Ledger
) -> None:
    job_id = celery("jobs", "submit", "tasks.files.count", "-a", '["/x"]', "--countdown", "3e9").stdout.strip()
    assert (schedule.get(job_id).due_ms / 1000 - time.time()) > 2.9e9  # type: ignore[union-attr]
    listed = celery("jobs", "ls", "--state", "scheduled").stdout
    assert "Eta" in listed
    assert ledger.get(job_id).eta[:4] > "2100"  # type: ignore[index]
    past = sender.send_task("tasks.files.count", ("/x",), eta=datetime(2001, 1, 1, tzinfo=UTC)).id
    assert ledger.get(past).state == "pending"


def test_a_delayed_job_is_accepted_while_only_rabbitmq_is_away(
    celery: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = celery(
        *("jobs", "submit", "tasks.files.count", "-a", '["/x"]', "--countdown", "60"),
        broker_url="amqp://guest:guest@127.0.0.1:1//",
    )
    assert (done.returncode, done.stderr) == (0, "")
