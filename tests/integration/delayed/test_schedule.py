"""What the schedule keeps, until when, and what is left of it: nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
import redis

from platform.delayed.schedule import Schedule
from platform.envelope import Envelope
from platform.jobs.facts import NewJob, Started
from platform.jobs.ledger import Ledger

HOUR_MS = 3_600_000
ENVELOPE = Envelope(b"[[], {}, {}]", {"id": "a", "task": "t"}, "application/json", "utf-8", {"priority": 7}, "offload")


def now_ms() -> int:
    return int(time.time() * 1000)


def new(job_id: str = "a", *, in_ms: int | None = HOUR_MS, **more: object) -> NewJob:
    due = None if in_ms is None else now_ms() + in_ms
    return NewJob(job_id, "t", "offload", 7, ready_at_ms=due, **more)  # type: ignore[arg-type]


def left(client: redis.Redis) -> list[str]:
    return sorted(client.scan_iter("*delayed*"))


def begun(ledger: Ledger, job: NewJob) -> str:
    started = ledger.start(job)
    assert isinstance(started, Started)
    return started.attempt


def test_a_job_and_its_message_wait_together(schedule: Schedule, ledger: Ledger) -> None:
    job = new()
    assert schedule.submit(job, ENVELOPE) == "created"
    kept = schedule.get("a")
    assert kept is not None
    assert (kept.due_ms, kept.envelope.body, kept.envelope.priority) == (job.ready_at_ms, ENVELOPE.body, 7)
    record = ledger.get("a")
    assert (record.state, record.eta is not None and record.eta > record.created_at) == ("scheduled", True)
    assert schedule.counts() == {"waiting": 1, "due": 0}


def test_submitting_again_keeps_the_first_message(schedule: Schedule) -> None:
    first = new()
    schedule.submit(first, ENVELOPE)
    assert schedule.submit(new(in_ms=2 * HOUR_MS), ENVELOPE) == "kept"
    assert schedule.get("a").due_ms == first.ready_at_ms  # type: ignore[union-attr]


def test_a_job_whose_message_was_lost_on_the_way_is_given_one(schedule: Schedule, ledger: Ledger) -> None:
    ledger.create(new(in_ms=None))
    assert schedule.submit(new(), ENVELOPE) == "kept"
    assert schedule.get("a") is not None


def test_submitting_again_does_not_replace_the_message_of_a_retry(schedule: Schedule, ledger: Ledger) -> None:
    first, retry = new(), new(retries=1, in_ms=2 * HOUR_MS)
    schedule.submit(first, ENVELOPE)
    begun(ledger, first)
    assert schedule.submit(retry, ENVELOPE.with_headers(retries=1)) == "updated"
    schedule.submit(first, ENVELOPE)
    kept = schedule.get("a")
    assert kept is not None
    assert (kept.due_ms, kept.envelope.headers["retries"]) == (retry.ready_at_ms, 1)
    assert ledger.get("a").state == "retrying"


def test_a_job_that_has_ended_is_not_kept(schedule: Schedule, ledger: Ledger, client: redis.Redis) -> None:
    ledger.create(new(in_ms=None))
    ledger.complete("a", b"1", begun(ledger, new()))
    assert schedule.submit(new(), ENVELOPE) == "final"
    assert left(client) == []


def test_a_delivery_ends_when_its_message_is_kept(schedule: Schedule, client: redis.Redis) -> None:
    client.hset("{platform}:held", "tag", "list\n2\nmessage")
    assert schedule.put("a", ENVELOPE, now_ms() + HOUR_MS, "{platform}:held", "tag") is True
    assert client.exists("{platform}:held") == 0
    value = client.hget("{platform}:delayed:messages", "a")
    assert value is not None
    assert value.split("\n")[:3] == ["offload", "7", "2"]


def test_a_delivery_that_was_given_back_meanwhile_is_not_kept(schedule: Schedule, client: redis.Redis) -> None:
    assert schedule.put("a", ENVELOPE, now_ms() + HOUR_MS, "{platform}:held", "tag") is False
    assert left(client) == []


def test_a_copy_does_not_replace_a_later_trys_message(schedule: Schedule, ledger: Ledger) -> None:
    ledger.create(new(in_ms=None))
    begun(ledger, new())
    schedule.submit(new(retries=1), ENVELOPE.with_headers(retries=1))
    assert schedule.put("a", ENVELOPE, now_ms()) is True
    assert schedule.get("a").envelope.headers["retries"] == 1  # type: ignore[union-attr]


def test_a_message_without_a_record_is_kept_too(schedule: Schedule) -> None:
    assert schedule.put("a", ENVELOPE, now_ms() + HOUR_MS) is True
    assert schedule.counts() == {"waiting": 1, "due": 0}


def test_a_message_that_is_woken_is_due_at_once(schedule: Schedule, ledger: Ledger) -> None:
    schedule.submit(new(), ENVELOPE)
    assert schedule.wake("a") is True
    assert schedule.counts() == {"waiting": 0, "due": 1}
    eta = ledger.get("a").eta
    assert eta is not None
    assert datetime.fromisoformat(eta) <= datetime.now(UTC)


def test_what_is_not_kept_is_not_woken(schedule: Schedule, client: redis.Redis) -> None:
    assert schedule.wake("a") is False
    assert schedule.get("a") is None
    assert left(client) == []


@pytest.mark.parametrize("retries", [0, 1])
def test_a_cancelled_jobs_message_is_due_at_once(schedule: Schedule, ledger: Ledger, retries: int) -> None:
    job = new()
    schedule.submit(job, ENVELOPE)
    if retries:
        begun(ledger, job)
        schedule.submit(new(retries=1), ENVELOPE.with_headers(retries=1))
    assert ledger.cancel("a") == "cancelled"
    assert schedule.counts() == {"waiting": 0, "due": 1}


def test_what_is_withdrawn_leaves_no_message(schedule: Schedule, ledger: Ledger, client: redis.Redis) -> None:
    schedule.submit(new(), ENVELOPE)
    assert ledger.withdraw("a") is True
    assert left(client) == []


def test_what_is_forgotten_leaves_no_message(
    schedule: Schedule, ledger: Ledger, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule.submit(new(), ENVELOPE)
    ledger.cancel("a")
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now_ms() + 90_000_000)
    assert ledger.sweep() == 1
    assert left(client) == []


def test_a_job_that_was_delayed_for_a_day_has_not_waited_for_a_day(
    schedule: Schedule, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as yesterday:
        yesterday.setattr("platform.jobs.ledger._now_ms", lambda: now_ms() - 86_400_000)
        schedule.submit(new(in_ms=-5), ENVELOPE)
    schedule.move("{platform}:queue:", 10)
    assert ledger.get("a").state == "pending"
    oldest = ledger.oldest_pending(["offload", "batch"])
    assert oldest["batch"] is None
    assert time.time() - (oldest["offload"] or 0) < 60
