"""What an act of the demonstration is given, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from web.client import Client, Job
from web.demo.failure import DemoFailed
from web.demo.folder import Folder
from web.demo.throwaway import Access

Report = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Stage:
    """``client`` is signed in as an operator by its API key; ``report(done, total, message)`` shows progress."""

    client: Client
    access: Access
    folder: Folder
    report: Report


@dataclass(frozen=True)
class Outcome:
    """What was done and seen.

    ``headline`` is one line, for the moment it is over. ``times_s`` are how long each of ``count`` pieces of
    work took, from being sent to being done, in seconds; ``took_s`` all of them together. ``notes`` go into the
    summary; ``found`` are facts about the folder: ``(label, value)``.
    """

    headline: str
    count: int
    took_s: float
    times_s: Sequence[float] = ()
    notes: Sequence[str] = ()
    found: Sequence[tuple[str, str]] = field(default=())


class Act(Protocol):
    """A module in ``web.demo.acts``: its title, two or three words, and what it does."""

    TITLE: str

    def play(self, stage: Stage) -> Outcome:
        """Do it, for real. Raises DemoFailed or AppError when something is not as promised."""


def run_time_s(job: Job) -> float:
    """From being submitted to being done."""
    return _seconds(job, "created_at", "finished_at")


def wait_time_s(job: Job) -> float:
    """From being submitted to being begun."""
    return _seconds(job, "created_at", "started_at")


def _seconds(job: Job, since: str, until: str) -> float:
    start, end = getattr(job, since), getattr(job, until)
    if start is None or end is None:
        raise DemoFailed(f"job {job.job_id} ({job.task}) has no {until} though it is {job.state}")
    return (end - start).total_seconds()


def completed(job: Job, what: str) -> Job:
    """The job, if it completed. Raises DemoFailed with its own error."""
    if job.state == "completed":
        return job
    reason = f"{job.error.type}: {job.error.message}" if job.error else "no reason is recorded"
    raise DemoFailed(f"{what} is {job.state} ({job.task}, job {job.job_id}): {reason}")


def percentile(times_s: Sequence[float], share: float) -> float:
    """The time within which so large a share of them was done, 0 for none."""
    ranked = sorted(times_s)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def duration(seconds: float) -> str:
    """``4 ms``, ``350 ms``, ``2.3 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def size(count: float) -> str:
    """``812 B``, ``11.1 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
