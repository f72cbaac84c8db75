"""When a job is due: what ``countdown`` and ``eta`` say, in milliseconds since 1970."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from platform import clock
from platform.errors import PlatformError

#: The first day of the year 9999: what comes after may have no place in some zone's calendar.
LATEST_MS = 253_370_764_800_000


class UnusableTime(PlatformError, ValueError):
    """A ``countdown`` or ``eta`` that names no time a job could wait for."""


def due_ms(countdown: Any = None, eta: Any = None) -> int | None:
    """The time a job has to wait for; None if it may run at once, as it may when its time is past.

    ``countdown`` is in seconds from now, ``eta`` a datetime or its ISO 8601 text, UTC where it names no zone. Where
    both are given ``countdown`` counts, as in Celery. Raises UnusableTime.
    """
    now_ms = clock.now_ms()
    if countdown:
        due = now_ms + _milliseconds(countdown)
    elif eta:
        due = _moment_ms(eta)
    else:
        return None
    if due >= LATEST_MS:
        raise UnusableTime("a job can wait until the year 9998 at the latest; give an earlier time")
    return due if due > now_ms else None


def _milliseconds(seconds: Any) -> int:
    try:
        milliseconds = float(seconds) * 1000
    except (TypeError, ValueError, OverflowError) as exc:
        raise UnusableTime(f"countdown {seconds!r} is not a number of seconds") from exc
    if math.isnan(milliseconds):
        raise UnusableTime("countdown nan is not a number of seconds")
    return LATEST_MS if milliseconds > LATEST_MS else int(max(milliseconds, -LATEST_MS))


def _moment_ms(eta: Any) -> int:
    try:
        moment = eta if isinstance(eta, datetime) else datetime.fromisoformat(eta)
    except (TypeError, ValueError) as exc:
        raise UnusableTime(f"eta {eta!r} is not a datetime, nor one in ISO 8601") from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
