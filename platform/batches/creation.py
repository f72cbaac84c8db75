"""Making a batch: its facts checked, its items written, its chunks published; and adding to one that runs.

Items of a list are all written before the first is run, all or none; those of a generator run while others are still
made. Whatever is repeated after a lost answer, under the same id, adds nothing twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from celery import current_app

from platform.batches.chunks import MAX_CHUNK_SIZE, size_for
from platform.batches.errors import BatchOver, InvalidBatch, too_many
from platform.batches.origin import derived_id, digest, is_made_by_a_job, owner_of, parent_id
from platform.batches.publishing import publish_accepted, publish_callbacks
from platform.batches.record import KINDS, Batch
from platform.batches.records import may_be_id
from platform.batches.register import End, batches, callback_text
from platform.errors import PlatformError, did_you_mean
from platform.queues import checked_priority
from platform.retries import accepts
from platform.serialization import NotJSON, canonical, encode

#: Items written by one script call: meanwhile the server answers nobody else, 1 µs each.
WRITTEN_AT_ONCE = 5_000
#: Of a generator: what is made waits for its run no longer than the making of so many takes.
GENERATED_AT_ONCE = 1_000


@dataclass
class NewBatch:
    """What a batch is to be. ``callbacks``: by kind, a task's name and its keyword arguments.

    ``owner`` and ``app_id`` are by default those of the job that makes it; ``most`` bounds its items, 0 does not.
    ``is_open``: it does not end before ``close``, as others will add to it.
    """

    task: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    chunk_size: int | None = None
    callbacks: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    priority: int | None = None
    max_retries: int | None = None
    batch_id: str | None = None
    owner: str | None = None
    app_id: str | None = None
    most: int = 0
    is_open: bool = False

    def facts(self, total: int | None) -> dict[str, Any]:
        """Its record's fields. Raises InvalidBatch."""
        task = _task(self.task)
        problems = [*self._problems(), *self._callback_problems()]
        if problems:
            raise InvalidBatch(problems)
        limits = {name: _own_limit(task, name) for name in ("time_limit", "soft_time_limit")}
        size = self.chunk_size or (1 if any(limits.values()) else size_for(total))
        default = getattr(task, "default_priority", None)
        return {
            "task": task.name,
            "kwargs": encode(dict(self.kwargs)).decode(),
            "chunk_size": size,
            "priority": checked_priority(default if self.priority is None else self.priority),
            "max_retries": task.max_retries if self.max_retries is None else self.max_retries,
            "parent_id": parent_id(),
            **owner_of(self.owner, self.app_id),
            **limits,
            **{kind: callback_text(*told) for kind, told in self.callbacks.items()},
        }

    def _problems(self) -> Iterator[dict[str, Any]]:
        if not may_be_id(self.batch_id or ""):
            yield _problem("batch_id", "must not have a colon in it")
        if self.chunk_size is not None and not 1 <= self.chunk_size <= MAX_CHUNK_SIZE:
            yield _problem("chunk_size", f"must be from 1 to {MAX_CHUNK_SIZE}; leave it out for one that fits the work")
        if self.max_retries is not None and self.max_retries < 0:
            yield _problem("max_retries", "must not be negative")
        if self.priority is not None and not 0 <= self.priority <= 9:
            yield _problem("priority", "must be from 0 to 9; 9 is most urgent")
        with_name = {"kwargs": self.kwargs} | {kind: kwargs for kind, (_, kwargs) in self.callbacks.items()}
        for name, kwargs in with_name.items():
            try:
                encode(dict(kwargs))
            except NotJSON as exc:
                yield _problem(name, str(exc))

    def _callback_problems(self) -> Iterator[dict[str, Any]]:
        for kind, (name, kwargs) in self.callbacks.items():
            if kind not in KINDS:
                yield _problem(kind, f"there is no such callback{did_you_mean(kind, KINDS)}")
            elif name not in current_app.tasks:
                yield _problem(kind, f"there is no task {name!r}{did_you_mean(name, current_app.tasks)}")
            elif not accepts(current_app.tasks[name], (), {**kwargs, "batch_id": ""}):
                yield _problem(kind, f"the task {name} cannot be called with {', '.join([*kwargs, 'batch_id'])}")


def create(new: NewBatch, items: Iterable[Any] | None = None, count: int | None = None) -> Batch:
    """A batch of the items, or of the numbers from 0 to ``count`` - 1; as it is once all of them are written.

    Made inside a job or an item it is the same batch when that is run again after a death and makes the same. A run
    that makes something else makes another batch; of a generator, whose items are not known before, it adds to the one
    there is what that does not have.

    Once the items are written they will be run: what the broker does not take then, a duty publishes later.

    Raises InvalidBatch, BrokerUnavailable. After a failure nothing of a list is run; of a generator that fails, the
    batch is cancelled and its error raised.
    """
    if (items is None) == (count is None):
        raise InvalidBatch([_problem("items", "give either items or count")])
    _check_given(items if count is None else count)
    if count is not None:
        _check_total(new, count)
        return _create_whole(new, _id_of(new, count), count)
    if isinstance(items, Sequence | set | frozenset):
        items = _listed(items)
        _check_total(new, len(items))
        encoded = [_encoded(item, at) for at, item in enumerate(items)]
        return _create_whole(new, _id_of(new, items), encoded)
    return _create_running(new, new.batch_id or derived_id(), items or ())


def add(
    batch_id: str, items: Iterable[Any] | int, name: str | None = None, is_last: bool = False, most: int = 0
) -> int:
    """More items for a batch that is open or still runs; how many there are then. ``name`` makes it repeatable.

    A number is how many that are their own index. They run once all of them are written; what a failure leaves written
    will be run, and repeating the call adds the rest. Raises UnknownBatch, BatchOver, InvalidBatch, BrokerUnavailable.
    """
    _check_given(items)
    given: Sequence[Any] | int = items if isinstance(items, int) else _listed(items)
    name = f"more {name or uuid.uuid4().hex}"
    size = batches().get(batch_id).chunk_size or size_for(None)
    _check_room(batch_id, name, _count(given), most)
    encoded = given if isinstance(given, int) else [_encoded(item, at) for at, item in enumerate(given)]
    publish_accepted(batch_id, list(_added(batch_id, name, encoded, size, "last" if is_last else "", most)))
    return batches().get(batch_id).total


def _create_whole(new: NewBatch, batch_id: str, items: Sequence[bytes] | int) -> Batch:
    facts = new.facts(_count(items))
    end: End = "whole" if new.is_open else "last"
    is_new = batches().create(batch_id, facts, runs_at_once=False)
    try:
        numbers = list(_added(batch_id, "part", items, facts["chunk_size"], end))
    except PlatformError:
        if is_new:  # another one is somebody's who was told that it is accepted
            with suppress(PlatformError):  # where nothing answers, nothing can be taken back either
                batches().forget(batch_id, unless_whole=True)
        raise
    publish_accepted(batch_id, numbers)
    return batches().get(batch_id)


def _added(batch_id: str, name: str, items: Sequence[bytes] | int, size: int, end: End, most: int = 0) -> Iterator[int]:
    """Write the items in parts, the last of which is the ``end``; the chunks to publish then.

    Not before: a batch none of whose new items has run has not ended, and takes the next part.
    """
    total = _count(items)
    step = max(size, WRITTEN_AT_ONCE // size * size)
    for first in range(0, max(1, total), step):
        part = min(step, total - first) if isinstance(items, int) else items[first : first + step]
        yield from _add(batch_id, f"{name} {first}", part, size, end if first + step >= total else "", most)


def _create_running(new: NewBatch, batch_id: str, items: Iterable[Any]) -> Batch:
    facts = new.facts(None)
    is_new = batches().create(batch_id, facts, runs_at_once=True)
    try:
        _generate(batch_id, items, facts["chunk_size"])
    except BatchOver as over:
        # Somebody has cancelled it: no use in making more. One that an earlier run left, and that this run cannot add
        # to, may have been cancelled by an error of its generator: none of this run's items would be run.
        if is_new and over.batch_id == batch_id and (batch := batches().get(batch_id)).is_given_up:
            return batch
        _give_up(batch_id)
        raise
    except BaseException:
        _give_up(batch_id)
        raise
    return batches().get(batch_id)


def _give_up(batch_id: str) -> None:
    with suppress(PlatformError):
        publish_callbacks(batch_id, batches().cancel(batch_id)[2])


def _generate(batch_id: str, items: Iterable[Any], size: int) -> None:
    """Add the items as they are made, and close the batch. Raises BatchOver, and whatever the making raises."""
    waiting, at = iter(items), 0
    while some := list(islice(waiting, GENERATED_AT_ONCE)):
        encoded = [_encoded(item, at + number) for number, item in enumerate(some)]
        # With what is in it: a run that is repeated and makes others has them accepted as well.
        _add(batch_id, f"part {at} {digest(some)}", encoded, size, publish=True)
        at += len(some)
    _close(batch_id)


def close(batch_id: str) -> None:
    """No more items will be added: the batch ends when those it has have ended. Again changes nothing."""
    with suppress(BatchOver):
        _close(batch_id)


def _close(batch_id: str) -> None:
    _add(batch_id, "closed", 0, 1, "last")


def _add(
    batch_id: str,
    name: str,
    items: Sequence[bytes] | int,
    size: int,
    end: End = "",
    most: int = 0,
    publish: bool = False,
) -> Sequence[int]:
    numbers, fired = batches().add(batch_id, name, items, size, end, most)
    if publish:
        publish_accepted(batch_id, numbers)
    publish_callbacks(batch_id, fired)
    return numbers


def _task(name: str) -> Any:
    known = current_app.tasks
    if name not in known:
        raise InvalidBatch([_problem("task", f"there is no task {name!r}{did_you_mean(name, known)}")])
    return known[name]


def _own_limit(task: Any, name: str) -> float | None:
    """What the task itself says; every task has the settings' limits beside, which bound the chunk."""
    own = getattr(task, name, None)
    return own if own and own != getattr(current_app.conf, f"task_{name}") else None


def _encoded(item: Any, at: int) -> bytes:
    try:
        return encode(item)
    except NotJSON as exc:
        raise InvalidBatch([{"loc": ["items", at], "msg": str(exc)}]) from exc


def _id_of(new: NewBatch, items: Sequence[Any] | int) -> str:
    """The id that was asked for, or one that tells this batch from another that the same run might make instead."""
    if new.batch_id or not is_made_by_a_job():
        return new.batch_id or str(uuid.uuid4())
    try:
        return derived_id(digest([new.task, dict(new.kwargs), items]))
    except NotJSON as exc:
        raise InvalidBatch([_problem("kwargs", str(exc))]) from exc


def _in_order(items: set[Any] | frozenset[Any]) -> Sequence[Any]:
    """A set has another order in each process, and a run that is repeated may be in another one."""
    try:
        return sorted(items, key=canonical)
    except NotJSON:
        return list(items)  # whose place among the items is told


def _listed(items: Iterable[Any]) -> Sequence[Any]:
    if isinstance(items, set | frozenset):
        return _in_order(items)
    return items if isinstance(items, Sequence) else list(items)


def _count(items: Sequence[Any] | int) -> int:
    return items if isinstance(items, int) else len(items)


def _check_given(items: Any) -> None:
    """A text is a sequence of its characters, and a dict of its keys: nobody means that."""
    if isinstance(items, str | bytes | Mapping):
        raise InvalidBatch([_problem("items", f"must be a list or another iterable, not {type(items).__name__}")])
    if isinstance(items, int) and items < 0:
        raise InvalidBatch([_problem("count", "must not be negative")])


def _check_room(batch_id: str, name: str, count: int, most: int) -> None:
    """Before anything of an addition is written; one that is repeated has some of its room already."""
    if not most or (count <= most and batches().has_addition(batch_id, f"{name} 0")):
        return
    batch = batches().get(batch_id)
    takes_more = not (batch.is_final or batch.cancel_requested)  # else that is what is told, by the script
    if takes_more and batch.total + count > most:
        raise too_many(most, batch.total)


def _check_total(new: NewBatch, total: int) -> None:
    if new.most and total > new.most:
        text = f"a batch has {new.most} items at most over HTTP, not {total}; make several, or use tasks.batch"
        raise InvalidBatch([_problem("items", text)])


def _problem(name: str, text: str) -> dict[str, Any]:
    return {"loc": [name], "msg": text}
