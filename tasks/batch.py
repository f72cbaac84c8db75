"""Batches from Python: thousands of calls of one task, watched, stopped and repaired as one thing.

>>> @item_task(public=True, max_retries=2)
... def square(n, **kwargs):
...     return n * n
>>> batch = create_batch(square, items=range(10_000), on_complete=report)

A generator's items run while it makes others. An item is the task's first argument; what it does happens at least once,
and is counted once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from platform.batches import acts, creation
from platform.batches.chunks import CHUNK_TASK
from platform.batches.creation import NewBatch
from platform.batches.errors import BatchOver, InvalidBatch, NothingFailed, UnknownBatch
from platform.batches.items import Item
from platform.batches.record import Batch
from platform.batches.register import batches
from platform.batches.running import ChunkRun
from platform.errors import PlatformError
from platform.polling.errors import LeaseLost
from platform.queues import BATCH
from tasks import app
from tasks.polling import BatchWorker

__all__ = [
    "Batch",
    "BatchOver",
    "BatchWorker",
    "InvalidBatch",
    "Item",
    "LeaseLost",
    "NothingFailed",
    "UnknownBatch",
    "add_items",
    "cancel_batch",
    "close_batch",
    "create_batch",
    "get_batch",
    "item_task",
    "results",
    "retry_batch",
]

Callback = Any


class NoItem(PlatformError):
    """A function that takes no argument cannot be given an item."""


def item_task(*functions: Callable[..., Any], **options: Any) -> Any:
    """``@item_task`` or ``@item_task(public=True, max_retries=2)``: a task whose first argument is an item.

    It is a Celery task like any other (``square.delay(3)`` is one job, on the queue ``batch``) and what a batch runs
    thousands of times. Options are ``@app.task``'s. Raises NoItem for a function without an argument.
    """

    def make(function: Callable[..., Any]) -> Any:
        _check(function, bool(options.get("bind")))
        return app.task(**{"queue": BATCH, **options})(function)

    return make(*functions) if functions else make


def create_batch(
    task: Any,
    items: Iterable[Any] | None = None,
    count: int | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    chunk_size: int | None = None,
    on_complete: Callback = None,
    on_success: Callback = None,
    on_failure: Callback = None,
    priority: int | None = None,
    max_retries: int | None = None,
    batch_id: str | None = None,
    owner: str | None = None,
    app_id: str | None = None,
) -> Batch:
    """Run a task, or the one of that name, for every item, or for the numbers from 0 to ``count`` - 1.

    Of a list nothing runs until all of it is accepted; of a generator items run while it makes others, and should it
    raise, the batch is cancelled. ``kwargs`` go to every item. A callback is a task, its name, or its signature with
    keyword arguments (``report.s(title="June")``); it is given ``batch_id`` as well. Repeating the call with the same
    ``batch_id`` makes no other. Inside an item, the batch is a child of the item's.

    Raises InvalidBatch, BrokerUnavailable.
    """
    told = {"on_complete": on_complete, "on_success": on_success, "on_failure": on_failure}
    new = NewBatch(
        task=_name_of(task),
        kwargs=kwargs or {},
        chunk_size=chunk_size,
        callbacks={kind: _callback(one) for kind, one in told.items() if one is not None},
        priority=priority,
        max_retries=max_retries,
        batch_id=batch_id,
        owner=owner,
        app_id=app_id,
    )
    return creation.create(new, items, count)


def add_items(batch_id: str, items: Iterable[Any] | int, name: str | None = None) -> int:
    """More items for a batch that runs or is open (an item may add to its own); how many it has then.

    A number is how many that are their own index. ``name`` makes the call repeatable. Raises UnknownBatch, BatchOver,
    InvalidBatch.
    """
    return creation.add(batch_id, items, name)


def close_batch(batch_id: str) -> None:
    """An open batch gets no more items; it ends when those it has have ended."""
    creation.close(batch_id)


def get_batch(batch_id: str) -> Batch:
    """The batch as it is now. Raises UnknownBatch."""
    return batches().get(batch_id)


def results(batch_id: str) -> Iterator[Item]:
    """The items that have ended, in order, read as they are asked for."""
    batches().get(batch_id)
    return batches().results(batch_id)


def cancel_batch(batch_id: str) -> Batch:
    """What waits never runs, what runs stops at the next item. Raises UnknownBatch, BatchOver."""
    return acts.cancel(batch_id)


def retry_batch(batch_id: str) -> Batch:
    """Run again what failed. Raises UnknownBatch, NothingFailed, BatchOver."""
    return acts.retry(batch_id)


@app.task(name=CHUNK_TASK, bind=True, queue=BATCH)
def run(self: Any, batch_id: str, number: int) -> dict[str, int]:
    """One chunk of a batch, as one job."""
    return asdict(ChunkRun(batch_id, number, self.request.attempt or "1", self.request.id).run())


def _check(function: Callable[..., Any], is_bound: bool) -> None:
    taking = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    parameters = [one for one in inspect.signature(function).parameters.values() if one.kind in taking]
    takes_any = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)
    if len(parameters) < 1 + is_bound and not takes_any:
        raise NoItem(f"{function.__qualname__} takes no argument; an item is given as the first one") from None


def _name_of(task: Any) -> str:
    app.load_everything()
    return task if isinstance(task, str) else task.name


def _callback(given: Any) -> tuple[str, Mapping[str, Any]]:
    """A task's name and arguments; a signature is a mapping too."""
    if not isinstance(given, Mapping):
        return _name_of(given), {}
    if given.get("args"):
        raise InvalidBatch([{"loc": ["callback", "args"], "msg": "a callback is given keyword arguments only"}])
    return given["task"], given.get("kwargs") or {}
