"""What people do with a batch that is there: cancel it, run again what failed.

HTTP and the command line are thin over these.
"""

from __future__ import annotations

from platform.batches.chunks import chunk_job_id, size_for
from platform.batches.publishing import publish_accepted, publish_callbacks
from platform.batches.record import Batch
from platform.batches.register import batches
from platform.jobs.ledger import ledger


def cancel(batch_id: str) -> Batch:
    """What waits never runs; what runs stops at the next item, or after ``PLATFORM_CANCEL_GRACE_S`` by force.

    Returns the batch as it is right then. Raises UnknownBatch, BatchOver.
    """
    _, numbers, fired = batches().cancel(batch_id)
    publish_callbacks(batch_id, fired)
    ledger().cancel_all([chunk_job_id(batch_id, number) for number in numbers])
    return batches().get(batch_id)


def retry(batch_id: str) -> Batch:
    """Run again what failed, and only that. Returns the batch as it is then.

    Raises UnknownBatch, NothingFailed, BatchOver.
    """
    batch = batches().get(batch_id)
    size = min(batch.chunk_size or size_for(None), size_for(batch.failed))
    numbers, _ = batches().retry(batch_id, size)
    publish_accepted(batch_id, numbers)
    return batches().get(batch_id)
