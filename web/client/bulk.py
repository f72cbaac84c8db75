"""``/jobs/bulk`` as a generator of requests (see ``web.client.exchange``)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from web.client.errors import AppError, BulkFailed
from web.client.exchange import Flow, Request, read

#: Entries of one request, and about how many bytes of them: the server takes 10 000, and 1 MiB unless told otherwise.
CHUNK_SIZE = 1_000
MOST_BYTES = 512 * 1024
MEMBERS = frozenset({"task", "args", "kwargs", "queue", "priority", "countdown", "eta", "expires", "max_retries"})


@dataclass(frozen=True)
class Ids:
    job_ids: list[str]


def submit_many(
    task: str | None,
    items: Iterable[Any],
    *,
    queue: str | None = None,
    priority: int | None = None,
    countdown: float | None = None,
    eta: datetime | None = None,
    expires: float | datetime | None = None,
    max_retries: int | None = None,
    chunk_size: int = CHUNK_SIZE,
    idempotency_key: str | None = None,
) -> Flow[list[str]]:
    """Submit a job for each item; returns their ids, in order: ``submit_many("shop.convert", [("/a",), ("/b",)])``.

    An item is a tuple or list of arguments, or a dict with ``args``, ``kwargs`` and options of its own, ``task`` among
    them, which count before those of the call; these are as for ``submit``. Items are read as they are sent,
    ``chunk_size`` (at most 10 000) or half a MiB in one request, each of which is accepted whole or not at all, and
    sent again after trouble on the way. The same items with the same ``idempotency_key`` are the same jobs.

    Raises what ``submit`` raises if nothing was submitted; BulkFailed if a part was.
    """
    given = {"task": task, "queue": queue, "priority": priority, "countdown": countdown, "eta": eta,
             "expires": expires, "max_retries": max_retries}  # fmt: skip
    shared = {name: value for name, value in given.items() if value is not None}
    key = idempotency_key or secrets.token_urlsafe(16)
    job_ids: list[str] = []
    for number, entries in enumerate(_chunks(items, shared, chunk_size)):
        request = Request("POST", "/jobs/bulk", body={"jobs": entries}, headers={"Idempotency-Key": f"{key}.{number}"})
        try:
            response = yield request
        except AppError as exc:
            if not job_ids:
                raise
            raise BulkFailed(f"{len(job_ids)} jobs were submitted, then: {exc}", job_ids, key) from exc
        job_ids += read(response, Ids).job_ids
    return job_ids


def _chunks(items: Iterable[Any], shared: Mapping[str, Any], size: int) -> Iterator[list[msgspec.Raw]]:
    if not 1 <= size <= 10_000:
        raise ValueError(f"chunk_size={size} is not between 1 and 10000")
    entries: list[msgspec.Raw] = []
    taken = 0
    for place, item in enumerate(items):
        entry = msgspec.json.encode(_entry(place, item, shared))
        if entries and (len(entries) == size or taken + len(entry) > MOST_BYTES):
            yield entries
            entries, taken = [], 0
        entries.append(msgspec.Raw(entry))
        taken += len(entry)
    if entries:
        yield entries


def _entry(place: int, item: Any, shared: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(item, tuple | list):
        return {**shared, "args": item}
    if isinstance(item, Mapping) and item.keys() <= MEMBERS:
        return {**shared, **item}
    known = ", ".join(sorted(MEMBERS))
    raise ValueError(f"item {place} is neither a tuple of arguments nor a dict with some of {known}")
