"""What waits: in queues nobody serves or that are paused, past its time, put aside, and dead."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from platform.audit import backlog as checks
from platform.audit.subject import Subject
from platform.deadletters.register import dead_letters
from platform.queueing import pauses
from tasks import app
from tests import processes
from tests.waiting import eventually

PREFIX = "{platform}:"
on_redis = pytest.mark.skipif(
    os.environ.get("TEST_BROKER_URL", "").startswith("amqp"), reason="nothing is put aside on RabbitMQ"
)

New = Callable[..., Subject]
Start = Callable[..., processes.Worker]


def all_of(subject: Subject) -> dict[str, str]:
    return {found.code: found.severity.value for check in checks.CHECKS for found in check(subject)}


def submit(*args: object, **options: Any) -> Any:
    return app.tasks["tasks.files.digest"].apply_async(args or ("/nowhere",), **options)


def die() -> None:
    """A job whose arguments do not fit its task."""
    app.send_task("tasks.files.digest", ["too", "many"])


def made_old(embedded: redis.Redis, job_id: str, seconds: float) -> None:
    embedded.hset(f"{PREFIX}job:{job_id}", "ready_at", int((time.time() - seconds) * 1000))


@pytest.fixture(autouse=True)
def _loaded(broker_url: str) -> None:
    app.load_everything()


def test_nothing_that_waits_is_silent(new_subject: New, worker: Start) -> None:
    worker(files_roots="/etc")
    submit("/etc/hosts").get(timeout=20)
    submit("/etc/hosts", countdown=3600)
    assert all_of(new_subject()) == {}


def test_waiting_jobs_and_nobody_to_run_them_is_an_error(new_subject: New) -> None:
    submit(queue="batch")
    (found,) = [one for one in checks.unserved(new_subject()) if one.code == "queue-unserved"]
    assert "1 job is waiting in the queue batch" in found.problem
    assert "-Q batch" in found.fix


def test_a_queue_that_no_worker_serves_is_an_error_beside_others(new_subject: New, worker: Start) -> None:
    worker("-Q", "offload")
    submit(queue="batch")
    assert all_of(new_subject()) == {"queue-unserved": "error"}


def test_a_job_that_has_waited_long_is_a_warning(new_subject: New, worker: Start, embedded: redis.Redis) -> None:
    busy = worker("-Q", "batch")
    os.kill(busy.pid, signal.SIGSTOP)
    try:
        made_old(embedded, submit(queue="batch").id, 7201)
        (found,) = checks.old(new_subject())
    finally:
        os.kill(busy.pid, signal.SIGCONT)
    assert (found.code, found.severity) == ("queue-behind", "warning")
    assert "waited for 2 h" in found.problem


def test_a_paused_queue_with_a_backlog_names_who_paused_it(
    new_subject: New, worker: Start, embedded: redis.Redis
) -> None:
    pauses.pause(["batch"], by="kim@desk")
    worker("-Q", "batch")
    assert all_of(new_subject()) == {}
    made_old(embedded, submit(queue="batch").id, 7200)
    subject = new_subject()
    assert all_of(subject) == {"queue-paused": "note"}
    (found,) = checks.paused(subject)
    assert "1 job is waiting in the queue batch, paused by kim@desk at 20" in found.problem


def test_delayed_jobs_nobody_hands_over_are_an_error(new_subject: New, worker: Start, embedded: redis.Redis) -> None:
    job = submit("/etc/hosts", countdown=3600)
    assert all_of(new_subject()) == {}
    embedded.zadd(f"{PREFIX}delayed", {job.id: (time.time() - 300) * 1000})
    assert all_of(new_subject()) == {"delayed-overdue": "error"}
    (found,) = checks.overdue(new_subject())
    assert "1 job is past the time to start, the first by 5 min" in found.problem
    worker(files_roots="/etc")
    eventually(lambda: all_of(new_subject()) == {})


@on_redis
def test_what_is_put_aside_is_a_dead_letter_soon_or_a_warning(
    new_subject: New, worker: Start, embedded: redis.Redis
) -> None:
    embedded.rpush(f"{PREFIX}queue:undecodable", "offload\ngarbage")
    assert all_of(new_subject()) == {"put-aside-for-long": "warning"}
    stopped = worker()
    eventually(lambda: all_of(new_subject()) == {"dead-letters": "note"})
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        embedded.hset(f"{PREFIX}queue:aside", "crashed/1.2.3", "crashed\noffload\n3\n{}")
        (found,) = checks.put_aside(new_subject())
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    assert "restart a worker" in found.fix


def test_dead_letters_are_counted_with_their_reasons(new_subject: New, worker: Start, embedded: redis.Redis) -> None:
    worker()
    die()
    eventually(lambda: dead_letters().list().total == 1)
    (found,) = checks.letters(new_subject())
    assert (found.code, found.severity) == ("dead-letters", "note")
    assert found.problem == "dead letters: 1; in the last hour 1 (invalid 1)"
    assert "dlq ls" in found.fix
    for _ in range(checks.MANY_LATELY):
        die()
    eventually(lambda: dead_letters().list().total > checks.MANY_LATELY)
    assert all_of(new_subject()) == {"dead-letters": "warning"}


def test_a_few_old_dead_letters_are_silent(new_subject: New, worker: Start, embedded: redis.Redis) -> None:
    worker()
    die()
    eventually(lambda: dead_letters().list().total == 1)
    (letter,) = dead_letters().list().items
    yesterday = (time.time() - 86_400) * 1000
    embedded.zadd(f"{PREFIX}dead:reason:invalid:dead", {letter.dead_letter_id: yesterday})
    assert all_of(new_subject()) == {}
