"""``/batches``: thousands of items as one thing to submit, follow, repair and stop."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

from flask import Response, g

from platform.batches import acts, creation
from platform.batches.creation import NewBatch
from platform.batches.errors import UnknownBatch
from platform.batches.items import Item
from platform.batches.record import KINDS, Batch
from platform.batches.register import batches
from platform.batches.states import BatchState, ItemState
from platform.serialization import encode
from tasks.signatures import InvalidArguments, Signature
from web.identity import Caller
from web.jobs import public_task
from web.preferences import wait_seconds
from web.problems import Problem
from web.routing import Routes
from web.schemas.batches import (
    MAX_ITEMS,
    BatchAnswer,
    BatchFilter,
    BatchInFull,
    BatchPage,
    BatchRequest,
    ItemFilter,
    ItemPage,
    MoreItems,
    ResultsQuery,
)
from web.schemas.body import Lines
from web.schemas.jobs import WaitQuery
from web.schemas.paging import page_of
from web.waiting import wait_for_batch

routes = Routes(tag="Batches")

#: Items written to the response at a time.
LINES_AT_ONCE = 200
LARGE = "batch_body_max_bytes"


@routes.post(
    "/batches",
    body=BatchRequest,
    most_bytes=LARGE,
    answers={202: BatchAnswer, 200: BatchAnswer},
    problems=(404,),
    summary="Submit a batch",
)
def submit(body: BatchRequest) -> Any:
    """A public task is run for each item, which is its first argument; all items are accepted, or none.

    With `Prefer: wait=N` the answer is 200 if the batch ended in time.
    """
    task = public_task(body.task)
    given = body.given
    _check_item(task, given, body.kwargs)
    batch_id = getattr(g, "job_id", None) or str(uuid.uuid4())
    new = NewBatch(
        task=body.task,
        kwargs=body.kwargs,
        chunk_size=body.chunk_size,
        callbacks=_callbacks(body, batch_id),
        priority=body.priority,
        max_retries=body.max_retries,
        batch_id=batch_id,
        owner=g.caller.account_id,
        app_id=g.caller.app_id,
        most=MAX_ITEMS,
        is_open=body.open,
    )
    batch = creation.create(new, count=given) if isinstance(given, int) else creation.create(new, given)
    return _answer_with(batch)


@routes.get("/batches", query=BatchFilter, answers={200: BatchPage}, summary="List batches, newest first")
def index(query: BatchFilter) -> Any:
    """Your own; operators see everybody's."""
    state = BatchState(query.state) if query.state else None
    owner = None if g.caller.has_role("operator") else g.caller.account_id
    page = batches().list(state=state, task=query.task, owner=owner, offset=query.offset, limit=query.limit)
    return page_of([batch.as_dict() for batch in page.items], page.total, query)


@routes.get("/batches/<batch_id>", query=WaitQuery, answers={200: BatchInFull}, problems=(404,), summary="One batch")
def show(batch_id: str, query: WaitQuery) -> Any:
    """With `?wait=s` the answer comes when the batch has ended, or after s seconds."""
    own_batch(batch_id)
    batch = wait_for_batch(batch_id, query.wait)
    return batch.as_dict() | {"children": [child.as_dict() for child in batches().children(batch_id)]}


@routes.delete(
    "/batches/<batch_id>",
    answers={200: BatchAnswer, 202: BatchAnswer},
    problems=(404, 409),
    summary="Cancel a batch",
)
def cancel(batch_id: str) -> Any:
    """What waits never runs. 200: it is over. 202: what runs stops at the next item, after a grace period by force."""
    own_batch(batch_id)
    batch = acts.cancel(batch_id)
    return batch.as_dict(), 200 if batch.is_final else 202


@routes.get(
    "/batches/<batch_id>/items", query=ItemFilter, answers={200: ItemPage}, problems=(404,), summary="Its items"
)
def items(batch_id: str, query: ItemFilter) -> Any:
    """In their order, each with its state and what became of it; `?state=failed` lists what a retry would run again."""
    own_batch(batch_id)
    state = ItemState(query.state) if query.state else None
    found, total = batches().items(batch_id, state, query.offset, query.limit)
    return page_of([item.as_dict() for item in found], total, query)


@routes.post(
    "/batches/<batch_id>/items",
    body=MoreItems,
    most_bytes=LARGE,
    answers={202: BatchAnswer},
    problems=(404, 409),
    summary="Add items to a batch",
)
def add(batch_id: str, body: MoreItems) -> Any:
    """While it runs or is open; 409 after. With an Idempotency-Key it may be repeated."""
    own_batch(batch_id)
    creation.add(batch_id, body.given, getattr(g, "job_id", None), is_last=body.close, most=MAX_ITEMS)
    return batches().get(batch_id).as_dict(), 202


@routes.get(
    "/batches/<batch_id>/results",
    query=ResultsQuery,
    answers={200: Lines},
    problems=(404,),
    summary="What became of the items, a line of JSON each",
)
def results(batch_id: str, query: ResultsQuery) -> Any:
    """Of those that have ended by now, in their order: `{"index","item","state","attempts","result","error"}`."""
    own_batch(batch_id)
    found = batches().results(batch_id, query.after)
    first = list(islice(found, 1))  # what can go wrong does so before the answer has begun
    return Response(_lines(first, found, query.limit), content_type="application/x-ndjson")


@routes.post(
    "/batches/<batch_id>/retry",
    answers={202: BatchAnswer},
    problems=(404, 409),
    summary="Run again what failed",
)
def retry(batch_id: str) -> Any:
    """Only the items that have failed, with a fresh count of tries; 409 if none has."""
    own_batch(batch_id)
    return acts.retry(batch_id).as_dict(), 202


def own_batch(batch_id: str) -> Batch:
    """The batch, if the caller may see it: another owner's answers like one that does not exist."""
    batch = batches().get(batch_id)
    caller: Caller = g.caller
    if batch.owner != caller.account_id and not caller.has_role("operator"):
        raise UnknownBatch(batch_id)
    return batch


def _answer_with(batch: Batch) -> Any:
    wait_s = wait_seconds(0)
    if wait_s > 0:
        batch = wait_for_batch(batch.batch_id, wait_s)
    status = 200 if wait_s > 0 and batch.is_final else 202
    return batch.as_dict(), status, {"Location": f"/batches/{batch.batch_id}"}


def _check_item(task: Any, given: list[Any] | int, kwargs: dict[str, Any]) -> None:
    """Whether a call with an item would bind; that they fit beyond that is the task's own business."""
    try:
        Signature(task.run).check_call([0 if isinstance(given, int) or not given else given[0]], kwargs)
    except InvalidArguments as exc:
        problems = [{**one, "loc": ["body", *_without_args(one["loc"])]} for one in exc.problems]
        raise Problem(422, f"the task {task.name} cannot be called so with an item", errors=problems) from exc


def _without_args(loc: list[Any]) -> list[Any]:
    return ["items"] if loc == ["args"] else ["kwargs", *loc]


def _callbacks(body: BatchRequest, batch_id: str) -> dict[str, tuple[str, dict[str, Any]]]:
    told = {}
    for kind in KINDS:
        asked = getattr(body, kind)
        if asked is None:
            continue
        task = public_task(asked.task)
        try:
            Signature(task.run).check_call([], {**asked.kwargs, "batch_id": batch_id})
        except InvalidArguments as exc:
            problems = [{**one, "loc": ["body", kind, *one["loc"]]} for one in exc.problems]
            raise Problem(422, f"the task {task.name} cannot be called so at the end", errors=problems) from exc
        told[kind] = (asked.task, asked.kwargs)
    return told


def _lines(first: list[Item], others: Iterator[Item], limit: int | None) -> Iterator[bytes]:
    left = limit
    some = first
    while some:
        some = some if left is None else some[:left]
        yield b"".join(encode(item.as_dict()) + b"\n" for item in some)
        left = None if left is None else left - len(some)
        some = list(islice(others, LINES_AT_ONCE if left is None else min(left, LINES_AT_ONCE)))
