"""What stands for a call, by the record alone: every policy in every state, and nothing left when a job has ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis

from platform.errors import NotUnique
from platform.jobs import ledger as module
from platform.jobs.facts import NewJob, Started
from platform.jobs.ledger import Ledger
from platform.settings import Settings
from platform.unique import Lock

ERROR = {"type": "ValueError", "message": "no"}
Locks = Callable[[], dict[str, str]]


@pytest.fixture
def records(client: redis.Redis) -> Ledger:
    return Ledger(client, Settings(keep_completed_s=60, keep_failed_s=60, keep_cancelled_s=60))


def new(job_id: str, policy: str = "done", on_conflict: str = "return", **more: object) -> NewJob:
    lock = Lock("h", policy, on_conflict, more.pop("expires_ms", None))  # type: ignore[arg-type]
    return NewJob(**{"job_id": job_id, "task": "t", "queue": "offload", "priority": 5, "lock": lock} | more)


def submit(records: Ledger, job: NewJob) -> str:
    """Record and message in one call; the id of the job that stands for it then."""
    try:
        records.submit(records.client, "{platform}list", "{platform}bell", "message", job)
    except NotUnique as exc:
        return exc.job_id
    return job.job_id


def run(records: Ledger, job_id: str) -> str:
    started = records.start(NewJob(job_id, "t", "offload", 5))
    assert isinstance(started, Started)
    return started.attempt


def pending(records: Ledger) -> None: ...


def running(records: Ledger) -> None:
    run(records, "a")


def retrying(records: Ledger) -> None:
    records.retrying("a", ERROR, run(records, "a"))


def given_back(records: Ledger) -> None:
    assert isinstance(records.start(NewJob("a", "t", "offload", 5)), Started)
    records.lost("a", "")


def completed(records: Ledger) -> None:
    records.complete("a", b"1", run(records, "a"))


def failed(records: Ledger) -> None:
    records.fail("a", ERROR, run(records, "a"))


def cancelled(records: Ledger) -> None:
    records.cancel("a")


def cancelled_while_it_ran(records: Ledger) -> None:
    attempt = run(records, "a")
    records.cancel("a")
    records.cancelled("a", attempt)


@pytest.mark.parametrize(
    ("reach", "covered_by"),
    [
        (pending, {"start", "done", "60000"}),
        (retrying, {"start", "done", "60000"}),
        (running, {"done", "60000"}),
        (completed, {"60000"}),
        (failed, set()),
        (cancelled, set()),
        (cancelled_while_it_ran, set()),
    ],
)
@pytest.mark.parametrize("policy", ["start", "done", "60000"])
def test_a_job_stands_for_its_equals_in_these_states(
    records: Ledger, locks: Locks, policy: str, reach: Callable[[Ledger], None], covered_by: set[str]
) -> None:
    submit(records, new("a", policy))
    reach(records)
    assert submit(records, new("b", policy)) == ("a" if policy in covered_by else "b")
    assert list(locks().values()) == ["a" if policy in covered_by else "b"]


def test_a_job_that_was_refused_leaves_nothing(records: Ledger, client: redis.Redis) -> None:
    submit(records, new("a"))
    before = sorted(client.keys())
    submit(records, new("b"))
    assert sorted(client.keys()) == before
    assert client.llen("{platform}list") == 1


def test_a_scheduled_job_stands_for_its_equals_and_keeps_its_lock_for_as_long(records: Ledger, locks: Locks) -> None:
    from platform.delayed.schedule import Schedule
    from platform.envelope import Envelope

    schedule = Schedule(records)
    envelope = Envelope(b"", {}, "application/json", "utf-8", {"priority": 5}, "offload")
    due_ms = time.time_ns() // 1_000_000 + 400 * 86_400_000
    assert schedule.submit(new("a", "start", ready_at_ms=due_ms), envelope) == "created"
    with pytest.raises(NotUnique):
        schedule.submit(new("b", "start", ready_at_ms=due_ms), envelope)
    assert schedule.get("b") is None
    (key,) = locks()
    assert records.client.pexpiretime(key) > due_ms  # type: ignore[operator]


@pytest.mark.parametrize("end", [completed, failed, cancelled, cancelled_while_it_ran])
@pytest.mark.parametrize("policy", ["start", "done"])
def test_the_end_of_a_job_removes_its_lock(
    records: Ledger, locks: Locks, policy: str, end: Callable[[Ledger], None]
) -> None:
    submit(records, new("a", policy))
    assert list(locks().values()) == ["a"]
    end(records)
    assert locks() == {}


def test_the_end_of_a_job_leaves_the_lock_of_a_later_one(records: Ledger, locks: Locks) -> None:
    submit(records, new("a", "start"))
    attempt = run(records, "a")
    assert submit(records, new("b", "start")) == "b"
    records.complete("a", b"1", attempt)
    assert list(locks().values()) == ["b"]
    assert submit(records, new("c", "start")) == "b"


def test_a_time_begins_with_the_job_and_passes(records: Ledger, locks: Locks) -> None:
    submit(records, new("a", "60000"))
    (key,) = locks()
    assert 59_000 < int(records.client.pttl(key)) <= 60_000  # type: ignore[arg-type]
    records.client.delete(key)  # what its expiry does
    assert submit(records, new("b", "60000")) == "b"


def test_a_completed_jobs_record_is_kept_for_as_long_as_it_counts(records: Ledger, locks: Locks) -> None:
    submit(records, new("a", "600000"))
    completed(records)
    expiry = records.client.zscore(f"{records.prefix}jobs:expiry", "a")
    assert expiry == pytest.approx(time.time() * 1000 + 600_000, abs=5_000)
    records.client.zadd(f"{records.prefix}jobs:expiry", {"a": 1})
    assert (records.sweep(), locks()) == (1, {})


def test_a_record_that_is_gone_stands_for_nothing(records: Ledger) -> None:
    submit(records, new("a"))
    records.client.delete(records.channel("a"))
    assert submit(records, new("b")) == "b"


def test_the_same_job_told_again_is_no_conflict(records: Ledger, client: redis.Redis) -> None:
    assert submit(records, new("a")) == submit(records, new("a")) == "a"
    assert records.create(new("a")) == "kept"
    assert client.llen("{platform}list") == 1


def test_one_that_waits_too_long_to_be_run_at_all_stands_for_nothing(records: Ledger) -> None:
    now = time.time_ns() // 1_000_000
    submit(records, new("a", expires_ms=now + 60_000))
    assert submit(records, new("b")) == "a"
    records.cancel("a")
    submit(records, new("c", expires_ms=now - 1))
    assert submit(records, new("d")) == "d"


def test_one_that_runs_goes_on_to_count_when_its_time_to_begin_is_over(records: Ledger) -> None:
    submit(records, new("a", expires_ms=time.time_ns() // 1_000_000 - 1))
    run(records, "a")
    assert submit(records, new("b")) == "a"


def test_a_waiting_job_is_replaced_in_one_call(records: Ledger) -> None:
    submit(records, new("a"))
    assert submit(records, new("b", on_conflict="replace")) == "b"
    assert (records.get("a").state, records.get("b").state) == ("cancelled", "pending")
    assert submit(records, new("c")) == "b"


def test_a_running_job_that_is_replaced_is_asked_to_stop(records: Ledger) -> None:
    submit(records, new("a"))
    run(records, "a")
    assert submit(records, new("b", on_conflict="replace")) == "b"
    assert records.get("a").state == "running"
    assert list(records.cancel_requests(["a", "b"])) == ["a"]


# -- where the message is published by another call (RabbitMQ)


def test_a_record_whose_message_could_not_be_published_takes_its_lock_along(records: Ledger, locks: Locks) -> None:
    records.create(new("a"))
    assert records.withdraw("a")
    assert locks() == {}


def test_a_job_is_replaced_when_the_new_one_is_published(records: Ledger, locks: Locks) -> None:
    submit(records, new("a"))
    records.create(new("b", on_conflict="replace"))
    assert (records.get("a").state, list(locks().values())) == ("pending", ["b"])
    for _ in range(2):
        records.published("b")
        assert (records.get("a").state, list(locks().values())) == ("cancelled", ["b"])


def test_a_job_goes_on_to_stand_when_its_replacement_is_not_published(records: Ledger) -> None:
    submit(records, new("a"))
    records.create(new("b", on_conflict="replace"))
    records.withdraw("b")
    assert records.get("a").state == "pending"
    assert submit(records, new("c")) == "a"


def test_a_job_whose_publisher_died_before_publishing_stands_for_a_minute_only(
    records: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.create(new("a"))
    assert submit(records, new("b")) == "a"
    records.cancel("a")
    monkeypatch.setattr(module, "PUBLISHING_MS", -1)
    records.create(new("c"))
    assert submit(records, new("d")) == "d"


@pytest.mark.parametrize("told", [True, False])
def test_a_job_that_was_published_stands_without_a_limit(
    records: Ledger, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    monkeypatch.setattr(module, "PUBLISHING_MS", -1)
    records.create(new("a"))
    if told:
        records.published("a")
    else:
        given_back(records)  # a worker had it, so it was
    assert submit(records, new("b")) == "a"
