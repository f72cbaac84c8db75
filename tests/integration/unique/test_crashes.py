"""However a job ends, the next equal one is accepted; while it goes on, in whatever hands, none is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
import redis

from platform.deadletters.register import dead_letters
from platform.deadletters.replaying import replay
from platform.jobs.ledger import Ledger
from tests.processes import Worker
from tests.samples import singles
from tests.waiting import eventually

NewWorker = Callable[..., Worker]
Runs = Callable[[], list[str]]
Locks = Callable[[], dict[str, str]]
ACTOR = "ann@example.com"


def is_in(records: Ledger, job_id: str, state: str) -> bool:
    return records.get(job_id).state == state


def test_a_job_whose_worker_is_killed_stands_until_another_has_done_it(
    records: Ledger, new_worker: NewWorker, folder: str, runs: Runs, open_gate: Callable[[], None], locks: Locks
) -> None:
    doomed = new_worker()
    job = singles.done.delay(folder)
    eventually(lambda: len(runs()) == 1)
    doomed.kill_group()
    assert singles.done.delay(folder).id == job.id
    new_worker()
    eventually(lambda: len(runs()) == 2, timeout_s=40)
    assert singles.done.delay(folder).id == job.id
    open_gate()
    assert job.get(timeout=15) == "a"
    assert (records.get(job.id).attempts, locks()) == (2, {})
    assert singles.done.delay(folder).id != job.id


def test_a_killed_process_is_no_end_until_it_is_the_last(
    records: Ledger, new_worker: NewWorker, folder: str, runs: Runs, locks: Locks, client: redis.Redis
) -> None:
    new_worker(max_deaths=2)
    job = singles.done.delay(folder)
    for number in (1, 2):
        eventually(lambda number=number: len(runs()) == number, timeout_s=20)
        assert singles.done.delay(folder).id == job.id
        os.kill(child_of(client, records, job.id), signal.SIGKILL)
    eventually(lambda: is_in(records, job.id, "failed"), timeout_s=20)
    assert locks() == {}
    assert singles.done.delay(folder).id != job.id


def child_of(client: redis.Redis, records: Ledger, job_id: str) -> int:
    """The one process of the pool of the worker that runs the job."""
    from platform.registry import workers_in
    from platform.settings import settings

    (worker,) = eventually(lambda: workers_in(client, settings()))
    with open(f"/proc/{worker['pid']}/task/{worker['pid']}/children") as file:
        return int(file.read().split()[-1])


def test_a_waiting_job_that_is_cancelled_stands_no_more(records: Ledger, folder: str, locks: Locks) -> None:
    for options in ({}, {"countdown": 3600}):
        job = singles.done.apply_async((folder,), **options)
        assert singles.done.delay(folder).id == job.id
        records.cancel(job.id)
        assert locks() == {}
    assert singles.done.delay(folder).id != job.id


def test_a_running_job_that_is_cancelled_stands_until_it_has_stopped(
    records: Ledger, new_worker: NewWorker, folder: str, runs: Runs, locks: Locks
) -> None:
    new_worker(cancel_grace_s=1)
    job = singles.done.delay(folder)
    eventually(lambda: len(runs()) == 1)
    records.cancel(job.id)
    assert singles.done.delay(folder).id == job.id
    eventually(lambda: is_in(records, job.id, "cancelled"), timeout_s=20)
    assert locks() == {}
    assert singles.done.delay(folder).id != job.id


def test_a_job_that_expires_before_a_worker_is_there_stands_no_more(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None]
) -> None:
    expired = singles.done.apply_async((folder,), expires=0.5)
    assert singles.done.delay(folder).id == expired.id
    following = eventually(lambda: (job := singles.done.delay(folder)).id != expired.id and job)
    open_gate()
    new_worker()
    assert following.get(timeout=15) == "a"
    eventually(lambda: is_in(records, expired.id, "failed"))


def test_a_failed_job_stands_no_more_until_it_is_replayed(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None], locks: Locks
) -> None:
    worker = new_worker()
    open_gate()
    job = singles.failing.delay(folder)
    letter_id = eventually(lambda: records.get(job.id).state == "failed" and records.get(job.id).dead_letter_id)
    eventually(lambda: dead_letters().get(letter_id))
    assert locks() == {}
    worker.stop()
    assert replay(letter_id, ACTOR).state == "replayed"
    assert list(locks().values()) == [job.id]
    assert singles.failing.delay(folder).id == job.id


def test_a_replay_goes_ahead_where_another_stands_already(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None], locks: Locks, runs: Runs
) -> None:
    worker = new_worker()
    open_gate()
    first = singles.failing.delay(folder)
    letter_id = eventually(lambda: records.get(first.id).state == "failed" and records.get(first.id).dead_letter_id)
    eventually(lambda: dead_letters().get(letter_id))
    worker.stop()
    second = singles.failing.delay(folder)
    replay(letter_id, ACTOR)
    assert (records.get(first.id).state, list(locks().values())) == ("pending", [second.id])
    new_worker()
    eventually(lambda: is_in(records, first.id, "failed") and is_in(records, second.id, "failed"), timeout_s=20)
    eventually(lambda: len(runs()) == 3)
    assert locks() == {}


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_replay_with_other_arguments_stands_for_those(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None], is_forgotten: bool
) -> None:
    worker = new_worker()
    open_gate()
    job = singles.failing.delay(folder)
    letter_id = eventually(lambda: records.get(job.id).state == "failed" and records.get(job.id).dead_letter_id)
    eventually(lambda: dead_letters().get(letter_id))
    worker.stop()
    if is_forgotten:
        records.client.zadd(f"{records.prefix}jobs:expiry", {job.id: 1})
        assert records.sweep() == 1
    dead_letters().edit(letter_id, ACTOR, args=[folder, "b"])
    replay(letter_id, ACTOR)
    assert singles.failing.delay(folder).id != job.id
    assert singles.failing.delay(folder, "b").id == job.id


def test_a_retry_is_no_conflict_and_the_job_stands_while_it_waits(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None], runs: Runs
) -> None:
    worker = new_worker()
    job = singles.retried.delay(folder)
    eventually(lambda: is_in(records, job.id, "retrying"))
    assert singles.retried.delay(folder).id == job.id
    assert worker.is_alive
    assert job.get(timeout=20) == "at last"
    assert len(runs()) == 2
