"""Handing over what is due: on time, once, in order of urgency, however many pumps there are and whichever dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from platform.delayed.pump import LEASE_MS, POLL_S, Pump
from platform.delayed.schedule import Schedule
from platform.envelope import Envelope
from platform.errors import BrokerUnavailable
from platform.jobs.facts import NewJob
from platform.jobs.ledger import Ledger
from tests.waiting import eventually

HOUR_MS = 3_600_000


def submit(schedule: Schedule, job_id: str = "a", in_ms: int = -1, priority: int = 5, queue: str = "offload") -> None:
    headers = {"id": job_id, "task": "t", "retries": 0}
    envelope = Envelope(b"[[], {}, {}]", headers, "application/json", "utf-8", {"priority": priority}, queue)
    due = int(time.time() * 1000) + in_ms
    schedule.submit(NewJob(job_id, "t", queue, priority, ready_at_ms=due), envelope)


def test_what_is_due_is_handed_over_and_is_pending(
    schedule: Schedule, ledger: Ledger, pump: Pump, delivered: Callable, client: redis.Redis
) -> None:
    submit(schedule)
    pump.step()
    (envelope,) = delivered()
    assert (envelope.headers["id"], envelope.body, envelope.priority) == ("a", b"[[], {}, {}]", 5)
    assert (ledger.get("a").state, ledger.get("a").eta) == ("pending", None)
    assert [job.job_id for job in ledger.list(queue="offload").items] == ["a"]
    assert list(client.scan_iter("*delayed*")) == []


def test_what_has_time_stays(schedule: Schedule, ledger: Ledger, pump: Pump, delivered: Callable) -> None:
    submit(schedule, in_ms=HOUR_MS)
    pump.step()
    assert delivered() == []
    assert ledger.get("a").state == "scheduled"


def test_the_next_step_is_when_the_next_message_is_due(schedule: Schedule, pump: Pump) -> None:
    assert pump.step() == POLL_S
    submit(schedule, "later", in_ms=HOUR_MS)
    assert pump.step() == POLL_S
    submit(schedule, "soon", in_ms=100)
    assert 0 < pump.step() <= 0.1


def test_the_most_urgent_is_delivered_first(schedule: Schedule, pump: Pump, delivered: Callable) -> None:
    for priority in (0, 9, 5, 8):
        submit(schedule, f"p{priority}", priority=priority)
    pump.step()
    assert [envelope.headers["id"] for envelope in delivered()] == ["p9", "p8", "p5", "p0"]


def test_a_blocked_worker_is_woken(schedule: Schedule, pump: Pump, session_valkey: redis.Redis) -> None:
    submit(schedule)
    pump.step()
    if pump._queue_prefix is not None:
        assert session_valkey.llen(f"{pump._queue_prefix}bell:offload") == 1


def test_many_pumps_hand_everything_over_once(schedule: Schedule, pump: Pump, delivered: Callable) -> None:
    for number in range(700):
        submit(schedule, f"j{number:03}")
    others = [Pump(schedule, pump._app, pump._queue_prefix) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.step(), others))
    assert sorted(envelope.headers["id"] for envelope in delivered()) == [f"j{number:03}" for number in range(700)]
    assert schedule.counts() == {"waiting": 0, "due": 0}


def test_what_a_dead_pump_had_taken_is_handed_over_by_another(
    schedule: Schedule, pump: Pump, delivered: Callable
) -> None:
    submit(schedule)
    schedule.take(10, lease_ms=300)
    pump.step()
    assert delivered() == []
    eventually(lambda: pump.step() and schedule.counts() == {"waiting": 0, "due": 0})
    assert len(delivered()) == 1


def test_a_retry_kept_while_its_job_is_published_is_not_forgotten(
    schedule: Schedule, ledger: Ledger, client: redis.Redis
) -> None:
    submit(schedule)
    lease, taken, _ = schedule.take(10, LEASE_MS)
    ledger.start(NewJob("a", "t", "offload", 5))
    retry = NewJob("a", "t", "offload", 5, retries=1, ready_at_ms=int(time.time() * 1000) + HOUR_MS)
    schedule.submit(retry, taken[0][1].with_headers(retries=1))
    schedule.settle(lease, ["a"])
    assert schedule.get("a").due_ms == retry.ready_at_ms  # type: ignore[union-attr]
    assert ledger.get("a").state == "retrying"


def test_what_could_not_be_published_is_due_again_at_once(
    schedule: Schedule, ledger: Ledger, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pump._queue_prefix is not None:
        pytest.skip("nothing is published")
    submit(schedule)
    with monkeypatch.context() as broken:
        broken.setattr(Envelope, "publish", _no_broker)
        with pytest.raises(BrokerUnavailable):
            pump.step()
    assert schedule.counts() == {"waiting": 0, "due": 1}
    assert ledger.get("a").state == "scheduled"


def _no_broker(*_: object, **__: object) -> None:
    raise BrokerUnavailable("away")


def test_a_queue_this_worker_does_not_know_holds_nobody_up(
    schedule: Schedule, pump: Pump, delivered: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    if pump._queue_prefix is not None:
        pytest.skip("a list needs no declaring")
    submit(schedule, "a", in_ms=-2, queue="elsewhere")
    submit(schedule, "b")
    pump.step()
    assert [envelope.headers["id"] for envelope in delivered()] == ["b"]
    assert "its queue 'elsewhere' is not in this worker's PLATFORM_QUEUES" in caplog.text
    assert schedule.get("a") is not None
