"""How often something may happen: a bucket of tokens that fills at a rate."""

from __future__ import annotations

import time


class Pace:
    """``take`` says whether one more is within ``per_s`` a second; ``burst`` of them may come at once."""

    __slots__ = ("_at", "_left", "burst", "per_s")

    def __init__(self, per_s: float, burst: float):
        self.per_s, self.burst = per_s, burst
        self._left, self._at = burst, time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def was_rested(self) -> bool:
        """Whether the one that was taken last could have been the first of a whole burst."""
        return self._left >= self.burst - 1

    def wait_s(self) -> float:
        """How long until one more may come."""
        return max(0.0, (1 - self._left) / self.per_s)
