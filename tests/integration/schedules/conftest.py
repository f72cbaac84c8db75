"""A register on the session's empty Valkey, schedulers in this process, and a clock that can be put forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.beat import ScheduleEntry

from platform import clock
from platform.jobs.ledger import ledger
from platform.jobs.record import Job
from platform.schedules import owners
from platform.schedules.conductor import Conductor
from platform.schedules.definition import Definition
from platform.schedules.election import Candidacy
from platform.schedules.entries import Entry
from platform.schedules.register import Register
from platform.schedules.register import register as own_register
from platform.schedules.schedule import Schedule

TASK = "tasks.files.digest"
#: In seconds.
TTL_S = 1.5


@pytest.fixture
def app(broker_url: str) -> Celery:
    from tasks import app

    app.load_everything()
    return app


@pytest.fixture
def register(app: Celery) -> Register:
    return own_register()


@pytest.fixture
def forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """``forward(3600)``: it is an hour later, at once."""
    file = tmp_path / "clock"
    file.write_text("0")
    monkeypatch.setenv(clock.VARIABLE, str(file))
    clock._file.cache_clear()
    yield lambda seconds: file.write_text(str(float(file.read_text()) + seconds)) and None
    clock._file.cache_clear()


@pytest.fixture
def new(register: Register) -> Callable[..., Schedule]:
    """Keep a schedule that runs every minute, unless keywords say otherwise; as it would come from ``acts``."""

    def make(name: str = "a", **more: Any) -> Schedule:
        said: dict[str, Any] = {"task": TASK, "args": ["/nowhere"], "every_s": 60.0} | more
        if said.get("cron"):
            said["every_s"] = None
        definition = Definition(name=name, **said)
        now_ms = clock.now_ms()
        own_id = f"00000000-0000-4000-8000-{len(register.page().items):012}"
        return register.add(own_id, replace(definition, created_ms=now_ms, anchor_ms=now_ms))

    return make


@pytest.fixture
def scheduler(app: Celery, register: Register) -> Callable[..., Conductor]:
    """One more scheduler, whose modules have these entries of ``beat_schedule``; its lease is short."""

    def make(entries: Mapping[str, Mapping[str, Any]] | None = None) -> Conductor:
        said = [Entry(ScheduleEntry(**{**given, "name": n, "app": app})) for n, given in (entries or {}).items()]
        return Conductor(app, said, register, Candidacy(register, TTL_S))

    return make


@pytest.fixture(autouse=True)
def no_remembered_owners() -> None:
    owners._recent().clear()


def jobs() -> list[Job]:
    """Every job there is, the oldest first."""
    return ledger().list(limit=500).items[::-1]
