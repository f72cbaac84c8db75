"""``/batches`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from web.client.errors import APIError, WaitTimeout
from web.client.exchange import MAX_WAIT_S, Flow, Request, path, preferences, read
from web.client.models import Batch, BatchItem, BatchState, ItemState, Page

PAGE_SIZE = 200
RESULTS_AT_ONCE = 1_000
#: How often a batch that is waited for is looked at, where somebody wants to see it move.
LOOK_S = 1.0

CallbackOf = str | tuple[str, Mapping[str, Any]]


def create(
    task: str,
    items: Iterable[Any] | None = None,
    *,
    count: int | None = None,
    kwargs: Mapping[str, Any] | None = None,
    chunk_size: int | None = None,
    on_complete: CallbackOf | None = None,
    on_success: CallbackOf | None = None,
    on_failure: CallbackOf | None = None,
    priority: int | None = None,
    max_retries: int | None = None,
    open: bool = False,
    idempotency_key: str | None = None,
) -> Flow[Batch]:
    """Run a task for every item: ``create("shop.square", range(1000))``; or for ``count`` numbers from 0 on.

    ``kwargs`` go to each; a callback is a task's name, or that and its keyword arguments, and is given ``batch_id``.
    ``open``: more will be added. With ``idempotency_key`` repeating the call makes no other. Raises NotFoundError
    for a task that is not public, APIError 422 for more than 100 000 items and what else does not fit.
    """
    given = {"count": count, "kwargs": kwargs, "chunk_size": chunk_size, "priority": priority,
             "max_retries": max_retries, "open": open or None}  # fmt: skip
    callbacks = {"on_complete": on_complete, "on_success": on_success, "on_failure": on_failure}
    body: dict[str, Any] = {"task": task} | ({} if items is None else {"items": list(items)})
    body |= {name: value for name, value in given.items() if value is not None}
    body |= {name: _callback(told) for name, told in callbacks.items() if told is not None}
    response = yield Request("POST", "/batches", body=body, **preferences(None, idempotency_key))
    return read(response, Batch)


def get(batch_id: str, *, wait_s: float = 0.0) -> Flow[Batch]:
    """The batch as it is now; with ``wait_s`` (at most 30) once it has ended or after so many seconds.

    Raises NotFoundError.
    """
    wait_s = max(0.0, min(wait_s, MAX_WAIT_S))
    response = yield Request("GET", path("batches", batch_id), query={"wait": wait_s or None}, wait_s=wait_s)
    return read(response, Batch)


def add(
    batch_id: str,
    items: Iterable[Any] | None = None,
    *,
    count: int | None = None,
    close: bool = False,
    idempotency_key: str | None = None,
) -> Flow[Batch]:
    """More items for a batch that runs or is open; ``close``: they were the last. Raises APIError 409 after its end."""
    given = {"items": None if items is None else list(items), "count": count, "close": close or None}
    body = {name: value for name, value in given.items() if value is not None}
    request = Request("POST", path("batches", batch_id, "items"), body=body, **preferences(None, idempotency_key))
    response = yield request
    return read(response, Batch)


def retry(batch_id: str) -> Flow[Batch]:
    """Run again what failed, and only that. Raises NotFoundError; APIError 409 if nothing has."""
    response = yield Request("POST", path("batches", batch_id, "retry"))
    return read(response, Batch)


def cancel(batch_id: str) -> Flow[Batch]:
    """What waits never runs, what runs stops at the next item. Raises NotFoundError; APIError 409 after its end."""
    response = yield Request("DELETE", path("batches", batch_id))
    return read(response, Batch)


class Waiting:
    """A batch that is waited for; to be asked ``next`` until ``is_over``."""

    def __init__(self, batch_id: str, timeout_s: float | None, look_s: float):
        self.batch_id, self._timeout_s, self._look_s = batch_id, timeout_s, look_s
        self._deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self.is_over = False
        self._has_asked = False

    def next(self) -> Flow[Batch]:
        """The batch, after a while or at its end. Raises WaitTimeout, NotFoundError."""
        wait_s = min(self._look_s, self._deadline - time.monotonic()) if self._has_asked else 0.0
        batch = yield from get(self.batch_id, wait_s=wait_s)
        self._has_asked, self.is_over = True, batch.is_final
        if not batch.is_final and time.monotonic() >= self._deadline:
            text = f"batch {self.batch_id} is still {batch.state} after {self._timeout_s:g} s, {batch.done} done"
            raise WaitTimeout(text, batch)
        return batch


class Listing:
    """All batches that match, newest first, read page by page; none shows twice."""

    def __init__(self, state: BatchState | None = None, task: str | None = None):
        self.has_more = True
        self._query = {"state": state, "task": task}
        self._number = 0
        self._seen: set[str] = set()

    def next(self) -> Flow[list[Batch]]:
        """The next page's batches, perhaps none; to be asked for while ``has_more``."""
        self._number += 1
        query = {**self._query, "page": self._number, "limit": PAGE_SIZE}
        page = read((yield Request("GET", "/batches", query=query)), Page[Batch])
        self.has_more = self._number < page.pages
        fresh = [batch for batch in page.items if batch.batch_id not in self._seen]
        self._seen.update(batch.batch_id for batch in fresh)
        return fresh


class Items:
    """A batch's items in a state, or all, in order, read page by page."""

    def __init__(self, batch_id: str, state: ItemState | None = None):
        self.has_more = True
        self._path, self._state, self._number = path("batches", batch_id, "items"), state, 0

    def next(self) -> Flow[list[BatchItem]]:
        """The next page's items, perhaps none; to be asked for while ``has_more``."""
        self._number += 1
        query = {"state": self._state, "page": self._number, "limit": PAGE_SIZE}
        page = read((yield Request("GET", self._path, query=query)), Page[BatchItem])
        self.has_more = self._number < page.pages
        return list(page.items)


class Results:
    """What became of the items that have ended, in order, read a thousand at a time."""

    def __init__(self, batch_id: str, after: int = -1):
        self.has_more = True
        self._path, self._after = path("batches", batch_id, "results"), after

    def next(self) -> Flow[list[BatchItem]]:
        """Some items, perhaps none; to be asked for while ``has_more``."""
        response = yield Request("GET", self._path, query={"after": self._after, "limit": RESULTS_AT_ONCE})
        try:
            found = [msgspec.json.decode(line, type=BatchItem) for line in response.content.splitlines()]
        except (msgspec.DecodeError, msgspec.ValidationError) as exc:
            raise APIError(f"{response.request.url} did not answer as the platform does ({exc})", 200) from exc
        self.has_more = len(found) == RESULTS_AT_ONCE
        self._after = found[-1].index if found else self._after
        return found


def _callback(told: CallbackOf) -> dict[str, Any]:
    task, kwargs = (told, {}) if isinstance(told, str) else told
    return {"task": task, "kwargs": kwargs}
