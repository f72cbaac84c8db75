"""A batch: every file of the folder as an item, its progress pushed over a socket, its results read as a stream."""

from __future__ import annotations

import time

from web.client import Batch
from web.client.sockets import BatchChanged, Subscription
from web.demo.act import Outcome, Stage, duration, size
from web.demo.failure import DemoFailed

TITLE = "Batch"

TASK = "tasks.files.digest"
MAX_ITEMS = 5_000
STUCK_S = 60.0


def play(stage: Stage) -> Outcome:
    paths = [str(file) for file in stage.folder.sample(MAX_ITEMS)]
    missing = str(stage.folder.path / "no such file")
    began = time.monotonic()
    batch = stage.client.batches.create(TASK, [*paths, missing], max_retries=0)
    accepted_s = time.monotonic() - began
    with stage.client.socket() as socket:
        ended, told = _followed(stage, socket.subscribe(batch=batch.batch_id))
    took_s = time.monotonic() - began
    if (ended.completed, ended.failed) != (len(paths), 1):
        raise DemoFailed(f"of {len(paths)} files {ended.completed} were read, {ended.failed} failed")
    results = [one for one in stage.client.batches.results(batch.batch_id) if one.state == "completed"]
    failed = next(iter(stage.client.batches.items(batch.batch_id, state="failed")))
    return Outcome(
        headline=f"{len(paths):,} files hashed as one batch, {len(paths) / took_s:,.0f} a second",
        count=ended.total,
        took_s=took_s,
        notes=[
            f"POST /batches: {ended.total:,} items accepted in {duration(accepted_s)}, chunks of {ended.chunk_size}",
            f"{told} reports of its progress came over a socket, ten a second at most",
            f"GET /batches/{{id}}/results: {size(sum(one.result['bytes'] for one in results))} of files hashed",
            f"one item that cannot succeed is listed as failed ({failed.error.type if failed.error else '?'}), "
            "and held up nobody",
        ],
    )


def _followed(stage: Stage, subscription: Subscription) -> tuple[Batch, int]:
    """The batch at its end, and how often it was told of."""
    told = 0
    while True:
        event = subscription.next(timeout_s=STUCK_S)
        if not isinstance(event, BatchChanged):
            raise DemoFailed(f"the batch cannot be followed any more: {event}")
        batch, told = event.batch, told + 1
        eta = "" if batch.eta_s is None else f", {batch.eta_s:.0f} s left"
        stage.report(batch.done, batch.total, f"{batch.rate_per_s or 0:,.0f} items/s{eta}")
        if batch.is_final:
            return batch, told
