"""The states of a batch and of its items; ``docs/batches.md`` draws them."""

from __future__ import annotations

from enum import StrEnum


class BatchState(StrEnum):
    """Of the last three none has items left; ``FAILED`` means that at least one item failed for good."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.CANCELLED})

#: The letters that stand for an item's state in the record; one that waits for another try is pending.
LETTERS: dict[ItemState, str] = {
    ItemState.PENDING: "pa",
    ItemState.RUNNING: "r",
    ItemState.COMPLETED: "c",
    ItemState.FAILED: "f",
    ItemState.CANCELLED: "x",
}
STATE_OF = {letter: state for state, letters in LETTERS.items() for letter in letters}
ENDED = "cfx"
