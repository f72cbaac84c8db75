"""On the queue ``batch``: real Celery workers, killed and stopped, and work that checks that it is alone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from platform.jobs.ledger import ledger
from tests.integration.polling.conftest import Diary
from tests.processes import Program, Worker
from tests.waiting import eventually

Start = Callable[..., Worker]


@pytest.fixture
def serving(worker: Callable[..., Worker], folder: Path, diary: Diary) -> Start:
    """A Celery worker that serves ``batch`` and knows the module ``polled``."""
    return partial(worker, "-Q", "batch", imports="polled", folder=folder, env={"POLLED_FOLDER": str(diary.folder)})


def test_workers_run_it_one_at_a_time_and_another_takes_over_from_a_killed_one(serving: Start, diary: Diary) -> None:
    first, second = serving(), serving()
    diary.wait_for("batch", count=20)
    (pid,) = {line[1] for line in diary.lines("batch")}
    holder = next(one for one in (first, second) if str(pid) in _children(one))
    other = second if holder is first else first
    diary.put("gate")
    held = diary.wait_for("held")[-1]
    killed_at = time.monotonic()
    holder.kill_group()
    diary.take_away("gate")
    taken = eventually(lambda: [line for line in diary.lines("batch") if line[2] > held[2]], 15)
    assert time.monotonic() - killed_at < 15
    assert str(taken[0][1]) in _children(other)
    assert "TWICE" not in diary.text()


def test_a_worker_that_stops_ends_the_batch_and_passes_the_slot_on(serving: Start, diary: Diary) -> None:
    first = serving()
    diary.put("gate")
    pid = diary.wait_for("held")[0][1]
    second = serving()
    first.process.terminate()
    first.wait_for("stops within")
    diary.take_away("gate")
    assert first.wait() == 0
    assert [word for word, who, _ in diary.lines() if who == pid][-2:] == ["freed", "down"]
    eventually(lambda: [line for line in diary.lines("batch") if line[1] != pid], 15)
    assert "TWICE" not in diary.text()
    assert second.is_alive


def test_it_is_stopped_and_started_from_a_terminal(
    serving: Start, diary: Diary, celery: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving()
    diary.wait_for("batch")
    assert "counter" in celery("batch", "ls").stdout
    assert json.loads(celery("batch", "stop", "counter", "--json").stdout)["stopped"] is True
    eventually(lambda: len(diary.lines("down")) == len(diary.lines("up")))
    ups = len(diary.lines("up"))
    assert '"stopped": true' in celery("batch", "ls", "--json").stdout
    assert len(diary.lines("up")) == ups
    assert celery("batch", "start", "counter").returncode == 0
    diary.wait_for("up", count=ups + 1, timeout_s=15)
    unknown = celery("batch", "stop", "conter")
    assert (unknown.returncode, "did you mean 'counter'" in unknown.stderr) == (1, True)


@pytest.mark.parametrize("error", ["Discard", "MemoryError"])
def test_an_error_that_a_job_would_not_be_tried_again_for_backs_off_as_any(
    serving: Start, diary: Diary, error: str
) -> None:
    diary.put("broken", error)
    serving()
    eventually(lambda: diary.errors() == 4, 30)
    (job,) = eventually(lambda: ledger().list(task="counter", state="retrying").items)
    assert job.error["type"] == "BatchFailed"
    assert job.error["message"].startswith(f"{error}: no")
    diary.take_away("broken")
    diary.wait_for("batch", timeout_s=15)


def test_the_job_that_follows_the_last_run_goes_on_with_the_backoff(serving: Start, diary: Diary, folder: Path) -> None:
    """Of two runs instead of fifty: the third and the fourth error are those of the next job."""
    file = folder / "polled.py"
    file.write_text("import tasks.polling\n\ntasks.polling.MOST_RUNS = 1\n" + file.read_text())
    diary.put("broken")
    only = serving()
    eventually(lambda: re.search(r"it goes on in [34]\.\d s", only.text()), 30)
    after, before = eventually(lambda: len(found := ledger().list(task="counter").items) == 2 and found)
    assert (before.state, diary.errors()) == ("completed", 3)
    waited = datetime.fromisoformat(after.started_at) - datetime.fromisoformat(before.finished_at)
    assert waited >= timedelta(seconds=1.4)  # 1.5 s of the backoff at least, in whole milliseconds


def test_a_process_of_its_own_and_a_queue_share_the_slot(
    counter: Callable[..., Program], serving: Start, diary: Diary
) -> None:
    alone = counter()
    diary.wait_for("batch", alone.pid)
    serving()
    diary.wait_for("batch", alone.pid, len(diary.lines("batch")) + 100)
    assert {line[1] for line in diary.lines("batch")} == {alone.pid}
    assert alone.stop() == 0
    eventually(lambda: [line for line in diary.lines("batch") if line[1] != alone.pid], 15)
    assert "TWICE" not in diary.text()


def _children(worker: Worker) -> str:
    return Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
