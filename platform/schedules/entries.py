"""The ``beat_schedule`` of modules as schedules: under the same election, paused and run like any other.

What a job is made of stays in the code: a scheduler that acts submits what its own module says. Celery's crontabs and
intervals become cron and interval here; what has no such form (solar, crontabs that want a day of the month and one of
the week at once, classes of a user's own) is asked as Celery's beat asks it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from celery.beat import BeatLazyFunc, ScheduleEntry
from celery.schedules import crontab
from celery.schedules import schedule as interval

from platform.schedules.cron import BadCron, Cron, UnknownZone, checked
from platform.schedules.definition import Definition
from platform.schedules.timing import Foreign, Timing
from platform.serialization import NotJSON, decode, encode

NAMESPACE = uuid.UUID("1c6f0e3c-4c0f-5b5e-9f62-6a7d0f0b8f5d")


@dataclass(frozen=True)
class Call:
    """What to submit; ``options`` as ``apply_async`` takes them."""

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


class Entry:
    """One entry, as Celery's scheduler has read it. Its id is made of its name, so that it is one in every process."""

    def __init__(self, entry: Any):
        self.entry = entry
        self.id = str(uuid.uuid5(NAMESPACE, entry.name))

    def call(self) -> Call:
        """With what ``BeatLazyFunc`` says now."""
        entry = self.entry
        kwargs = {name: _now(value) for name, value in (entry.kwargs or {}).items()}
        headers = {**(entry.options.get("headers") or {}), "celery_beat_task": True}
        args = [_now(value) for value in entry.args or ()]
        return Call(entry.task, args, kwargs, {**entry.options, "headers": headers})

    def definition(self, now_ms: int, before: Definition | None) -> Definition:
        """As it is kept, to be looked at; an interval that was kept before goes on from where it was."""
        entry = self.entry
        made = Definition(
            name=entry.name,
            task=entry.task,
            args=_shown(list(entry.args or ()), []),
            kwargs=_shown(dict(entry.kwargs or {}), {}),
            queue=_text(entry.options.get("queue")),
            priority=entry.options.get("priority"),
            source="code",
            created_ms=now_ms,
            anchor_ms=now_ms,
            **_times(entry.schedule),
        )
        if before is None:
            return made
        made = replace(made, created_ms=before.created_ms)
        return replace(made, anchor_ms=before.anchor_ms) if before.every_s == made.every_s else made

    def timing(self, definition: Definition) -> Timing:
        return definition.timing if definition.is_timed else Foreign(self.entry.schedule)


def entries_of(app: Any) -> dict[str, Entry]:
    """Those of an app whose modules are loaded, by id."""
    found = [
        Entry(ScheduleEntry(**{**given, "name": name, "app": app}))
        for name, given in (app.conf.beat_schedule or {}).items()
    ]
    return {entry.id: entry for entry in found}


def _times(schedule: Any) -> dict[str, Any]:
    """``cron`` and ``timezone``, or ``every_s``; nothing for a schedule that is neither."""
    if getattr(schedule, "nowfun", None):
        return {}
    if type(schedule) is interval and not schedule.relative and schedule.run_every.total_seconds() > 0:
        return {"every_s": schedule.run_every.total_seconds()}
    if type(schedule) is crontab:
        return _cron(schedule)
    return {}


def _cron(schedule: Any) -> dict[str, Any]:
    parts = [
        _field(getattr(schedule, f"_orig_{name}"))
        for name in ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    ]
    # Celery wants both days, cron either, unless one begins with a star.
    if not parts[2].startswith("*") and not parts[4].startswith("*"):
        return {}
    zone = str(schedule.tz)
    try:
        text = checked(" ".join(parts))
        Cron(text, zone)
    except (BadCron, UnknownZone):
        return {}
    return {"cron": text, "timezone": zone}


def _field(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) else ",".join(map(str, sorted(value)))
    return re.sub(r"[A-Za-z]{3,}", lambda found: found[0][:3], text.replace(" ", ""))


def _now(value: Any) -> Any:
    return value() if isinstance(value, BeatLazyFunc) else value


def _shown(value: Any, otherwise: Any) -> Any:
    """Arguments as they are shown; those that have no JSON form, or are made when it runs, are not."""
    try:
        return decode(encode(value))
    except NotJSON:
        return otherwise


def _text(queue: Any) -> str | None:
    return None if queue is None else str(getattr(queue, "name", queue))
