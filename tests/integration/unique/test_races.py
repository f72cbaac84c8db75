"""Whoever submits at once, one job comes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from platform.jobs.ledger import Ledger
from tests import processes
from tests.integration.unique.conftest import SAMPLES

#: Waits for a file, then submits from eight threads, fifteen times each.
SUBMITTER = """
import pathlib, sys, time
from concurrent.futures import ThreadPoolExecutor
import singles
folder, go, ready, task = sys.argv[1:]
pathlib.Path(ready).touch()
while not pathlib.Path(go).exists():
    time.sleep(0.001)
def submit(number):
    return getattr(singles, task).apply_async((folder,), countdown=60 * (number % 3 == 0)).id
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(submit, range(120)))
"""


@pytest.fixture
def submit_at_once(platform_settings: dict[str, object], tmp_path: Path, folder: str) -> Callable[[str], list[str]]:
    """Four processes submit the same call of a task as fast as they can; every id they got."""

    def submit(task: str) -> list[str]:
        env = processes.environment(platform_settings) | {"PYTHONPATH": str(SAMPLES)}
        ready = [tmp_path / f"ready-{number}" for number in range(4)]
        go = tmp_path / "go"
        started = [
            subprocess.Popen(
                [sys.executable, "-c", SUBMITTER, folder, str(go), str(file), task],
                env=env, cwd=processes.ROOT, stdout=subprocess.PIPE, text=True,
            )
            for file in ready
        ]  # fmt: skip
        from tests.waiting import eventually

        eventually(lambda: all(file.exists() for file in ready), timeout_s=60)
        go.touch()
        return [job_id for process in started for job_id in process.communicate(timeout=120)[0].split()]

    return submit


def test_of_many_at_once_one_is_accepted(submit_at_once: Callable[[str], list[str]], records: Ledger) -> None:
    ids = submit_at_once("done")
    assert (len(ids), len(set(ids))) == (480, 1)
    assert records.list().total == 1


def test_of_many_that_replace_each_other_one_is_left(
    submit_at_once: Callable[[str], list[str]], records: Ledger
) -> None:
    ids = submit_at_once("replacing")
    assert len(set(ids)) == 480
    counts = records.counts()[""]
    assert (counts["pending"] + counts["scheduled"], counts["cancelled"]) == (1, 479)


def test_threads_of_one_process_share_nothing_that_breaks_it(records: Ledger, folder: str) -> None:
    from tests.samples import singles

    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda _: singles.done.delay(folder).id, range(200)))
    assert (len(ids), records.list().total) == (1, 1)
