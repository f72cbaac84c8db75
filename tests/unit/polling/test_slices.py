"""One run of a worker's job: why it ends, and when its job comes again."""

from __future__ import annotations

from typing import Any

import pytest

from platform.polling import slices as module
from platform.polling.errors import LeaseLost
from platform.polling.pace import Pace
from platform.polling.slices import Again, run_slice
from tests.unit.polling.standins import Poller, Stop, Tenure


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, poller: Poller, found: Any = None, pauses: int = 10_000):
        self.poller, self.now = poller, 1000.0
        self.tenure = found or Tenure()
        self.stop = Stop(pauses)
        self.pace = Pace(poller.active_s, poller.idle_s, random=lambda: 0.0)
        monkeypatch.setattr(module, "own_slots", lambda _: None)
        monkeypatch.setattr(module, "take", lambda *_: self.tenure)
        monkeypatch.setattr(module, "whoever_holds", lambda _: "it is at work at shop1, process 4711")
        monkeypatch.setattr(module, "now_s", lambda: self.now)

    def run(self) -> Again | None:
        stop: Any = self.stop
        return run_slice(self.poller, self.pace, stop)  # type: ignore[arg-type]

    def advance(self, seconds: float) -> int:
        self.now += seconds
        return 1


def told(again: Again | None) -> tuple[float, str]:
    assert again is not None
    return again.in_s, str(again.why)


def test_short_waits_are_spent_inside_long_ones_in_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, Poller(1))
    assert told(scene.run()) == (1.6, "there was nothing to do")
    assert scene.stop.waited == [0.1, 0.1, 0.2, 0.4, 0.8]
    assert (scene.poller.calls[0], scene.poller.calls[-1], scene.tenure.is_ended) == ("up", "down", True)
    assert scene.pace.rest_s == 1.6


def test_after_a_minute_it_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, Poller())
    scene.poller.answers = [lambda: scene.advance(40)] * 9
    assert told(scene.run()) == (0, "its turn was over")
    assert scene.poller.calls == ["up", "batch", "batch", "down"]


def test_an_error_is_its_jobs_and_carries_the_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, Poller(ValueError("no")))
    scene.pace.failures = 3
    assert told(scene.run()) == (8, "ValueError: no")
    assert (scene.pace.failures, len(scene.poller.errors)) == (4, 1)


def test_its_celery_worker_stopping_puts_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, Poller(1, 1, 1), pauses=1)
    assert told(scene.run()) == (0, "its Celery worker stops")
    assert scene.poller.calls == ["up", "batch", "down"]


def test_who_was_stopped_or_lost_its_lease_does_not_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scene(monkeypatch, Poller(1), "stopped").run() is None
    lost = Scene(monkeypatch, Poller(LeaseLost("mailer", 7)))
    assert (lost.run(), lost.poller.calls) == (None, ["up", "batch", "down"])
    told_to = Tenure()
    told_to.is_told_to_stop = True
    assert Scene(monkeypatch, Poller(1), told_to).run() is None


def test_without_a_free_slot_it_asks_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, Poller(1), "held")
    assert told(scene.run()) == (2, "it stands by: it is at work at shop1, process 4711")
    assert scene.poller.calls == []
