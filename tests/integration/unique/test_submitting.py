"""What a submitter of a unique task's second job gets, in every way of submitting."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from platform.errors import BrokerUnavailable, NotUnique
from platform.jobs.ledger import Ledger
from tests.processes import Worker
from tests.samples import singles
from tests.waiting import eventually

NewWorker = Callable[..., Worker]


def total(records: Ledger) -> int:
    return records.list().total


def test_the_same_call_returns_the_same_job_however_it_is_made(records: Ledger, sender: Celery, folder: str) -> None:
    first = singles.done.delay(folder)
    later = datetime.now(UTC) + timedelta(hours=1)
    again = [
        singles.done.delay(folder=folder),
        singles.done.apply_async((folder, "a")),
        singles.done.apply_async((folder,), countdown=60),
        singles.done.apply_async((folder,), eta=later, priority=9, queue="batch"),
        singles.done.apply_async((folder,), task_id="mine"),
        singles.done.s(folder).apply_async(),
        sender.send_task("singles.done", (folder,)),
        sender.send_task("singles.done", kwargs={"folder": folder}, countdown=5),
    ]
    assert {result.id for result in again} == {first.id}
    assert total(records) == 1
    assert singles.done.delay(folder, "b").id != first.id


def test_the_returned_result_is_waited_for_like_any_other(
    new_worker: NewWorker, folder: str, open_gate: Callable[[], None], runs: Callable[[], list[str]]
) -> None:
    new_worker(concurrency=2)
    first, second = singles.done.delay(folder), singles.done.delay(folder)
    open_gate()
    assert (first.get(timeout=15), second.get(timeout=15), runs()) == ("a", "a", ["a"])
    assert singles.done.delay(folder).get(timeout=15) == "a"
    assert len(runs()) == 2


def test_tenants_have_nothing_to_do_with_each_other(folder: str) -> None:
    ids = [singles.done.apply_async((folder,), headers={"app_id": app}).id for app in ("x", "y", "x")]
    assert (ids[0] == ids[2], ids[0] == ids[1]) == (True, False)


def test_a_rejecting_task_raises_and_names_the_job(records: Ledger, folder: str) -> None:
    first = singles.rejecting.delay(folder)
    for options in ({}, {"countdown": 60}):
        with pytest.raises(NotUnique, match=f"its job {first.id} has not ended yet") as caught:
            singles.rejecting.apply_async((folder,), **options)
        assert caught.value.job_id == first.id
    assert total(records) == 1


def test_until_start_another_may_wait_while_one_runs(
    new_worker: NewWorker, folder: str, open_gate: Callable[[], None], runs: Callable[[], list[str]]
) -> None:
    new_worker()
    first = singles.start.delay(folder)
    eventually(lambda: runs() == ["a"])
    second, third = singles.start.delay(folder), singles.start.delay(folder)
    assert (second.id == third.id, second.id == first.id) == (True, False)
    open_gate()
    assert [job.get(timeout=15) for job in (first, second)] == ["a", "a"]


def test_for_a_time_a_job_that_has_completed_is_returned_and_then_no_more(
    new_worker: NewWorker, folder: str, open_gate: Callable[[], None]
) -> None:
    new_worker()
    open_gate()
    first = singles.timed.delay(folder)
    assert first.get(timeout=15) == "a"
    assert singles.timed.delay(folder).id == first.id
    eventually(lambda: singles.timed.delay(folder).id != first.id)


def test_a_waiting_job_is_replaced_also_in_the_schedule(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None], runs: Callable[[], list[str]]
) -> None:
    open_gate()
    jobs = [singles.replacing.delay(folder, "1"), singles.replacing.apply_async((folder, "2"), countdown=60)]
    jobs.append(singles.replacing.delay(folder, "3"))
    assert [records.get(job.id).state for job in jobs] == ["cancelled", "cancelled", "pending"]
    new_worker()
    assert (jobs[2].get(timeout=15), runs()) == ("3", ["3"])


def test_a_running_job_that_is_replaced_stops(
    records: Ledger, new_worker: NewWorker, folder: str, open_gate: Callable[[], None], runs: Callable[[], list[str]]
) -> None:
    new_worker(concurrency=2)
    first = singles.replacing.delay(folder, "1")
    eventually(lambda: runs() == ["1"])
    second = singles.replacing.delay(folder, "2")
    eventually(lambda: records.get(first.id).state == "cancelled")
    eventually(lambda: runs() == ["1", "2"])
    open_gate()
    assert second.get(timeout=15) == "2"


def test_a_job_that_was_not_published_leaves_neither_record_nor_lock(
    python: Callable, folder: str, locks: Callable[[], dict[str, str]], records: Ledger
) -> None:
    """RabbitMQ is away; the record store is not."""
    code = f"import singles\ntry: singles.done.delay({folder!r})\nexcept Exception as exc: print(type(exc).__name__)"
    from tests.integration.unique.conftest import SAMPLES
    from tests.processes import free_port

    ran = python("-c", code, folder=SAMPLES, broker_url=f"amqp://127.0.0.1:{free_port()}//")
    assert (ran.stdout.strip(), ran.stderr) == (BrokerUnavailable.__name__, "")
    assert (locks(), total(records)) == ({}, 0)


def test_a_terminal_is_told_in_a_sentence(celery: Callable, folder: str, platform_settings: dict) -> None:
    from tests import processes
    from tests.integration.unique.conftest import SAMPLES

    env = processes.environment(platform_settings | {"imports": "singles"}) | {"PYTHONPATH": str(SAMPLES)}

    def submit(task: str) -> tuple[int, str, str]:
        command = ("jobs", "submit", task, "-a", json.dumps([folder]))
        ran = processes.celery(*command, env=env)
        return ran.returncode, ran.stdout.strip(), ran.stderr.strip()

    first, second = submit("singles.done"), submit("singles.done")
    assert (first[0], first[2]) == (0, "")
    sentence = f"singles.done is unique: job {first[1]} stands for this call, and no other one was submitted"
    assert second == (0, first[1], sentence)
    (_, job_id, _), rejected = submit("singles.rejecting"), submit("singles.rejecting")
    sentence = f"Error: singles.rejecting is unique, and its job {job_id} has not ended yet; no other one was submitted"
    assert rejected == (1, "", sentence)
