"""When a failed job is tried again: at once never, later each time, and not all at the same moment.

The n-th retry waits a random time between 0 and ``BASE_S`` × 2ⁿ seconds, at most ``MAX_S`` (exponential backoff with
full jitter). What the task says comes first: ``RetryLater``, an exception's own ``retry_after`` (seconds, as HTTP's
header has it), Celery's ``default_retry_delay`` (fixed) or ``retry_backoff`` of the task.
"""

from __future__ import annotations

import inspect
import math
import random
from typing import Any

from celery.exceptions import Reject

from platform.errors import JobCancelled
from platform.steering import Discard, RetryLater

BASE_S = 1.0
MAX_S = 600.0
#: A hint beyond this is cut: a server that says "in a year" has not thought of our job.
MAX_HINT_S = 7 * 86_400.0

NEVER_RETRIED = (Discard, JobCancelled, Reject)


def is_permanent(exc: BaseException | None) -> bool:
    """Whether the error itself says that another try would end the same way: ``is_permanent = True`` on its class."""
    return isinstance(exc, NEVER_RETRIED) or bool(getattr(exc, "is_permanent", False))


def delay_s(retries: int, exc: BaseException | None = None, fixed_s: float | None = None) -> float:
    """Seconds until the next try of a job that has been retried ``retries`` times."""
    hint = hinted_s(exc)
    if hint is not None:
        return hint
    if fixed_s is not None:
        return float(fixed_s)
    return random.uniform(0, min(MAX_S, BASE_S * 2 ** min(retries + 1, 64)))  # noqa: S311 - jitter


def hinted_s(exc: BaseException | None) -> float | None:
    """What the exception itself says, in seconds; None if nothing usable."""
    hint = exc.seconds if isinstance(exc, RetryLater) else getattr(exc, "retry_after", None)
    if isinstance(hint, bool) or not isinstance(hint, int | float) or not math.isfinite(hint):
        return None
    return min(max(float(hint), 0.0), MAX_HINT_S)


def is_hopeless(task: Any, exc: BaseException | None, args: Any, kwargs: Any) -> bool:
    """Whether another try must end the same way: the task said so, or its arguments do not fit its signature."""
    return is_permanent(exc) or (isinstance(exc, TypeError) and not accepts(task, args, kwargs))


def accepts(task: Any, args: Any, kwargs: Any) -> bool:
    """Whether the task can be called with these arguments."""
    try:
        inspect.signature(task.run).bind(*(args or ()), **(kwargs or {}))
    except (TypeError, ValueError) as exc:
        return isinstance(exc, ValueError)  # no signature to be had: then it is not known to be wrong
    return True
