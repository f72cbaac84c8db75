"""How many jobs of a kind may run at once, and how many may begin in a time: over all workers together.

A job over a limit does not hold a worker: its start is refused (``Ledger.start``), its message waits in the schedule
until it is called (``jobs/lua/limits.lua``): the most urgent first, then who has been ready longest, when a place is
free and at its rate's next moment. A place belongs to a job that runs, so a crash frees it with the job's next state,
whatever that is, or once its worker's heartbeat is gone.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celery.utils.time import rate

from platform.errors import PlatformError

MAX_CONCURRENCY = 1_000
MAX_VALUE_CHARS = 100


class BadLimit(PlatformError):
    """A task's or a queue's limit makes no sense; the message says which and why."""


@dataclass(frozen=True)
class Limit:
    """``key`` is what is counted together; ``concurrency`` 0 is any number at once, ``interval_ms`` 0 any rate."""

    key: str
    concurrency: int = 0
    interval_ms: float = 0


def interval_ms(text: str | float | None) -> float:
    """Milliseconds from one start to the next of ``10/s``, ``100/m``, ``5/h`` or a number a second; 0 for None.

    Raises BadLimit.
    """
    if text is None:
        return 0.0
    try:
        per_s = float(rate(text))
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise BadLimit(f"rate limit {text!r}: write 10/s, 100/m or 5/h") from exc
    if not 0 < per_s <= 1_000_000:
        raise BadLimit(f"rate limit {text!r} must be more than 0")
    return 1000 / per_s


def checked_concurrency(number: int | None) -> int:
    """0 for None. Raises BadLimit."""
    if number is None:
        return 0
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_CONCURRENCY:
        raise BadLimit(f"concurrency {number!r} is not between 1 and {MAX_CONCURRENCY}")
    return number


def check_task(options: Mapping[str, Any]) -> None:
    """Raises BadLimit for options of a task's decorator that can never work."""
    interval_ms(options.get("rate_limit"))
    checked_concurrency(options.get("concurrency"))
    by = options.get("limit_by")
    if by is None:
        return
    if not isinstance(by, str) and not callable(by):
        raise BadLimit(f"limit_by={by!r}: give an argument's name, or a function of the arguments")
    if options.get("rate_limit") is None and options.get("concurrency") is None:
        raise BadLimit("limit_by needs a rate_limit or a concurrency to apply to each value")


def limits_of(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Limit]:
    """The limits a call of the task stands under; those of its queue are in the record store."""
    concurrency, each_ms = checked_concurrency(task.concurrency), interval_ms(task.rate_limit)
    if not concurrency and not each_ms:
        return []
    return [Limit(f"task:{task.name}{_value(task, args, kwargs)}", concurrency, each_ms)]


def _value(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    by: str | Callable[..., Any] | None = task.limit_by
    if by is None:
        return ""
    value = str(by(*args, **kwargs) if callable(by) else _argument(task, by, args, kwargs))
    is_plain = len(value) <= MAX_VALUE_CHARS and value.isprintable()
    return f":{value if is_plain else hashlib.sha256(value.encode()).hexdigest()}"


def _argument(task: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The value a call gives an argument; None where it gives none, so that such calls are counted together."""
    try:
        bound = inspect.signature(task.run).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return kwargs.get(name)
    bound.apply_defaults()
    return bound.arguments.get(name, kwargs.get(name))
