"""Many jobs at once: one for each file, on all priorities, through ``POST /jobs``."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from web.client import Job
from web.demo.act import Outcome, Stage, completed, duration, percentile, run_time_s, wait_time_s
from web.demo.failure import DemoFailed

TITLE = "Jobs"

TASK = "tasks.files.count"
MAX_JOBS = 400
SENDERS = 8
POLL_S = 0.25
STUCK_S = 60.0


def play(stage: Stage) -> Outcome:
    files = stage.folder.sample(MAX_JOBS)
    began = time.monotonic()
    answers = []
    with ThreadPoolExecutor(SENDERS) as senders:
        for answer in senders.map(lambda numbered: _submit(stage, *numbered), enumerate(files)):
            answers.append(answer)
            stage.report(0, len(files), f"{len(answers)} submitted")
    sent_s = time.monotonic() - began
    jobs = _all_ended(stage, [job.job_id for job, _ in answers])
    took_s = time.monotonic() - began
    request_s = [seconds for _, seconds in answers]
    return Outcome(
        headline=f"{len(jobs)} files counted, {len(jobs) / took_s:,.0f} jobs a second",
        count=len(jobs),
        took_s=took_s,
        times_s=[run_time_s(job) for job in jobs],
        notes=[
            f"POST /jobs: {len(jobs) / sent_s:,.0f} a second from {SENDERS} threads, each answered in "
            f"{duration(percentile(request_s, 0.5))} (p95 {duration(percentile(request_s, 0.95))})",
            f"median wait for a worker: {_typical_wait(jobs, 7, 9)} for urgent ones (priority 7–9), "
            f"{_typical_wait(jobs, 0, 2)} for patient ones (0–2)",
        ],
    )


def _submit(stage: Stage, number: int, file: Path) -> tuple[Job, float]:
    began = time.monotonic()
    job = stage.client.jobs.submit(TASK, str(file), priority=number % 10)
    return job, time.monotonic() - began


def _all_ended(stage: Stage, ids: list[str]) -> list[Job]:
    """The jobs once all have completed. Raises DemoFailed for one that did not, or when none ends for a while."""
    wanted, done, last_change = set(ids), 0, time.monotonic()
    while True:
        jobs = [job for job in stage.client.jobs.list(task=TASK) if job.job_id in wanted]
        ended = [completed(job, "a job") for job in jobs if job.is_final]
        stage.report(len(ended), len(ids), "")
        if len(ended) == len(ids):
            return ended
        if len(ended) > done:
            done, last_change = len(ended), time.monotonic()
        if time.monotonic() - last_change > STUCK_S:
            raise DemoFailed(f"no job ended for {STUCK_S:g} s, {len(ids) - done} of {len(ids)} are left")
        time.sleep(POLL_S)


def _typical_wait(jobs: list[Job], lowest: int, highest: int) -> str:
    return duration(percentile([wait_time_s(j) for j in jobs if lowest <= j.priority <= highest], 0.5))
