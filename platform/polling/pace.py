"""How long to wait before the next batch: soon after work, slower and slower without, slower still after errors."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 300.0
#: A wait is up to this part shorter, at random: many that began together do not stay together.
JITTER = 0.25
#: What an ``active_s`` of 0 grows from.
LEAST_S = 0.01


@dataclass
class Pace:
    """The waits of one worker, in seconds.

    After work ``active_s``; without, twice the last wait, up to ``idle_s``. After an error 1 s, 2 s, … 300 s, until a
    batch succeeds. ``rest_s`` and ``failures`` are what it remembers, and may be carried to another process.
    """

    active_s: float
    idle_s: float
    rest_s: float = 0.0
    failures: int = 0
    random: Callable[[], float] = random.random

    def after_batch(self, done: int) -> float:
        self.failures = 0
        if done > 0:
            self.rest_s = 0.0
            return self.active_s
        self.rest_s = min(self.idle_s, max(self.rest_s * 2, self.active_s, LEAST_S))
        return self._shortened(self.rest_s)

    def after_error(self) -> float:
        self.failures += 1
        doublings = min(self.failures - 1, 16)  # beyond, only the number would grow
        backoff_s = min(FIRST_BACKOFF_S * 2**doublings, LONGEST_BACKOFF_S)
        return max(FIRST_BACKOFF_S, self._shortened(backoff_s))

    def _shortened(self, seconds: float) -> float:
        return seconds * (1 - JITTER * self.random())
