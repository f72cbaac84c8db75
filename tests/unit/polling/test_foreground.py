"""A worker's own process: standing by, stopping, ``--once`` and its exit codes."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import pytest
import redis

from platform.polling import foreground as module
from platform.polling.foreground import Foreground
from platform.polling.progress import Progress
from platform.polling.stop import SignalStop
from tests.unit.polling.standins import Poller, Stop, Tenure


class Slots:
    ttl_s = 8.0


class Scene:
    """``answers`` are what asking for a slot gives, one after the other; the last one again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, poller: Poller, *answers: Any, pauses: int = 10_000):
        self.poller, self.stop, self.now = poller, Stop(pauses), 1000.0
        self._answers = list(answers)
        monkeypatch.setattr(module, "take", self._take)
        monkeypatch.setattr(module, "now_s", self._clock)
        monkeypatch.setattr(module, "whoever_holds", lambda _: "it is at work at shop1, process 4711")
        own: Any = (poller, Slots(), self.stop)
        self.process = Foreground(*own, Progress("mailer"))

    def _take(self, *_: object) -> Any:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _clock(self) -> float:
        self.now += 1
        return self.now


def test_it_ends_well_when_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    tenure = Tenure()
    scene = Scene(monkeypatch, Poller(1, 1), tenure, pauses=2)
    assert scene.process.run() == 0
    assert (scene.poller.calls, tenure.is_ended) == (["up", "batch", "batch", "down"], True)


def test_without_a_free_slot_it_stands_by_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene = Scene(monkeypatch, Poller(1), "held", "held", "held", Tenure(), pauses=4)
    scene.process.run()
    said = [record.getMessage() for record in caplog.records if "stands by" in record.getMessage()]
    assert said == ["mailer stands by: it is at work at shop1, process 4711"]
    assert "batch" in scene.poller.calls


def test_who_was_stopped_or_has_no_store_stands_by(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene = Scene(monkeypatch, Poller(1), "stopped", redis.ConnectionError("gone"), pauses=2)
    assert scene.process.run() == 0
    assert "batch start mailer" in caplog.text
    assert "the record store is away (gone)" in caplog.text
    assert scene.poller.calls == []


def test_who_loses_its_lease_stands_by_again_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Tenure(7), Tenure(8)

    def lose() -> int:
        first.is_lost = True
        return 1

    scene = Scene(monkeypatch, Poller(lose, 1), first, "held", second, pauses=3)
    assert scene.process.run() == 0
    assert scene.poller.calls == ["up", "batch", "down", "up", "batch", "down"]
    assert scene.poller.tenure is second


@pytest.mark.parametrize(("answer", "code"), [(3, 0), (0, 0), (ValueError("no"), 1), (None, 1)])
def test_once_is_one_batch_and_its_exit_code(monkeypatch: pytest.MonkeyPatch, answer: Any, code: int) -> None:
    tenure = Tenure()
    scene = Scene(monkeypatch, Poller(answer, 1), tenure)
    assert scene.process.run_once() == code
    assert (scene.poller.calls, tenure.is_ended) == (["up", "batch", "down"], True)


def test_once_waits_for_a_dead_holders_lease_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, Poller(1), "held")
    assert scene.process.run_once() == 1
    assert (scene.poller.calls, 8 <= len(scene.stop.waited) <= 12) == ([], True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_wakes_who_waits(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with SignalStop() as stop:
        os.kill(os.getpid(), number)
        stop.pause(60)
        assert stop.is_asked
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_it_at_once_and_frees_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 1

    tenure = Tenure()
    scene = Scene(monkeypatch, Poller(interrupt), tenure)
    with SignalStop() as stop:
        scene.process.stop = stop
        with pytest.raises(KeyboardInterrupt):
            scene.process.run()
    assert (scene.poller.calls, tenure.is_ended) == (["up", "batch"], True)
