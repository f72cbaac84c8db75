"""Every transition of a record, the allowed and the refused ones."""

from __future__ import annotations

import time

import pytest
import redis

from platform.errors import UnknownJob
from platform.jobs.ledger import Ledger, NewJob, Refused, Started
from platform.jobs.states import State

ERROR = {"type": "ValueError", "message": "no"}


def new(job_id: str = "a", **more: object) -> NewJob:
    return NewJob(**{"job_id": job_id, "task": "t", "queue": "offload", "priority": 5, "owner": "ann"} | more)


def run(ledger: Ledger, job: NewJob | None = None) -> str:
    started = ledger.start(job or new())
    assert isinstance(started, Started)
    return started.attempt


def standing(ledger: Ledger, client: redis.Redis, job_id: str = "a") -> set[str]:
    """The states whose sets the job stands in, over all four kinds of index."""
    kinds = ["jobs", "jobs:queue:offload", "jobs:task:t", "jobs:owner:ann"]
    found = {(kind, s) for kind in kinds for s in State if client.zscore(f"{ledger.prefix}{kind}:{s}", job_id)}
    assert len({kind for kind, _ in found}) in (0, 4)
    return {state for _, state in found}


def test_a_job_goes_from_pending_over_running_to_completed(ledger: Ledger, client: redis.Redis) -> None:
    assert ledger.create(new()) == "created"
    assert standing(ledger, client) == {"pending"}
    attempt = run(ledger)
    assert standing(ledger, client) == {"running"}
    assert ledger.complete("a", b"[1]", attempt) is None
    assert standing(ledger, client) == {"completed"}
    job = ledger.get("a")
    assert (job.state, job.result, job.attempts, job.owner) == ("completed", [1], 1, "ann")


def test_a_record_and_its_message_are_written_together_or_not_at_all(ledger: Ledger, client: redis.Redis) -> None:
    def submit() -> str:
        return ledger.submit(client, "{x}list", "{x}bell", "message", new())

    assert (submit(), submit()) == ("created", "kept")
    assert (client.llen("{x}list"), ledger.get("a").state) == (2, "pending")
    ledger.complete("a", b"1", run(ledger))
    assert submit() == "final"
    assert client.llen("{x}list") == 2


def test_what_is_not_known_says_so(ledger: Ledger) -> None:
    with pytest.raises(UnknownJob, match="no job 'x' is known"):
        ledger.get("x")
    with pytest.raises(UnknownJob):
        ledger.cancel("x")


def test_publishing_again_under_the_same_id_changes_nothing(ledger: Ledger) -> None:
    ledger.create(new())
    assert ledger.create(new(priority=9)) == "kept"
    assert ledger.get("a").priority == 5


def test_a_second_completion_is_refused(ledger: Ledger) -> None:
    ledger.create(new())
    attempt = run(ledger)
    ledger.complete("a", b"1", attempt)
    assert ledger.complete("a", b"2", attempt) == Refused("completed")
    assert ledger.fail("a", ERROR, attempt) == Refused("completed")
    assert ledger.get("a").result == 1


def test_an_ended_job_does_not_start_again(ledger: Ledger) -> None:
    ledger.create(new())
    ledger.complete("a", b"1", run(ledger))
    assert ledger.start(new()) == Refused("completed")
    assert ledger.create(new()) == "final"


def test_a_redelivered_run_takes_over_and_the_earlier_one_writes_no_more(ledger: Ledger) -> None:
    ledger.create(new())
    first, second = run(ledger), run(ledger)
    assert ledger.complete("a", b"1", first) == Refused("running")
    assert ledger.progress("a", first, 1, 2, "") == Refused("")
    assert ledger.complete("a", b"2", second) is None
    assert (ledger.get("a").result, ledger.get("a").attempts) == (2, 2)


def test_a_retry_is_recorded_before_it_is_published_and_an_old_delivery_is_dropped(ledger: Ledger) -> None:
    ledger.create(new())
    attempt = run(ledger)
    assert ledger.create(new(retries=1)) == "updated"
    assert ledger.get("a").state == "retrying"
    assert ledger.retrying("a", ERROR, attempt) is None
    assert ledger.get("a").error == ERROR
    assert ledger.start(new()) == Refused("retrying")
    assert ledger.complete("a", b"1", run(ledger, new(retries=1))) is None
    assert (ledger.get("a").error, ledger.get("a").attempts) == (None, 2)


def test_a_late_report_of_a_retry_does_not_stop_the_run_that_began_since(ledger: Ledger) -> None:
    ledger.create(new())
    first = run(ledger)
    ledger.create(new(retries=1))
    run(ledger, new(retries=1))
    assert ledger.retrying("a", ERROR, first) == Refused("running")


def test_a_failed_publish_is_withdrawn_unless_a_worker_has_it(ledger: Ledger, client: redis.Redis) -> None:
    ledger.create(new())
    assert ledger.withdraw("a") is True
    assert list(client.scan_iter("*job*")) == []
    ledger.create(new())
    run(ledger)
    assert ledger.withdraw("a") is False


def test_a_message_without_a_record_gets_one_when_it_starts(ledger: Ledger) -> None:
    run(ledger)
    assert (ledger.get("a").state, ledger.get("a").owner) == ("running", "ann")


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked(ledger: Ledger) -> None:
    ledger.create(new())
    assert ledger.cancel("a") == "cancelled"
    assert ledger.start(new()) == Refused("cancelled")
    assert ledger.cancel("a") == "final"
    ledger.create(new("b"))
    attempt = run(ledger, new("b"))
    assert ledger.cancel("b") == "asked"
    assert ledger.progress("b", attempt, 1, 2, "") == Started(attempt, is_cancel_requested=True)
    assert ledger.cancelled("b", attempt) is None


def test_a_scheduled_job_is_known_as_such(ledger: Ledger) -> None:
    ledger.create(new(ready_at_ms=int(time.time() * 1000) + 60_000))
    assert ledger.get("a").state == "scheduled"


def test_a_member_of_a_failed_chain_that_was_never_published_is_failed(ledger: Ledger) -> None:
    assert ledger.fail("a", ERROR, unpublished=new()) is None
    assert (ledger.get("a").state, ledger.get("a").attempts, ledger.get("a").task) == ("failed", 0, "t")
    assert ledger.fail("b", ERROR) == Refused("")


def test_a_known_jobs_facts_survive_a_failure_reported_without_them(ledger: Ledger) -> None:
    ledger.create(new(priority=8, app_id="acme"))
    ledger.fail("a", ERROR, unpublished=NewJob("a", "", "", 5))
    job = ledger.get("a")
    assert (job.task, job.queue, job.priority, job.app_id, job.owner) == ("t", "offload", 8, "acme", "ann")


def test_records_are_forgotten_when_their_outcomes_time_is_over(
    ledger: Ledger, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job_id in ("a", "b", "c"):
        ledger.create(new(job_id))
    ledger.complete("a", b"1", run(ledger, new("a")))
    ledger.fail("b", ERROR, run(ledger, new("b")))
    now = time.time_ns() // 1_000_000
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now + 59_000)
    assert ledger.sweep() == 0
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now + 61_000)
    assert ledger.sweep() == 1
    assert standing(ledger, client, "a") == set()
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now + 121_000)
    assert ledger.sweep() == 1
    assert [job.job_id for job in ledger.list().items] == ["c"]


def test_outcomes_and_times_are_counted_with_the_transition(ledger: Ledger) -> None:
    ledger.create(new())
    ledger.complete("a", b"1", run(ledger))
    assert ledger.metrics("jobs") == {"t\x1foffload\x1fcompleted": "1"}
    assert sum(int(n) for field, n in ledger.metrics("wait").items() if not field.endswith("sum")) == 1
    assert sum(int(n) for field, n in ledger.metrics("run").items() if not field.endswith("sum")) == 1


def test_a_record_with_odd_numbers_can_still_be_read(ledger: Ledger, client: redis.Redis) -> None:
    ledger.create(new(max_retries="x", priority=5.5))  # type: ignore[arg-type]
    assert (ledger.get("a").max_retries, ledger.get("a").priority) == (None, 5)


def test_a_new_state_is_announced_on_the_jobs_channel(ledger: Ledger, client: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(ledger.channel("a"))
        ledger.create(new())
        ledger.complete("a", b"1", run(ledger))
        heard: list[str] = []
        while len(heard) < 3:
            message = listening.get_message(timeout=5)
            if message:
                heard.append(message["data"])
    assert heard == ["pending", "running", "completed"]
