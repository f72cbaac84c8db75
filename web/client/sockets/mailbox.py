"""Events that wait to be taken, of all subscriptions in one order and of each by itself."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Items by owner, first in, first out; every act takes the same time, however many wait.

    It is full with ``limit`` items and takes more nevertheless: who puts is to stop.
    """

    def __init__(self, limit: int):
        if limit < 1:
            raise ValueError(f"max_waiting {limit!r} is below 1")
        self._limit = limit
        self._numbers = itertools.count()
        self._items: OrderedDict[int, tuple[int, T]] = OrderedDict()
        self._owned: dict[int, deque[int]] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        return len(self._items) >= self._limit

    def put(self, owner: int, item: T) -> None:
        number = next(self._numbers)
        self._items[number] = (owner, item)
        self._owned.setdefault(owner, deque()).append(number)

    def take(self, owner: int | None = None) -> T | None:
        """The first item, or the owner's first; None if none waits."""
        if owner is None:
            owner = next(iter(self._items.values()))[0] if self._items else -1
        numbers = self._owned.get(owner)
        if not numbers:
            return None
        _, item = self._items.pop(numbers.popleft())
        if not numbers:
            del self._owned[owner]
        return item

    def forget(self, owner: int) -> None:
        """Throw away what waits for the owner."""
        for number in self._owned.pop(owner, ()):
            del self._items[number]
