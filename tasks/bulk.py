"""``submit_many``: thousands of jobs in one call, as fast as their messages can be written.

submit_many(resize, ((path,) for path in paths), priority=3)
submit_many("shop.resize", [{"args": [path], "task_id": f"resize-{path}"} for path in paths])
submit_many(None, [resize.s(path) for path in paths])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from platform.bulk.calls import Reader
from platform.bulk.report import BulkFailed, Submitted
from platform.bulk.submission import MOST_IN_A_CHUNK, Submission
from tasks import app

__all__ = ["BulkFailed", "Submitted", "submit_many"]

#: Jobs of one script call, which keeps the server from everybody else for some 10 µs a job.
CHUNK_SIZE = 250


def submit_many(
    task: Any,
    items: Iterable[Any],
    *,
    queue: str | None = None,
    priority: int | None = None,
    countdown: Any = None,
    eta: Any = None,
    expires: Any = None,
    max_retries: int | None = None,
    owner: str | None = None,
    app_id: str | None = None,
    key: str | None = None,
    chunk_size: int = CHUNK_SIZE,
    all_or_none: bool = False,
    on_progress: Callable[[Submitted], Any] | None = None,
    **options: Any,
) -> Submitted:
    """Submit a job for each item; returns their ids, in order, and made when they are asked for.

    ``task`` is a task or its name, or None where each item names one. An item is a tuple or list of arguments, a dict
    with ``args``, ``kwargs``, ``task``, ``task_id`` and options of its own, or a signature; what it says counts before
    what the call says. ``options`` are those of ``apply_async``, and each job and message is what ``apply_async`` would
    have made of it, Celery's signals included, but that no job is added to the children of the task that submits it.

    Items are read as they are sent, ``chunk_size`` at a time, so a million from a generator need no memory. A chunk
    is one call of the record store, all of it or none; where queues are not beside the records, on RabbitMQ, its
    messages follow one by one, each confirmed. ``all_or_none``: all items, at most 10 000, are one chunk, on every
    broker. ``on_progress`` is called with what is submitted so far after each chunk.

    Jobs are the same again where ids are: the items' own, or those made of ``key`` and each item's place. Of a unique
    task whose rule is to return, the id may be that of the job that stands for the call; one whose rule is to reject
    refuses its chunk. Raises BulkFailed, which says what is submitted, what is not and what is in doubt.
    """
    if not 1 <= chunk_size <= MOST_IN_A_CHUNK:
        raise ValueError(f"chunk_size={chunk_size} is not between 1 and {MOST_IN_A_CHUNK}")
    options |= {"queue": queue, "priority": priority, "countdown": countdown, "eta": eta, "expires": expires}
    options |= {"max_retries": max_retries, "owner": owner, "app_id": app_id}
    app.load_everything()
    reader = Reader(app, task, options)
    size = None if all_or_none else chunk_size
    return Submission(app, reader, key, size, on_progress).run(items)
