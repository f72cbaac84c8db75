"""The watchdog ends what is alive and does nothing, and nothing else."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from platform.leases.channel import LeasedChannel
from platform.watchdog import Watchdog

PATIENCE_S = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    monkeypatch.setattr(LeasedChannel, "asked_at", made.now)
    return made


class Scene:
    """A consumer with a hub and free slots, watched, and a broker that answers."""

    def __init__(self) -> None:
        self.broker_answers = True
        self.ended = 0
        consumer: Any = SimpleNamespace(
            hub=SimpleNamespace(call_repeatedly=lambda *_: None),
            controller=SimpleNamespace(max_concurrency=2),
            task_consumer=SimpleNamespace(queues=["offload"]),
        )
        self.dog = Watchdog(PATIENCE_S, lambda: self.broker_answers, self._end)
        self.dog.arm(consumer)

    def _end(self) -> None:
        self.ended += 1

    def live(self, clock: Clock, seconds: int, ticks: bool = True, asks: bool = True) -> None:
        for _ in range(seconds // 5):
            clock.now += 5
            if ticks:
                self.dog.tick()
            if asks:
                LeasedChannel.asked_at = clock.now
            self.dog.check()


def test_a_worker_that_turns_and_asks_lives(clock: Clock) -> None:
    scene = Scene()
    scene.live(clock, 600)
    assert scene.ended == 0


def test_a_loop_that_stands_still_ends_it(clock: Clock) -> None:
    scene = Scene()
    scene.live(clock, int(PATIENCE_S), ticks=False)
    assert scene.ended == 0
    scene.live(clock, int(PATIENCE_S) + 10, ticks=False)
    assert scene.ended > 0


def test_a_loop_that_turns_and_never_asks_ends_it(clock: Clock) -> None:
    scene = Scene()
    scene.live(clock, 2 * int(PATIENCE_S) + 10, asks=False)
    assert scene.ended > 0


def test_a_broker_that_is_away_is_no_fault_of_the_worker(clock: Clock) -> None:
    scene = Scene()
    scene.broker_answers = False
    scene.live(clock, 600, ticks=False, asks=False)
    scene.broker_answers = True
    scene.live(clock, 30)
    assert scene.ended == 0


def test_a_worker_with_no_free_slot_need_not_ask(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery.worker import state

    monkeypatch.setattr(state, "reserved_requests", {object(), object()})
    scene = Scene()
    scene.live(clock, 600, asks=False)
    assert scene.ended == 0
