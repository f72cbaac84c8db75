"""``/jobs`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from web.client.errors import WaitTimeout
from web.client.exchange import MAX_WAIT_S, Flow, Request, path, preferences, read
from web.client.models import Job, Page, State

PAGE_SIZE = 200


def submit(
    task: str,
    *args: Any,
    kwargs: dict[str, Any] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    countdown: float | None = None,
    eta: datetime | None = None,
    expires: float | datetime | None = None,
    max_retries: int | None = None,
    wait_s: float | None = None,
    idempotency_key: str | None = None,
) -> Flow[Job]:
    """Submit a job: ``submit("tasks.files.count", "/a/file", priority=9)``.

    ``args`` and ``kwargs`` are the task's. ``priority`` 0–9, 9 most urgent. ``countdown`` and ``expires`` are
    seconds from now; ``eta`` (and ``expires``) a time, UTC if it names no zone. With ``wait_s`` it returns
    when the job has ended or after so many seconds, whichever comes first. With ``idempotency_key`` repeating
    the call submits nothing more, and trouble on the way is met by sending it again.
    """
    given = {"queue": queue, "priority": priority, "countdown": countdown, "eta": eta, "expires": expires,
             "max_retries": max_retries}  # fmt: skip
    body: dict[str, Any] = {"task": task, "args": args, "kwargs": kwargs or {}}
    body |= {name: value for name, value in given.items() if value is not None}
    deadline = time.monotonic() + (wait_s or 0.0)
    response = yield Request("POST", "/jobs", body=body, **preferences(wait_s, idempotency_key))
    return (yield from followed(read(response, Job), deadline))


def get(job_id: str, *, wait_s: float = 0.0) -> Flow[Job]:
    """The job as it is now; with ``wait_s`` (at most 30) once it has ended or after so many seconds.

    Raises NotFoundError.
    """
    wait_s = max(0.0, min(wait_s, MAX_WAIT_S))
    response = yield Request("GET", path("jobs", job_id), query={"wait": wait_s or None}, wait_s=wait_s)
    return read(response, Job)


def wait(job_id: str, timeout_s: float | None = None) -> Flow[Job]:
    """The job once it has ended, completed or not; None waits for ever. Raises WaitTimeout, NotFoundError."""
    deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    job = yield from followed((yield from get(job_id)), deadline)
    if not job.is_final:
        raise WaitTimeout(f"job {job_id} is still {job.state} after {timeout_s:g} s", job)
    return job


def followed(job: Job, deadline: float) -> Flow[Job]:
    """The job once it has ended, or as it is at ``deadline`` (of the monotonic clock)."""
    while not job.is_final and (left_s := deadline - time.monotonic()) > 0:
        job = yield from get(job.job_id, wait_s=left_s)
    return job


def cancel(job_id: str) -> Flow[Job]:
    """Cancel a job: one that waits never runs, one that runs is asked to stop and stopped after a grace period.

    Returns the job as it is right then. Raises NotFoundError; APIError 409 if it has ended already.
    """
    response = yield Request("DELETE", path("jobs", job_id))
    return read(response, Job)


class Listing:
    """All jobs that match, newest first, read page by page.

    None shows twice, though new jobs push older ones on to the next page meanwhile. Those new ones do not show,
    and a job that leaves ``state`` meanwhile may push another out of sight.
    """

    def __init__(self, state: State | None = None, queue: str | None = None, task: str | None = None):
        self.has_more = True
        self._query = {"state": state, "queue": queue, "task": task}
        self._number = 0
        self._seen: set[str] = set()

    def next(self) -> Flow[list[Job]]:
        """The next page's jobs, perhaps none; to be asked for while ``has_more``."""
        self._number += 1
        query = {**self._query, "page": self._number, "limit": PAGE_SIZE}
        response = yield Request("GET", "/jobs", query=query)
        page = read(response, Page[Job])
        self.has_more = self._number < page.pages
        fresh = [job for job in page.items if job.job_id not in self._seen]
        self._seen.update(job.job_id for job in fresh)
        return fresh
