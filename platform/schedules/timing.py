"""When a schedule's runs are due: by cron, at an interval, or by a schedule object of Celery's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol


class Timing(Protocol):
    def after(self, moment_ms: int) -> int | None:
        """The first time later than a moment, both in milliseconds since 1970; None: never again."""


@dataclass(frozen=True)
class Every:
    """Every so many milliseconds, counted from ``anchor_ms``: a run that is late makes none after it late."""

    interval_ms: int
    anchor_ms: int

    def after(self, moment_ms: int) -> int:
        passed = max(0, (moment_ms - self.anchor_ms) // self.interval_ms)
        return self.anchor_ms + (passed + 1) * self.interval_ms


@dataclass(frozen=True)
class Foreign:
    """One of Celery's schedule objects that has no other form here: solar, or a class of a user's own.

    It goes by the real time and is asked as Celery's own beat asks it.
    """

    schedule: Any

    def after(self, moment_ms: int) -> int:
        is_due, seconds = self.ask(moment_ms)
        return _now_ms() + (0 if is_due else max(1, int(seconds * 1000)))

    def ask(self, last_ms: int) -> tuple[bool, float]:
        """Whether it is due, if it ran last at that moment, and in how many seconds to ask again."""
        is_due, seconds = self.schedule.is_due(datetime.fromtimestamp(last_ms / 1000, UTC))
        return bool(is_due), float(seconds or 0)


def times(timing: Timing, first_ms: int, last_ms: int) -> Iterator[int]:
    """A timing's times from ``first_ms``, which is one, up to ``last_ms``."""
    moment: int | None = first_ms
    while moment is not None and moment <= last_ms:
        yield moment
        moment = timing.after(moment)


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
