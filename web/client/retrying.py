"""When a request is sent again: only one that is safe to repeat, after trouble that passes, while there is time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import stamina

from web.client.errors import RateLimitError, ServerUnreachable, ServiceUnavailable
from web.client.exchange import Request

MAX_BACKOFF_S = 1.0
MIN_TIMEOUT_S = 0.05

# Stamina tells of each retry; where a program has set no logging up, that is no line on its users' terminal.
logging.getLogger("stamina").addHandler(logging.NullHandler())

# How often and for how long is Patience's to say.
RETRYING = stamina.RetryingCaller(
    attempts=None, timeout=None, wait_initial=0.1, wait_max=MAX_BACKOFF_S, wait_jitter=0.1
)
ASYNC_RETRYING = stamina.AsyncRetryingCaller(
    attempts=None, timeout=None, wait_initial=0.1, wait_max=MAX_BACKOFF_S, wait_jitter=0.1
)


class Patience:
    """The time one request may take, all its attempts and the pauses between them included."""

    def __init__(self, request: Request, timeout_s: float):
        self._request = request
        self._deadline = time.monotonic() + timeout_s + request.wait_s

    @property
    def left_s(self) -> float:
        return max(MIN_TIMEOUT_S, self._deadline - time.monotonic())

    def pause_after(self, error: Exception) -> bool | float:
        """Stamina's hook: True to go on after its usual pause, seconds for a longer one, False to raise the error.

        ``Retry-After`` is obeyed; if it asks for more time than is left, the error is raised at once.
        """
        if not self._request.is_repeatable:
            return False
        if not isinstance(error, (RateLimitError, ServiceUnavailable, ServerUnreachable)):
            return False
        asked_s = getattr(error, "retry_after", None)
        if not self._has(MAX_BACKOFF_S if asked_s is None else asked_s):
            return False
        return True if asked_s is None else asked_s

    def _has(self, pause_s: float) -> bool:
        return time.monotonic() + pause_s < self._deadline


@contextmanager
def reporting_trouble(request: Request, base_url: str) -> Iterator[None]:
    """Turn httpx2's errors into ServerUnreachable."""
    try:
        yield
    except httpx2.RequestError as exc:
        reason = str(exc) or type(exc).__name__
        raise ServerUnreachable(f"{request.method} {base_url}{request.path} got no answer: {reason}") from exc
