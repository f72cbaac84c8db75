"""Jobs that end their process, their worker or their memory: tried so often and no more, kept with the evidence."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform.deadletters.letter import Letter
from platform.deadletters.register import dead_letters
from platform.jobs.ledger import ledger
from platform.jobs.record import Job
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.processes import Worker
from tests.waiting import eventually

TTL_S = 2.0


@pytest.fixture
def start(worker: Callable[..., Worker], tmp_path: Path) -> Callable[..., Worker]:
    shutil.copy(SAMPLES / "shop.py", tmp_path)

    def go(**more: object) -> Worker:
        options = {"imports": "shop", "folder": tmp_path, "lease_ttl_s": TTL_S} | more
        return worker(**options)

    return go


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A file in which each run of a job leaves a line."""
    return tmp_path / "runs"


def submit(name: str, *args: object, **options: object) -> str:
    return app.send_task(f"shop.{name}", [str(arg) if isinstance(arg, Path) else arg for arg in args], **options).id


def ended(job_id: str, timeout_s: float = 30) -> Job:
    return eventually(lambda: next((job for job in ledger().get_many([job_id]) if job.is_final), None), timeout_s)


def letter_of(job_id: str) -> Letter:
    return eventually(lambda: _letter_of(job_id))


def _letter_of(job_id: str) -> Letter | None:
    letter_id = ledger().get(job_id).dead_letter_id
    return dead_letters().get(letter_id) if letter_id else None


def evidence_of(job_id: str) -> dict[str, Any]:
    return letter_of(job_id).evidence or {}


def count(runs: Path) -> int:
    return len(runs.read_text().splitlines())


@pytest.mark.parametrize(
    ("task", "arguments", "signal_name", "exit_code"),
    [("leave", [3], None, 3), ("leave", [0], None, 0), ("kill_child", [], "SIGKILL", None)],
)
def test_a_job_that_ends_its_process_runs_three_times_and_is_kept_with_how_it_ended(
    start: Callable[..., Worker], runs: Path, task: str, arguments: list, signal_name: str, exit_code: int
) -> None:
    worker = start()
    job_id = submit(task, runs, *arguments)
    assert ended(job_id).state == "failed"
    letter = letter_of(job_id)
    assert (letter.reason, letter.attempts, count(runs)) == ("worker_lost", 3, 3)
    evidence = letter.evidence or {}
    assert (evidence.get("signal"), evidence.get("exit_code")) == (signal_name, exit_code)
    assert (evidence["deaths"], evidence["peak_memory_bytes"] > 10_000_000) == (3, True)
    later = submit("add", 1, 2)
    assert ended(later).result == 3
    assert worker.is_alive


def test_a_job_that_ends_its_whole_worker_is_kept_after_three(start: Callable[..., Worker], runs: Path) -> None:
    workers = [start() for _ in range(4)]
    job_id = submit("kill_worker", runs)
    assert ended(job_id, 60).state == "failed"
    assert letter_of(job_id).reason == "worker_lost"
    assert evidence_of(job_id)["deaths"] == 3
    assert (count(runs), sum(worker.is_alive for worker in workers)) == (3, 1)


def test_a_job_that_wants_too_much_memory_ends_alone(start: Callable[..., Worker], runs: Path) -> None:
    worker = start()
    job_id = submit("greedy", runs)
    assert ended(job_id).state == "failed"
    assert (letter_of(job_id).error["type"], count(runs)) == ("MemoryError", 3)
    assert evidence_of(job_id)["peak_memory_bytes"] > 10_000_000
    assert worker.is_alive


@pytest.mark.parametrize(("task", "error"), [("too_slow", "TimeLimitExceeded"), ("warned", "SoftTimeLimitExceeded")])
def test_a_job_over_its_time_limit_is_stopped_and_kept(
    start: Callable[..., Worker], runs: Path, task: str, error: str
) -> None:
    start()
    job_id = submit(task, runs)
    job = ended(job_id)
    assert (job.state, job.error and job.error["type"]) == ("failed", error)
    assert (letter_of(job_id).reason, count(runs)) == ("time_limit", 1)
    assert "time limit" in job.error["message"]


def test_an_innocent_worker_death_is_forgiven(start: Callable[..., Worker]) -> None:
    first = start()
    job_id = submit("slow", 3)
    eventually(lambda: ledger().get(job_id).state == "running")
    first.kill_group()
    start()
    assert (ended(job_id).state, ledger().get(job_id).attempts) == ("completed", 2)


def test_a_worker_told_to_stop_gives_back_what_would_take_too_long(start: Callable[..., Worker]) -> None:
    first = start(shutdown_timeout_s=1)
    job_id = submit("slow", 4)
    eventually(lambda: ledger().get(job_id).state == "running")
    first.signal(signal.SIGTERM)
    first.wait(15)
    assert ledger().get(job_id).state in ("pending", "running")
    start()
    assert (ended(job_id).state, ledger().get(job_id).attempts) == ("completed", 2)


def test_a_worker_whose_loop_hangs_is_ended_and_its_jobs_run_elsewhere(
    start: Callable[..., Worker], tmp_path: Path
) -> None:
    (tmp_path / "hanging.py").write_text(HANGING)
    hung = start(imports="shop,hanging", watchdog_s=5)
    job_id = submit("add", 20, 22)
    assert hung.wait(40) == 70
    start()
    assert ended(job_id).result == 42


HANGING = """
import time
from celery import signals

@signals.task_received.connect
def hang(**_):
    time.sleep(1000)
"""


def test_the_parent_of_a_killed_worker_leaves_no_children(start: Callable[..., Worker]) -> None:
    first = start(concurrency=2)
    job_id = submit("slow", 2)
    eventually(lambda: ledger().get(job_id).state == "running")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    start()
    assert ended(job_id).state == "completed"
