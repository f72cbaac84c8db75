"""What people say of a schedule, checked as a whole: every problem is told at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, get_args

from platform.errors import UnknownQueue, did_you_mean
from platform.queues import DEAD_LETTER, MAX_PRIORITY, MIN_PRIORITY, known
from platform.schedules.cron import BadCron, Cron, UnknownZone, zone_of
from platform.schedules.errors import BadSchedule
from platform.schedules.missed import Missed
from platform.schedules.timing import Every, Timing
from platform.settings import settings

Overlap = Literal["allow", "skip", "replace"]
Source = Literal["api", "code"]

MAX_NAME_CHARS = 128
LEAST_S, MOST_S = 1.0, 366 * 86_400.0


@dataclass(frozen=True)
class Definition:
    """``cron`` in ``timezone``, or every ``every_s`` seconds counted from ``anchor_ms``; times in ms since 1970.

    ``queue`` and ``priority`` None: the task's own. ``owner`` and ``app_id`` are the account's whose jobs the runs are,
    empty for one made at a terminal. ``source`` "code": an entry of ``beat_schedule``, which may have neither.
    """

    name: str
    task: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    cron: str | None = None
    every_s: float | None = None
    timezone: str = "UTC"
    missed: Missed = "once"
    overlap: Overlap = "allow"
    owner: str = ""
    app_id: str = ""
    source: Source = "api"
    created_ms: int = 0
    anchor_ms: int = 0

    @property
    def is_timed(self) -> bool:
        """Whether it says when; one of code may have a schedule object that has no form here."""
        return self.cron is not None or self.every_s is not None

    @property
    def timing(self) -> Timing:
        """Raises BadCron, UnknownZone, ValueError unless ``is_timed``."""
        if self.cron is not None:
            return _cron_of(self.cron, self.timezone)
        if self.every_s is not None:
            return Every(int(self.every_s * 1000), self.anchor_ms)
        raise ValueError(f"schedule {self.name!r} says no time")

    def changed(self, now_ms: int, **changes: Any) -> Definition:
        """With other values; a new cron or interval takes the place of the other, and an interval counts from now.

        Raises BadSchedule where both are given.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if "every_s" in given and "cron" not in given:
            changes["cron"] = None
        if "cron" in given and "every_s" not in given:
            changes["every_s"] = None
        if "every_s" in given:
            changes["anchor_ms"] = now_ms
        return replace(self, **changes)

    def is_timed_as(self, other: Definition) -> bool:
        """Whether both are due at the same times."""
        return all(getattr(self, name) == getattr(other, name) for name in ("cron", "every_s", "timezone", "anchor_ms"))


@lru_cache(maxsize=4096)
def _cron_of(expression: str, timezone: str) -> Cron:
    """Read once: a run is handed out in the time it takes."""
    return Cron(expression, timezone)


def checked(definition: Definition) -> Definition:
    """The definition itself, if it makes sense. Raises BadSchedule with all that is wrong."""
    problems = [
        {"loc": [name], "msg": message} for name, check in _CHECKS.items() if (message := check(definition)) is not None
    ]
    if problems:
        raise BadSchedule(problems)
    return definition


def _name(given: Definition) -> str | None:
    name = given.name
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        return f"a name has 1 to {MAX_NAME_CHARS} printable characters and no space at its ends"
    return None


def _cron(given: Definition) -> str | None:
    if given.cron is None:
        return "give cron, such as '*/5 * * * *', or every_s, in seconds" if given.every_s is None else None
    if given.every_s is not None:
        return "give cron or every_s, not both"
    try:
        Cron(given.cron)
    except BadCron as exc:
        return str(exc)
    return None


def _every_s(given: Definition) -> str | None:
    if given.every_s is not None and not LEAST_S <= given.every_s <= MOST_S:
        return f"an interval is {LEAST_S:g} to {MOST_S:.0f} seconds (366 days)"
    return None


def _timezone(given: Definition) -> str | None:
    try:
        zone_of(given.timezone)
    except UnknownZone as exc:
        return str(exc)
    return None


def _queue(given: Definition) -> str | None:
    try:
        if given.queue is not None and known(given.queue, settings()) == DEAD_LETTER:
            return f"the queue {DEAD_LETTER} takes no jobs"
    except UnknownQueue as exc:
        return str(exc)
    return None


def _priority(given: Definition) -> str | None:
    if given.priority is None or MIN_PRIORITY <= given.priority <= MAX_PRIORITY:
        return None
    return f"a priority is {MIN_PRIORITY} to {MAX_PRIORITY}, {MAX_PRIORITY} most urgent"


def _one_of(name: str, kind: Any) -> Callable[[Definition], str | None]:
    def check(given: Definition) -> str | None:
        value, words = getattr(given, name), get_args(kind)
        return None if value in words else f"{value!r} is not {', '.join(words)}{did_you_mean(value, words)}"

    return check


_CHECKS: dict[str, Callable[[Definition], str | None]] = {
    "name": _name,
    "cron": _cron,
    "every_s": _every_s,
    "timezone": _timezone,
    "queue": _queue,
    "priority": _priority,
    "missed": _one_of("missed", Missed),
    "overlap": _one_of("overlap", Overlap),
}
