"""When a token is to be replaced by a new one, so that the server need not end the connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

#: How much of a token's life is used, and the least there is between two.
USED = 0.8
LEAST_S = 5.0


class Renewal:
    """Counts down to the next token. A clock that differs from the server's costs a reconnect at worst."""

    def __init__(self, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic):
        self._now, self._clock = now, clock
        self._due: float | None = None

    def expect(self, expires_at: datetime | None) -> None:
        """The token in use ends then; None: never."""
        if expires_at is None:
            self._due = None
            return
        left_s = expires_at.astimezone(UTC).timestamp() - self._now()
        self._due = self._clock() + max(LEAST_S, USED * left_s)

    def postpone(self) -> None:
        """Try again shortly, unless an answer says better."""
        self._due = self._clock() + LEAST_S

    @property
    def left_s(self) -> float | None:
        """Seconds until a new token is due; None: never."""
        return None if self._due is None else max(0.0, self._due - self._clock())
