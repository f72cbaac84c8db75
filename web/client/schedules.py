"""``/schedules`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from web.client.exchange import Flow, Request, path, preferences, read
from web.client.models import Job, Missed, Overlap, Page, Schedule

PAGE_SIZE = 200


def add(
    name: str,
    task: str,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    cron: str | None = None,
    every_s: float | None = None,
    timezone: str = "UTC",
    queue: str | None = None,
    priority: int | None = None,
    missed: Missed = "once",
    overlap: Overlap = "allow",
    paused: bool = False,
    idempotency_key: str | None = None,
) -> Flow[Schedule]:
    """Let a task run on a clock: ``add("nightly", "shop.sync", 7, cron="30 2 * * *", timezone="Europe/Berlin")``.

    ``args`` and ``kwargs`` are the task's. Give ``cron`` (minute, hour, day of month, month, day of week), or
    ``every_s``. ``missed``: what becomes of runs more than 30 s late because no scheduler acted: "skip", "once" for all
    of them, or "all" of the last day. ``overlap``: what becomes of a run while the one before has not ended. With
    ``idempotency_key`` repeating the call adds no other.

    Raises NotFoundError for a task that is not public; APIError: 422 with ``errors`` for what does not fit, 409 if a
    schedule of yours has that name.
    """
    given = {"cron": cron, "every_s": every_s, "queue": queue, "priority": priority}
    body: dict[str, Any] = {"name": name, "task": task, "args": args, "kwargs": kwargs or {}, "timezone": timezone}
    body |= {"missed": missed, "overlap": overlap, "paused": paused}
    body |= {key: value for key, value in given.items() if value is not None}
    response = yield Request("POST", "/schedules", body=body, **preferences(None, idempotency_key))
    return read(response, Schedule)


def get(schedule_id: str) -> Flow[Schedule]:
    """The schedule as it is now. Raises NotFoundError."""
    response = yield Request("GET", path("schedules", schedule_id))
    return read(response, Schedule)


def change(
    schedule_id: str,
    *,
    name: str | None = None,
    task: str | None = None,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    cron: str | None = None,
    every_s: float | None = None,
    timezone: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
    missed: Missed | None = None,
    overlap: Overlap | None = None,
    paused: bool | None = None,
) -> Flow[Schedule]:
    """Change what is given; None leaves it as it is. A cron takes an interval's place, and the reverse.

    ``paused`` is as ``pause`` and ``resume``, in one step with the rest. Raises NotFoundError; APIError: 422 for what
    does not fit, 409 for one written in a module, unless only ``paused`` is given, or one that somebody else changed
    at the same time.
    """
    given = {"name": name, "task": task, "args": args, "kwargs": kwargs, "cron": cron, "every_s": every_s}
    given |= {"timezone": timezone, "queue": queue, "priority": priority, "missed": missed, "overlap": overlap}
    given |= {"paused": paused}
    body = {key: value for key, value in given.items() if value is not None}
    response = yield Request("PATCH", path("schedules", schedule_id), body=body)
    return read(response, Schedule)


def remove(schedule_id: str) -> Flow[None]:
    """Remove it; the jobs it made stay. Raises NotFoundError; APIError 409 for one written in a module."""
    yield Request("DELETE", path("schedules", schedule_id))


def pause(schedule_id: str) -> Flow[Schedule]:
    """Let it make no run until it is resumed. Raises NotFoundError."""
    return (yield from _steered(schedule_id, "pause"))


def resume(schedule_id: str) -> Flow[Schedule]:
    """Let it make runs again, from now on. Raises NotFoundError."""
    return (yield from _steered(schedule_id, "resume"))


def run(schedule_id: str, *, idempotency_key: str | None = None) -> Flow[Job]:
    """Run it now, whatever its times; returns the job.

    Raises NotFoundError; APIError 409 if the run before has not ended and they may not overlap.
    """
    options = preferences(None, idempotency_key)
    response = yield Request("POST", path("schedules", schedule_id, "run"), **options)
    return read(response, Job)


def _steered(schedule_id: str, act: str) -> Flow[Schedule]:
    response = yield Request("POST", path("schedules", schedule_id, act))
    return read(response, Schedule)


class Listing:
    """All schedules, newest first, read page by page; none shows twice."""

    def __init__(self) -> None:
        self.has_more = True
        self._number = 0
        self._seen: set[str] = set()

    def next(self) -> Flow[list[Schedule]]:
        """The next page's schedules, perhaps none; to be asked for while ``has_more``."""
        self._number += 1
        response = yield Request("GET", "/schedules", query={"page": self._number, "limit": PAGE_SIZE})
        page = read(response, Page[Schedule])
        self.has_more = self._number < page.pages
        fresh = [schedule for schedule in page.items if schedule.id not in self._seen]
        self._seen.update(schedule.id for schedule in fresh)
        return fresh
