from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from web.client import Job, JobError
from web.demo.act import completed, duration, percentile, run_time_s, size, wait_time_s
from web.demo.failure import DemoFailed

START = datetime(2026, 11, 22, tzinfo=UTC)
DONE = Job(
    "j-1",
    "t",
    "offload",
    5,
    "completed",
    created_at=START,
    started_at=START + timedelta(seconds=1),
    finished_at=START + timedelta(seconds=3),
)


def test_times_are_counted_from_submission() -> None:
    assert (wait_time_s(DONE), run_time_s(DONE)) == (1, 3)


def test_a_time_that_is_missing_fails_the_demonstration() -> None:
    with pytest.raises(DemoFailed, match="no finished_at though it is completed"):
        run_time_s(Job("j-1", "t", "offload", 5, "completed", created_at=START))


def test_a_job_that_failed_fails_the_demonstration_with_its_reason() -> None:
    failed = Job("j-1", "t", "offload", 5, "failed", error=JobError("OSError", "disk full"))
    with pytest.raises(DemoFailed, match=r"a job is failed \(t, job j-1\): OSError: disk full"):
        completed(failed, "a job")


def test_percentiles_of_few_and_of_none() -> None:
    times_s = [0.4, 0.1, 0.3, 0.2]
    assert [percentile(times_s, share) for share in (0, 0.5, 0.95, 1)] == [0.1, 0.3, 0.4, 0.4]
    assert percentile([], 0.5) == 0


@pytest.mark.parametrize(("seconds", "text"), [(0.0004, "0 ms"), (0.35, "350 ms"), (1, "1.0 s"), (12.34, "12.3 s")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (3e9, "3.0 GB")])
def test_sizes_are_short(count: float, text: str) -> None:
    assert size(count) == text
