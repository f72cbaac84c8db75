"""Answers that may be a few seconds old, because the question comes with every request."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RecentAnswers(Generic[K, V]):
    """Keeps each answer, also ``None``, for less than ``ttl_s`` after the moment it was asked for.

    Holds ``max_entries`` at most and drops the oldest first. Errors are not kept. Two threads may ask
    the same at once; both answers are right.
    """

    def __init__(self, ttl_s: float, max_entries: int, clock: Callable[[], float] = time.monotonic):
        self.ttl_s = ttl_s
        self.max_entries = max_entries
        self.clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, question: K, ask: Callable[[K], V]) -> V:
        asked_at = self.clock()
        kept = self._answers.get(question)
        if kept is not None and asked_at - kept[0] < self.ttl_s:
            return kept[1]
        answer = ask(question)
        self._keep(question, asked_at, answer)
        return answer

    def clear(self) -> None:
        self._answers.clear()

    def __len__(self) -> int:
        return len(self._answers)

    def _keep(self, question: K, asked_at: float, answer: V) -> None:
        self._answers.pop(question, None)
        self._answers[question] = (asked_at, answer)
        while len(self._answers) > self.max_entries:
            self._answers.popitem(last=False)
