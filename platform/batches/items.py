"""A batch's items, as they are read: one by one in order, by their state, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from platform.batches.states import LETTERS, STATE_OF, ItemState
from platform.serialization import decode

#: Items in each hash of items and of outcomes; so few that the server keeps them packed. As in ``batch.lua``.
BLOCK = 100


@dataclass(frozen=True)
class Item:
    """One item at one moment. ``error`` is of its latest try that failed; ``attempts`` counts the runs begun."""

    index: int
    item: Any
    state: ItemState
    attempts: int
    result: Any
    error: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def indices_in(states: str, wanted: ItemState | None) -> Sequence[int]:
    """The numbers of the items in a state (None: of all), ascending."""
    if wanted is None:
        return range(len(states))
    letters = LETTERS[wanted]
    return [index for index, letter in enumerate(states) if letter in letters]


def blocks_of(indices: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    """Ascending numbers, with the block they are kept in."""
    for block, members in groupby(indices, lambda index: index // BLOCK):
        yield block, list(members)


def item_of(index: int, letter: str, value: str | None, outcome: str | None, unfinished_runs: str | None) -> Item:
    """An item of what is kept of it; without a value it is its own index."""
    state = STATE_OF[letter]
    is_error, text = (outcome or "")[:1] == "-", (outcome or "")[1:]
    told = decode(text) if text else None
    runs = int(unfinished_runs or 0) + (state in (ItemState.COMPLETED, ItemState.RUNNING))
    return Item(
        index=index,
        item=index if value is None else decode(value),
        state=state,
        attempts=runs,
        result=None if is_error else told,
        error=told if is_error else None,
    )
