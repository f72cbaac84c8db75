"""One worker in one tenure: the order of things, errors, and the lease before everything."""

from __future__ import annotations

from typing import Any

import pytest

from platform.polling.errors import LeaseLost
from platform.polling.loop import Loop
from platform.polling.pace import Pace
from platform.polling.progress import Progress
from tests.unit.polling.standins import Poller, Stop, Tenure


class Scene:
    def __init__(self, poller: Poller, pauses: int = 10_000):
        self.poller, self.tenure, self.stop = poller, Tenure(), Stop(pauses)
        self.progress = Progress("mailer")
        own: Any = (poller, self.tenure, self.stop)
        self.loop = Loop(*own, Pace(0.1, 5.0, random=lambda: 0.0), self.progress)


def test_it_starts_once_works_until_it_is_asked_to_stop_and_shuts_down() -> None:
    scene = Scene(Poller(1, 1, 1), pauses=3)
    scene.loop.run()
    assert scene.loop.finish()
    assert scene.poller.calls == ["up", "batch", "batch", "batch", "down"]
    assert scene.tenure.confirmed == 3


def test_it_waits_as_its_pace_says() -> None:
    scene = Scene(Poller(2, 0, 0, ValueError("x"), 0), pauses=5)
    scene.loop.run()
    assert scene.stop.waited == [0.1, 0.1, 0.2, 1.0, 0.4]


def test_what_it_did_is_counted() -> None:
    scene = Scene(Poller(2, 3, ValueError("no"), 1), pauses=3)
    scene.loop.run()
    now = scene.progress
    assert (now.processed, now.batches, now.errors, now.state) == (5, 2, 1, "failing")
    assert now.last_error == "ValueError: no"


def test_an_error_is_told_and_the_loop_goes_on() -> None:
    error = ValueError("no")
    scene = Scene(Poller(error, 1), pauses=2)
    scene.loop.run()
    assert (scene.poller.errors, scene.progress.processed) == ([error], 1)


def test_a_hook_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(Poller(ValueError("no"), 1), pauses=2)

    def broken(*_: object) -> None:
        raise OSError("broken too")

    monkeypatch.setattr(scene.poller, "on_error", broken)
    monkeypatch.setattr(scene.poller, "on_shutdown", broken)
    scene.loop.run()
    assert (scene.progress.processed, scene.loop.finish()) == (1, False)


def test_a_startup_that_fails_is_tried_again_and_nothing_shut_down_before(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(Poller(1), pauses=1)

    def broken() -> None:
        raise OSError("not yet")

    monkeypatch.setattr(scene.poller, "on_startup", broken)
    scene.loop.run()
    assert (scene.stop.waited, scene.poller.calls, scene.loop.finish()) == ([1.0], [], True)


@pytest.mark.parametrize("answer", [None, "3", -1, 1.5])
def test_an_answer_that_is_no_count_is_an_error(answer: Any) -> None:
    scene = Scene(Poller(answer))
    assert scene.loop.step() == 1.0
    assert isinstance(scene.loop.error, TypeError)


def test_without_the_lease_no_batch_begins() -> None:
    scene = Scene(Poller(1))
    scene.tenure.is_lost = True
    with pytest.raises(LeaseLost):
        scene.loop.run()
    assert scene.poller.calls == []


def test_a_batch_that_notices_the_loss_ends_the_tenure_and_is_no_error() -> None:
    scene = Scene(Poller(LeaseLost("mailer", 7)))
    with pytest.raises(LeaseLost):
        scene.loop.run()
    assert (scene.poller.errors, scene.progress.errors) == ([], 0)


def test_who_is_told_to_stop_begins_nothing_more() -> None:
    scene = Scene(Poller(1, 1))
    scene.tenure.is_told_to_stop = True
    scene.loop.run()
    assert scene.poller.calls == []
