"""Chunks: how large they are, which items they hold, and the ids of the jobs that are made of a batch.

Ids are derived, so that publishing one again, by whomever, is the same job.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

#: The task that runs a chunk (``tasks.batch``).
CHUNK_TASK = "tasks.batch.run"
#: Items in a chunk unless the batch says otherwise, and how many chunks a smaller batch is spread over, so that every
#: worker has some of it.
MOST_BY_DEFAULT = 100
SPREAD = 32
MAX_CHUNK_SIZE = 10_000
#: A chunk whose run takes longer hands what is left of it to two others, in seconds: so long items spread over the
#: workers, others' jobs get their turn, and a worker that stops has not long to wait.
LONGEST_RUN_S = 10.0
#: Of a chunk: its items are run one at a time, so that the next death has one to blame.
CAREFUL = "c"


def size_for(total: int | None) -> int:
    """Items in each chunk of a batch of so many, None: not known yet."""
    return MOST_BY_DEFAULT if total is None else max(1, min(MOST_BY_DEFAULT, -(-total // SPREAD)))


def ranges_of(indices: Iterable[int]) -> str:
    """Ascending numbers as text: ``0-99,120``."""
    parts: list[list[int]] = []
    for index in indices:
        if parts and index == parts[-1][1] + 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)


def indices_of(ranges: str) -> list[int]:
    """The opposite."""
    found: list[int] = []
    for part in ranges.split(",") if ranges else ():
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def chunk_job_id(batch_id: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"batch {batch_id} chunk {number}"))


def callback_job_id(batch_id: str, kind: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"batch {batch_id} {kind}"))
