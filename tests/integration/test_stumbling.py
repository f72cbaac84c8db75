"""Processes that die between being given a job and beginning it: nothing of it is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from platform.jobs.ledger import ledger
from platform.jobs.record import Job
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.processes import Worker
from tests.waiting import eventually

#: Given back, it runs. So often, it is given up.
MAX_DEATHS = 3


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """How often a process is still to die, a character each time."""
    return tmp_path / "left"


@pytest.fixture
def start(worker: Callable[..., Worker], tmp_path: Path, left: Path) -> Callable[[int], Worker]:
    """``start(2)``: a worker whose processes die twice, each when it is about to begin a job."""
    shutil.copy(SAMPLES / "stumbles.py", tmp_path)

    def go(times: int) -> Worker:
        left.write_text("x" * times)
        options = {"imports": "stumbles", "folder": tmp_path, "max_deaths": MAX_DEATHS}
        return worker(env={"STUMBLES": str(left)}, **options)

    return go


def ended(job_id: str) -> Job:
    return eventually(lambda: next((job for job in ledger().get_many([job_id]) if job.is_final), None), 30)


@pytest.mark.parametrize("options", [{}, {"priority": 9}, {"countdown": 0.5}], ids=str)
def test_a_job_whose_process_dies_before_it_begins_is_run(
    start: Callable[[int], Worker], left: Path, options: dict[str, object]
) -> None:
    start(1)
    job = ended(app.send_task("stumbles.add", [1, 2], **options).id)
    assert (job.state, job.result, job.attempts) == ("completed", 3, 1)
    assert left.read_text() == ""


def test_one_that_no_process_gets_to_begin_is_a_dead_letter(start: Callable[[int], Worker]) -> None:
    start(MAX_DEATHS)
    job = ended(app.send_task("stumbles.add", [1, 2]).id)
    assert (job.state, job.attempts, job.error["type"]) == ("failed", 0, "WorkerCrashed")
    assert job.dead_letter_id
