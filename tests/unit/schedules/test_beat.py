from __future__ import annotations

import logging
from typing import Any

import pytest

from platform.errors import BrokerUnavailable
from platform.schedules.beat import AWAY_PAUSE_S, Scheduler
from tasks import app


class Conductor:
    """Does what it is told, one thing a step: a pause to return, or an exception to raise."""

    def __init__(self, *script: Any):
        self.script, self.has_resigned = list(script), False

    def step(self) -> float:
        what = self.script.pop(0)
        if isinstance(what, Exception):
            raise what
        return float(what)

    def resign(self) -> None:
        self.has_resigned = True
        self.step()


def scheduler(*script: Any) -> Scheduler:
    made = Scheduler(app, schedule_filename="unused")
    made._conductor = Conductor(*script)  # type: ignore[assignment]
    return made


def test_beat_sleeps_as_long_as_there_is_nothing_to_do_and_never_long() -> None:
    made = scheduler(0.0, 0.3, 60.0)
    assert [made.tick(), made.tick(), made.tick()] == [0.0, 0.3, 1.0]


def test_a_store_that_is_away_is_told_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    away = BrokerUnavailable("nobody is there")
    made = scheduler(away, away, 0.1, away)
    with caplog.at_level(logging.WARNING, "platform.schedules.beat"):
        assert [made.tick() for _ in range(3)] == [AWAY_PAUSE_S, AWAY_PAUSE_S, 0.1]
    assert len(caplog.records) == 1
    made.tick()
    assert len(caplog.records) == 2


def test_a_round_that_fails_does_not_end_beat() -> None:
    assert scheduler(ValueError("no")).tick() == AWAY_PAUSE_S


def test_at_its_end_beat_lets_another_act() -> None:
    made = scheduler(0.0)
    made.close()
    assert made.conductor.has_resigned  # type: ignore[attr-defined]
    scheduler(BrokerUnavailable("nobody is there")).close()


def test_one_that_only_tells_of_itself_asks_nobody() -> None:
    lazy = Scheduler(app, lazy=True)
    lazy.close()
    assert (lazy.info, lazy.should_sync()) == ("    . schedules -> in the record store", False)


def test_it_is_what_beat_uses() -> None:
    assert app.conf.beat_scheduler == "platform.schedules.beat:Scheduler"
