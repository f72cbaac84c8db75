"""Plain Celery from Python: delay and get, chains, groups, chords, and what becomes of their jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from platform.jobs.ledger import ledger
from tasks import app
from tests.processes import Worker
from tests.waiting import eventually


def sig(name: str, *args: object, **options: object) -> object:
    """A signature by name: this process does not import the user's module."""
    return app.signature(f"shop.{name}", args=args, **options)


@pytest.fixture(autouse=True)
def running(steady_worker: Worker) -> Worker:
    return steady_worker


def test_get_returns_what_the_task_returned_and_the_status_is_the_jobs() -> None:
    result = app.send_task("shop.add", (1, 2))
    assert result.get(timeout=15) == 3
    assert (result.status, result.ready(), result.successful()) == ("SUCCESS", True, True)
    assert AsyncResult("unknown", app=app).status == "PENDING"


def test_get_raises_what_the_task_raised() -> None:
    result = app.send_task("shop.broken")
    with pytest.raises(ValueError, match="it is broken"):
        result.get(timeout=15)
    assert result.status == "FAILURE"


def test_chains_groups_and_chords_run(running: Worker) -> None:
    assert chain(sig("add", 1, 2), sig("add", 10)).delay().get(timeout=15) == 13
    assert group(sig("add", n, n) for n in range(5)).delay().get(timeout=15) == [0, 2, 4, 6, 8]
    assert chord([sig("add", n, n) for n in range(5)], sig("total")).delay().get(timeout=15) == 20


def test_a_failed_chain_leaves_no_member_waiting() -> None:
    last = chain(sig("broken", immutable=True), sig("add", 1, immutable=True), sig("add", 2, immutable=True)).delay()
    middle, first = last.parent, last.parent.parent
    for result in (first, middle, last):
        eventually(lambda result=result: result.status == "FAILURE")
    assert [ledger().get(r.id).attempts for r in (first, middle, last)] == [1, 0, 0]


def test_a_failed_member_fails_its_chord() -> None:
    result = chord([sig("add", 1, 1), sig("broken")], sig("total")).delay()
    eventually(lambda: result.status == "FAILURE", 20)


def test_a_task_replaced_by_another_is_one_job() -> None:
    result = app.send_task("shop.replaced", (41,))
    assert result.get(timeout=15) == 42
    assert (ledger().get(result.id).task, ledger().get(result.id).state) == ("shop.add", "completed")


def test_a_task_that_ignores_its_message_is_completed() -> None:
    result = app.send_task("shop.ignores")
    eventually(lambda: ledger().get(result.id).state == "completed")


def test_a_message_put_back_is_pending_again_and_runs_again(tmp_path: Path) -> None:
    result = app.send_task("shop.put_back", (str(tmp_path / "seen"),))
    assert result.get(timeout=15) == "second time"
    assert ledger().get(result.id).attempts == 2


def test_an_expired_job_is_failed_and_says_so() -> None:
    result = app.send_task("shop.add", (1, 2), expires=-1)
    eventually(lambda: ledger().get(result.id).state == "failed")
    assert ledger().get(result.id).error["type"] == "Expired"


def test_a_revoked_job_is_cancelled() -> None:
    result = app.send_task("shop.stubborn", (60,))
    eventually(lambda: ledger().get(result.id).state == "running")
    result.revoke(terminate=True)
    eventually(lambda: ledger().get(result.id).state == "cancelled")
    with pytest.raises(TaskRevokedError):
        result.get(timeout=5)


def test_running_a_task_in_this_process_makes_no_job() -> None:
    @app.task(name="test.local", bind=True)
    def local(self: object) -> str:
        self.progress(1, 2, "half")
        return "here"

    before = ledger().list().total
    assert (local(), local.apply().get()) == ("here", "here")
    assert ledger().list().total == before


def test_a_message_of_a_program_that_knows_nothing_of_the_platform_runs_and_gets_its_record() -> None:
    stranger = Celery("stranger", broker=app.conf.broker_url, set_as_current=False)
    stranger.conf.broker_transport_options = app.conf.broker_transport_options
    stranger.conf.task_queues = app.conf.task_queues
    job_id = stranger.send_task("shop.add", (1, 2), queue="offload", ignore_result=True).id
    eventually(lambda: [job.state for job in ledger().get_many([job_id])] == ["completed"])
    assert ledger().get(job_id).result is None  # it asked for no result


@pytest.mark.parametrize("options", [{"queue": "dead-letter"}, {"serializer": "pickle"}])
def test_what_no_worker_would_take_is_refused(options: dict[str, str]) -> None:
    before = ledger().list().total
    with pytest.raises(ValueError, match=r"dead-letter|pickle"):
        app.send_task("shop.add", (1, 2), **options)
    assert ledger().list().total == before


def test_user_data_that_looks_like_kombus_own_arrives_as_it_is() -> None:
    poison = {"__type__": "nope", "__value__": 1}
    assert app.send_task("shop.add", ([poison], [])).get(timeout=15) == [poison]
