"""Whether to connect again after a loss, and when."""

from __future__ import annotations

import random
from collections.abc import Callable

from web.client.sockets.loss import BAD_TOKEN, Loss

FIRST_S = 0.5
MOST_S = 30.0


class Reconnecting:
    """Backoff with full jitter: up to 0.5 s after the first failure, twice as much after each, 30 s at most.

    Full jitter, so that those whom a restart cut off together do not come back together. What the server asks for is
    obeyed. A token that does not hold is replaced once; ``has_fresh_tokens``: there are others.
    """

    def __init__(self, has_fresh_tokens: bool, jitter: Callable[[], float] = random.random):
        self._has_fresh_tokens = has_fresh_tokens
        self._jitter = jitter
        self._failures = 0
        self._refused_tokens = 0

    def settle(self) -> None:
        """The connection does what it is for: the next loss is a first one."""
        self._failures = self._refused_tokens = 0

    def pause_s(self, loss: Loss) -> float | None:
        """Seconds to wait before connecting again; None: it is of no use."""
        if loss.is_final or (loss.code == BAD_TOKEN and not self._may_replace_token()):
            return None
        backoff_s = min(MOST_S, FIRST_S * 2 ** min(self._failures, 16)) * self._jitter()
        self._failures += 1
        if loss.retry_after_s is None:
            return backoff_s
        # The socket's close frame comes with a time of its own for each; a refused handshake with the same for all.
        return loss.retry_after_s if loss.has_own_time else loss.retry_after_s + backoff_s

    def _may_replace_token(self) -> bool:
        self._refused_tokens += 1
        return self._has_fresh_tokens and self._refused_tokens == 1
