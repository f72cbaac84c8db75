"""Jobs for later: one runs when its time has come, one is cancelled before and never does."""

from __future__ import annotations

import time

from web.client import APIError
from web.demo.act import Outcome, Stage, completed, run_time_s, wait_time_s
from web.demo.failure import DemoFailed

TITLE = "Schedule, cancel"

COUNTDOWN_S = 2.0


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    jobs, file = stage.client.jobs, str(stage.folder.sample(1)[0])
    soon = jobs.submit("tasks.files.digest", file, countdown=COUNTDOWN_S)
    never = jobs.submit("tasks.files.digest", file, countdown=3600)
    if jobs.cancel(never.job_id).state != "cancelled":
        raise DemoFailed(f"job {never.job_id} was cancelled and is not")
    ended = completed(jobs.wait(soon.job_id, timeout_s=60), "a scheduled job")
    begun_after_s = wait_time_s(ended)
    if begun_after_s < COUNTDOWN_S:
        raise DemoFailed(f"a job for {COUNTDOWN_S:g} s later began after {begun_after_s:.2f} s")
    return Outcome(
        headline=f"began {begun_after_s:.2f} s after it was asked for in {COUNTDOWN_S:g} s; one cancelled",
        count=2,
        took_s=time.monotonic() - began,
        times_s=[run_time_s(ended)],
        notes=[
            f"DELETE /jobs/{never.job_id[:8]}…: scheduled → cancelled; again: {_second_cancel(stage, never.job_id)}"
        ],
    )


def _second_cancel(stage: Stage, job_id: str) -> str:
    try:
        stage.client.jobs.cancel(job_id)
    except APIError as exc:
        return f"{exc.status_code}, {exc}"
    raise DemoFailed("a cancelled job could be cancelled a second time")
