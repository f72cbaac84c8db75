"""Work on a clock: a schedule makes jobs, is paused, run by hand, changed and removed."""

from __future__ import annotations

import time

from web.client import APIError
from web.client.models import Schedule
from web.demo.act import Outcome, Stage, completed, duration, run_time_s
from web.demo.failure import DemoFailed

TITLE = "Schedules"

TASK = "tasks.files.digest"
EVERY_S = 1.0
RUNS = 3
#: Beyond the times it is due; another scheduler would act within that if the first died.
STUCK_S = 20.0


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    schedules, jobs, file = stage.client.schedules, stage.client.jobs, str(stage.folder.sample(1)[0])
    made = schedules.add("demo", TASK, file, every_s=EVERY_S, overlap="skip")
    times_s, late_s = [], []
    for number in range(1, RUNS + 1):
        seen = _run(stage, made, number)
        job = completed(jobs.wait(str(seen.last_job_id), timeout_s=STUCK_S), "a run of a schedule")
        times_s.append(run_time_s(job))
        if job.created_at and seen.last_run_at:
            late_s.append((job.created_at - seen.last_run_at).total_seconds())
    schedules.pause(made.id)
    by_hand = completed(jobs.wait(schedules.run(made.id).job_id, timeout_s=STUCK_S), "a schedule run by hand")
    nightly = schedules.change(made.id, cron="30 2 * * *")
    refusal = _refused(stage, made)
    schedules.remove(made.id)
    return Outcome(
        headline=f"{RUNS} runs, a second apart, {duration(max(late_s, default=0.0))} late at most",
        count=RUNS + 1,
        took_s=time.monotonic() - began,
        times_s=[*times_s, run_time_s(by_hand)],
        notes=[
            f"every {EVERY_S:g} s: each run is a job; paused, run once by hand, changed to {nightly.cron!r}, removed",
            f"cron 61 * * * *: {refusal}",
        ],
    )


def _run(stage: Stage, made: Schedule, number: int) -> Schedule:
    """The schedule once it has made so many runs."""
    until = time.monotonic() + number * EVERY_S + STUCK_S
    while (seen := stage.client.schedules.get(made.id)).runs < number:
        if time.monotonic() > until:
            raise DemoFailed(f"schedule {made.id} has made {seen.runs} runs, not {number}; nobody acts on the clock")
        stage.report(seen.runs, RUNS, "runs")
        time.sleep(0.05)
    return seen


def _refused(stage: Stage, made: Schedule) -> str:
    try:
        stage.client.schedules.change(made.id, cron="61 * * * *")
    except APIError as exc:
        said = "; ".join(str(error["msg"]) for error in exc.errors) or str(exc)
        return f"{exc.status_code}, {said}"
    raise DemoFailed("a cron with minute 61 was accepted")
