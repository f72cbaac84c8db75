"""Schedules, and whether anybody acts on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from platform import clock
from platform.audit import clockwork as checks
from platform.audit.finding import Finding
from platform.audit.subject import Subject
from platform.schedules.definition import Definition
from platform.schedules.election import Candidacy
from platform.schedules.register import Register, register
from tasks import app

New = Callable[..., Subject]


@pytest.fixture
def kept(embedded: redis.Redis) -> Register:
    return register()


def found(subject: Subject) -> dict[str, Finding]:
    return {one.code: one for check in checks.CHECKS for one in check(subject)}


def add(kept: Register, number: int = 1, **more: object) -> None:
    said = {"name": f"n{number}", "task": "tasks.files.digest", "every_s": 60.0, "anchor_ms": clock.now_ms()} | more
    kept.add(f"00000000-0000-4000-8000-{number:012}", Definition(**said))  # type: ignore[arg-type]


def test_without_schedules_nobody_need_act(new_subject: New, kept: Register) -> None:
    assert found(new_subject()) == {}


def test_schedules_on_which_nobody_acts_are_an_error(new_subject: New, kept: Register) -> None:
    add(kept)
    problem = found(new_subject())["no-scheduler"]
    assert (problem.severity, problem.problem) == ("error", "1 schedule and no scheduler acts")
    Candidacy(kept).is_acting()
    assert found(new_subject()) == {}


def test_entries_of_modules_on_which_nobody_acts_are_a_warning(
    new_subject: New, kept: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.conf.beat_schedule, "a", {"task": "tasks.files.digest", "schedule": 60})
    assert found(new_subject())["no-scheduler"].severity == "warning"


def test_one_that_is_late_though_somebody_acts_is_an_error(new_subject: New, kept: Register) -> None:
    add(kept)
    kept.client.zadd(f"{kept.prefix}schedules:due", {kept.page().items[0].id: clock.now_ms() - 60_000})
    Candidacy(kept).is_acting()
    assert found(new_subject())["schedules-overdue"].severity == "error"


def test_one_that_makes_no_job_is_a_warning_and_one_that_cannot_an_error(new_subject: New, kept: Register) -> None:
    add(kept, 1)
    add(kept, 2, task="shop.gone")
    add(kept, 3, queue="gone")
    Candidacy(kept).is_acting()
    kept.client.hset(f"{kept.prefix}schedule:{kept.page().items[-1].id}", "error", "TypeError: no")
    told = found(new_subject())
    assert {code: one.severity.value for code, one in told.items()} == {
        "schedule-fails": "warning", "schedule-of-unknown-task": "error", "schedule-to-unknown-queue": "error",
    }  # fmt: skip
    assert "TypeError: no" in told["schedule-fails"].problem
