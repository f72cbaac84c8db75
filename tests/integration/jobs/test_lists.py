"""Lists of jobs against a plain reference: filter everything, sort it, cut the page out."""

from __future__ import annotations

import random
from typing import Any

import pytest
import redis

from platform.jobs.facts import NewJob
from platform.jobs.ledger import Ledger
from platform.jobs.states import State

TASKS, QUEUES, OWNERS = ["t1", "t2", "t3"], ["offload", "batch"], ["ann", "bob", ""]
JOBS = 400


@pytest.fixture
def jobs(ledger: Ledger, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Jobs in random states, many of them made in the same millisecond."""
    chance = random.Random(3)
    made, now = [], 1_000_000
    for number in range(JOBS):
        now += chance.choice([0, 0, 1, 50])
        monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda now=now: now)
        job = NewJob(f"{number:04}", chance.choice(TASKS), chance.choice(QUEUES), 5, owner=chance.choice(OWNERS))
        ledger.create(job)
        state = chance.choice([State.PENDING, State.RUNNING, State.COMPLETED, State.FAILED, State.CANCELLED])
        _bring_to(ledger, job, state)
        facts = {"task": job.task, "queue": job.queue, "owner": job.owner, "state": state}
        made.append(facts | {"id": job.job_id, "at": now})
    return made


def _bring_to(ledger: Ledger, job: NewJob, state: State) -> None:
    if state == State.CANCELLED:
        ledger.cancel(job.job_id)
    elif state != State.PENDING:
        attempt = ledger.start(job).attempt  # type: ignore[union-attr]
        if state == State.COMPLETED:
            ledger.complete(job.job_id, b"1", attempt)
        elif state == State.FAILED:
            ledger.fail(job.job_id, {"type": "E", "message": ""}, attempt)


def expected(jobs: list[dict[str, Any]], filters: dict[str, Any]) -> list[str]:
    kept = [job for job in jobs if all(job[name] == value for name, value in filters.items())]
    return [job["id"] for job in sorted(kept, key=lambda job: (job["at"], job["id"]), reverse=True)]


def test_every_filter_and_page_gives_what_a_plain_search_gives(ledger: Ledger, jobs: list[dict[str, Any]]) -> None:
    chance = random.Random(5)
    for _ in range(150):
        choices = {"state": list(State), "task": TASKS, "queue": QUEUES, "owner": OWNERS}
        names = chance.sample(sorted(choices), chance.randint(0, 4))
        filters = {name: chance.choice(choices[name]) for name in names}
        wanted = expected(jobs, filters)
        offset, limit = chance.choice([0, 1, 7, 50, 390, 1000]), chance.choice([1, 10, 100])
        page = ledger.list(**filters, offset=offset, limit=limit)
        assert [job.job_id for job in page.items] == wanted[offset : offset + limit], filters
        assert (page.total, page.is_exact) == (len(wanted), True), filters


def test_pages_one_after_another_give_every_job_once(ledger: Ledger, jobs: list[dict[str, Any]]) -> None:
    seen = [job.job_id for offset in range(0, JOBS, 30) for job in ledger.list(offset=offset, limit=30).items]
    assert seen == expected(jobs, {})


def test_counts_are_those_of_the_lists(ledger: Ledger, jobs: list[dict[str, Any]]) -> None:
    counts = ledger.counts(QUEUES)
    for queue in QUEUES:
        for state in State:
            assert counts[queue][state] == len(expected(jobs, {"queue": queue, "state": state}))
    assert sum(counts[""].values()) == JOBS


def test_a_broad_question_is_bounded_and_says_so(
    ledger: Ledger, jobs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.jobs.records.MOST_PROBES", 0)
    page = ledger.list(task="t1", queue="batch", limit=10)
    assert (page.is_exact, page.total) == (False, 0)
    monkeypatch.setattr("platform.jobs.records.MOST_PROBES", 10_000)
    page = ledger.list(task="t1", queue="batch", limit=10)
    assert (page.is_exact, page.total) == (True, len(expected(jobs, {"task": "t1", "queue": "batch"})))
