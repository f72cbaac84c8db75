"""Real beats: one acts, another takes over, and what was due meanwhile is handed out once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from platform.schedules.election import schedulers
from platform.schedules.register import Register
from platform.schedules.schedule import Schedule
from tests import processes
from tests.integration.schedules.conftest import jobs
from tests.waiting import eventually

#: What is promised of a fail-over.
FAIL_OVER_S = 15.0
MODULE = """
from tasks import app

@app.task
def note(text): return text

app.conf.beat_schedule = {"often": {"task": "clockwork.note", "schedule": 1.0, "args": ("code",)}}
"""

New = Callable[..., Schedule]


@pytest.fixture
def start_beat(
    platform_settings: dict[str, object], programs: list[processes.Program], data_dir: Path
) -> Callable[..., processes.Beat]:
    def start(**more: object) -> processes.Beat:
        (data_dir / "clockwork.py").write_text(MODULE)
        env = processes.environment(platform_settings | more) | {"PYTHONPATH": str(data_dir)}
        beat = processes.Beat([], data_dir / f"beat-{len(programs)}.log", env)
        programs.append(beat)
        beat.wait_until_ready()
        return beat

    return start


def acting_pid(register: Register) -> int | None:
    return next((one.pid for one in schedulers(register) if one.acting), None)


def due_times(made: Schedule, count: int) -> list[int]:
    return [(made.next_ms or 0) + 1000 * n for n in range(count)]


def test_a_schedule_and_a_modules_entry_run_on_time(
    new: New, start_beat: Callable[..., processes.Beat], worker: Callable[..., processes.Worker], data_dir: Path
) -> None:
    start_beat(imports="clockwork")
    worker(imports="clockwork", folder=data_dir)
    new(task="clockwork.note", args=["kept"], every_s=1.0)
    done = eventually(lambda: {str(job.result) for job in jobs() if job.state == "completed"} >= {"kept", "code"}, 20)
    assert done
    late = [job for job in jobs() if job.task == "clockwork.note"]
    assert len(late) == len({job.job_id for job in late})


def test_when_the_acting_one_is_killed_another_takes_over_and_makes_up_for_it(
    new: New, start_beat: Callable[..., processes.Beat], register: Register
) -> None:
    beats = {beat.pid: beat for beat in (start_beat(), start_beat())}
    first = eventually(lambda: acting_pid(register), 10)
    made = new(every_s=1.0, missed="all")
    eventually(lambda: register.get(made.id).runs >= 2, 20)
    beats[first].kill()
    killed_at, runs = time.monotonic(), register.get(made.id).runs
    eventually(lambda: register.get(made.id).runs > runs, FAIL_OVER_S)
    assert time.monotonic() - killed_at < FAIL_OVER_S
    assert acting_pid(register) in beats.keys() - {first}
    eventually(lambda: (register.get(made.id).next_ms or 0) > time.time() * 1000)
    seen = register.get(made.id)
    due = ((seen.next_ms or 0) - (made.next_ms or 0)) // 1000
    assert (seen.runs, seen.missed_runs, len(jobs())) == (due, 0, due)


def test_when_the_acting_one_is_stopped_another_acts_at_once(
    start_beat: Callable[..., processes.Beat], register: Register
) -> None:
    beats = {beat.pid: beat for beat in (start_beat(), start_beat())}
    first = eventually(lambda: acting_pid(register), 10)
    assert beats[first].stop() == 0
    eventually(lambda: acting_pid(register) not in (None, first), 5)
    assert [one.pid for one in schedulers(register)] == [acting_pid(register)]


def test_one_that_was_frozen_past_its_lease_doubles_nothing(
    new: New, start_beat: Callable[..., processes.Beat], register: Register
) -> None:
    beats = {beat.pid: beat for beat in (start_beat(), start_beat())}
    first = eventually(lambda: acting_pid(register), 10)
    made = new(every_s=1.0, missed="all")
    eventually(lambda: register.get(made.id).runs >= 1, 20)
    os.kill(first, signal.SIGSTOP)
    eventually(lambda: acting_pid(register) not in (None, first), FAIL_OVER_S)
    os.kill(first, signal.SIGCONT)
    reached = register.get(made.id).runs
    eventually(lambda: register.get(made.id).runs > reached + 3, 20)
    seen = register.get(made.id)
    due = ((seen.next_ms or 0) - (made.next_ms or 0)) // 1000
    assert (seen.runs, seen.missed_runs) == (due, 0)
    handed_out = jobs()
    assert len({job.job_id for job in handed_out}) == len(handed_out) >= due
    assert beats[first].is_alive


def test_a_schedule_that_is_changed_while_it_runs_follows_the_change(
    new: New, start_beat: Callable[..., processes.Beat], register: Register
) -> None:
    start_beat()
    made = new(every_s=1.0)
    eventually(lambda: register.get(made.id).runs >= 1, 20)
    eventually(lambda: _is_changed(register, made.id, args=["/changed"], priority=9))
    before = register.get(made.id).runs
    eventually(lambda: register.get(made.id).runs > before + 1, 10)
    assert jobs()[-1].priority == 9
    eventually(lambda: _is_changed(register, made.id, every_s=3600.0))
    count = len(jobs())
    assert (register.get(made.id).next_ms or 0) - time.time() * 1000 > 3_500_000
    register.remove(register.get(made.id))
    assert len(jobs()) == count


def _is_changed(register: Register, schedule_id: str, **changes: object) -> bool:
    before = register.get(schedule_id)
    register.change(before, before.definition.changed(int(time.time() * 1000), **changes))
    return True
