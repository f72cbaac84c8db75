"""Failed jobs are tried again, later each time, unless they say it is no use; then they become dead letters."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from celery import chain, chord, group

from platform.deadletters.replaying import replay
from platform.jobs.ledger import ledger
from tasks import app
from tests.integration.test_poison import count, ended, letter_of, submit
from tests.processes import Worker
from tests.waiting import eventually


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def running(steady_worker: Worker) -> Worker:
    return steady_worker


def sig(name: str, *args: object, **options: object):
    return app.signature(f"shop.{name}", args=[str(a) if isinstance(a, Path) else a for a in args], **options)


def test_a_job_that_fails_twice_completes_the_third_time(runs: Path) -> None:
    job = ended(submit("sometimes", runs, 2))
    assert (job.state, job.result, job.attempts, job.dead_letter_id) == ("completed", "at last", 3, None)


def test_a_job_that_always_fails_is_kept_after_three_retries(runs: Path) -> None:
    job_id = submit("sometimes", runs, 99)
    assert ended(job_id).state == "failed"
    letter = letter_of(job_id)
    assert (letter.reason, letter.attempts, count(runs)) == ("retries_exhausted", 4, 4)
    assert (letter.error["type"], letter.args) == ("RetryLater", [str(runs), 99])
    assert "sometimes" in letter.error["traceback"]
    assert letter.first_failed_at < letter.dead_at


def test_a_job_whose_error_is_no_utf8_is_tried_again_and_kept_with_a_readable_one(running: Worker) -> None:
    job_id = submit("unreadable")
    job, letter = ended(job_id), letter_of(job_id)
    assert (job.state, job.attempts, letter.reason) == ("failed", 2, "retries_exhausted")
    assert job.error == {"type": "ValueError", "message": "no such file: caf\\udce9"}
    assert letter.error["message"] == "no such file: caf\\udce9"
    assert "no such file: caf" in letter.error["traceback"]
    assert "UnicodeEncodeError" not in running.text()


def test_the_number_of_retries_may_be_given_with_the_job(runs: Path) -> None:
    job_id = submit("sometimes", runs, 99, headers={"max_retries": 1})
    assert ended(job_id).state == "failed"
    assert count(runs) == 2


def test_a_hint_is_kept_to(runs: Path) -> None:
    job_id = submit("sometimes", runs, 1, 2)
    eventually(lambda: ledger().get(job_id).state == "retrying")
    began = time.monotonic()
    ended(job_id)
    assert 1.5 < time.monotonic() - began < 4


def test_a_discarded_job_is_never_tried_again(runs: Path) -> None:
    job_id = submit("never", runs)
    assert ended(job_id).state == "failed"
    assert (letter_of(job_id).reason, count(runs)) == ("rejected", 1)


def test_a_rejected_job_is_kept_with_the_reason_given_and_may_be_replayed(runs: Path) -> None:
    job_id = submit("refuse", runs)
    job, letter = ended(job_id), letter_of(job_id)
    error = {"type": "Reject", "message": "no thanks"}
    assert (job.state, job.error, job.attempts, count(runs)) == ("failed", error, 1, 1)
    assert (letter.reason, letter.attempts, letter.args) == ("rejected", 1, [str(runs)])
    assert letter.error | error == letter.error
    assert "in refuse" in letter.error["traceback"]
    replay(letter.dead_letter_id, "ann@example.com")
    assert ended(job_id).result == "with pleasure"
    assert ledger().get(job_id).attempts == 2


def test_a_reason_that_cannot_be_unpickled_ends_no_worker() -> None:
    ignored, rejected = submit("refuse_oddly", "ignore"), submit("refuse_oddly", "reject")
    assert ended(ignored).state == "completed"
    assert (ended(rejected).error, letter_of(rejected).reason) == ({"type": "Reject", "message": "1 and 2"}, "rejected")
    assert ended(submit("add", 1, 1)).result == 2


def test_a_rejected_member_ends_its_chain(runs: Path) -> None:
    last = chain(sig("refuse", runs), sig("add", 1, 1, immutable=True)).delay()
    assert (ended(last.id).state, letter_of(last.parent.id).reason) == ("failed", "rejected")


def test_wrong_arguments_are_never_tried_again() -> None:
    job_id = submit("add", 1, 2, 3)
    job = ended(job_id)
    assert (job.state, job.attempts, letter_of(job_id).reason) == ("failed", 1, "invalid")


def test_chains_groups_and_chords_go_on_after_a_retry(runs: Path, tmp_path: Path) -> None:
    last = chain(sig("sometimes", runs, 1), sig("add", 1, 1, immutable=True)).delay()
    joined = chord([sig("sometimes", tmp_path / "other", 2), sig("add", 1, 1)], sig("count_all")).delay()
    results = group([sig("sometimes", tmp_path / "third", 1), sig("add", 2, 2)]).delay()
    assert last.get(timeout=30) == 2
    assert results.get(timeout=30) == ["at last", 4]
    assert joined.get(timeout=30) == 2


def test_cancelling_stops_the_rest_of_a_chain() -> None:
    last = chain(sig("slow", 20), sig("add", 1, 1, immutable=True), sig("add", 2, 2, immutable=True)).delay()
    first, second = last.parent.parent, last.parent
    eventually(lambda: ledger().get(first.id).state == "running")
    ledger().cancel(first.id)
    assert [ended(result.id).state for result in (first, second, last)] == ["cancelled"] * 3


def test_cancelling_a_waiting_member_ends_the_chain_behind_it() -> None:
    last = chain(sig("add", 1, 1).set(countdown=60), sig("add", 1, 1, immutable=True)).delay()
    ledger().cancel(last.parent.id)
    assert ended(last.id).state == "cancelled"


def test_a_running_job_may_look_whether_it_was_cancelled() -> None:
    job_id = submit("polite", 30)
    eventually(lambda: ledger().get(job_id).state == "running")
    ledger().cancel(job_id)
    job = ended(job_id)
    assert (job.state, job.result) in (("completed", "stopped by itself"), ("cancelled", None))


def test_a_stubborn_job_is_stopped_after_its_grace() -> None:
    job_id = submit("stubborn", 60)
    eventually(lambda: ledger().get(job_id).state == "running")
    ledger().cancel(job_id)
    assert ended(job_id, 15).state == "cancelled"
    assert ledger().get(job_id).dead_letter_id is None


def test_an_expired_job_has_an_outcome_of_its_own() -> None:
    job_id = submit("add", 1, 2, countdown=1.5, expires=0.5)
    job = ended(job_id)
    assert (job.state, job.error and job.error["type"], letter_of(job_id).reason) == ("failed", "Expired", "expired")


def test_a_task_no_worker_knows_is_waited_for_and_then_kept() -> None:
    job_id = app.send_task("shop.not_yet_deployed", [1]).id
    assert ended(job_id, 60).state == "failed"
    letter = letter_of(job_id)
    assert (letter.reason, letter.task, letter.args) == ("unregistered", "shop.not_yet_deployed", [1])


def test_a_chain_whose_first_task_nobody_knows_ends_as_a_whole() -> None:
    last = chain(app.signature("shop.not_yet_deployed"), sig("add", 1, 1, immutable=True)).delay()
    assert ended(last.id, 60).state == "failed"


def test_a_task_that_acknowledges_early_runs_and_its_failure_is_kept() -> None:
    assert ended(submit("hasty", False)).result == "done"
    failed = submit("hasty", True)
    assert ended(failed).state == "failed"
    assert letter_of(failed).args == [True]
