"""Cron: five fields of local time, checked with words that help, evaluated by CronSim.

CronSim has the rules of Debian's cron for the days on which clocks are changed. A job of fixed times (neither minute
nor hour begins with ``*``) runs once on each of them: one whose time does not exist, at the first minute that does; one
whose time comes twice, the first time. Any other goes by the clock on the wall, so that ``*/15 * * * *`` runs every
quarter of an hour in both of the hours that have one name. Celery's own crontab drops a run of an hourly job when the
clocks go back, and lets a job of 02:30 run at 03:30 when they go forward (ran on 5.7.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from platform.errors import did_you_mean

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * SUN",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MOST_CHARS = 255
TERM = re.compile(r"(\*|[A-Z0-9]+(?:-[A-Z0-9]+)?)(?:/([0-9]{1,4}))?")


class BadCron(ValueError):
    """The message says which field is wrong, and what may stand there."""


class UnknownZone(ValueError):
    """No such time zone; the nearest one is named."""


@dataclass(frozen=True)
class Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        return f"{self.least}–{self.most}" + (f" or {self.names[0]}–{self.names[-1]}" if self.names else "")


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 7, DAYS),
)


class Cron:
    """The times of an expression in a zone. Raises BadCron, UnknownZone."""

    def __init__(self, expression: str, timezone: str = "UTC"):
        self.expression = checked(expression)
        # To CronSim only the object UTC has no clocks to be changed.
        self.zone = UTC if timezone == "UTC" else zone_of(timezone)
        try:
            self._next(datetime.now(UTC))
        except (CronSimError, StopIteration) as exc:
            raise BadCron(f"{expression!r} never comes: no such day in any year") from exc

    def after(self, moment_ms: int) -> int:
        """The first time later than a moment, both in milliseconds since 1970."""
        return int(self._next(datetime.fromtimestamp(moment_ms / 1000, UTC)).timestamp()) * 1000

    def _next(self, moment: datetime) -> datetime:
        for found in self._from(moment):
            if found > moment:  # in the second of two hours of one name, CronSim begins with the first
                return found
        raise StopIteration

    def _from(self, moment: datetime) -> Iterator[datetime]:
        for found in CronSim(self.expression, moment.astimezone(self.zone)):
            yield found.astimezone(UTC)


@cache
def zone_of(name: str) -> ZoneInfo:
    """A zone of the IANA database. Raises UnknownZone."""
    known = _zones()
    if name not in known:
        raise UnknownZone(f"there is no time zone {name!r}{_hint(name, known)}")
    return ZoneInfo(name)


def _hint(name: str, known: frozenset[str]) -> str:
    """For the name in other letters, for a city alone, and for what is nearly one."""
    wanted = name.lower()
    meant = [one for one in sorted(known) if wanted in (one.lower(), one.lower().rpartition("/")[2])]
    if meant:
        return f"; did you mean {meant[0]!r}?"
    return did_you_mean(name, known) or "; write one such as Europe/Berlin or UTC"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def checked(expression: str) -> str:
    """The expression as CronSim takes it. Raises BadCron."""
    text = expression.strip()
    if len(text) > MOST_CHARS:
        raise BadCron(f"a cron expression has {MOST_CHARS} characters at most")
    if text.startswith("@"):
        return _expanded(text)
    parts = text.upper().split()
    if len(parts) != len(FIELDS):
        what = ", ".join(field.name for field in FIELDS)
        raise BadCron(f"{expression!r} has {len(parts)} fields; there are five: {what}")
    return " ".join(_checked_field(field, part) for field, part in zip(FIELDS, parts, strict=True))


def _checked_field(field: Field, part: str) -> str:
    return ",".join(_checked_term(field, term) for term in part.split(","))


def _expanded(text: str) -> str:
    if text.lower() not in MACROS:
        hint = did_you_mean(text.lower(), MACROS) or f"; there are {', '.join(MACROS)}"
        raise BadCron(f"there is no {text!r}{hint}")
    return MACROS[text.lower()]


def _checked_term(field: Field, term: str) -> str:
    found = TERM.fullmatch(term)
    if found is None:
        raise BadCron(f"{field.name}: {term!r} is neither *, a value, a range (1-5) nor one with a step (*/15)")
    span, step = found.groups()
    if step is not None and int(step) == 0:
        raise BadCron(f"{field.name}: the step of {term!r} is 0; it is 1 at least")
    if span == "*":
        return term
    values = [_value(field, word) for word in span.split("-")]
    if values[0] > values[-1]:
        first, last = span.split("-")
        raise BadCron(f"{field.name}: {span!r} runs backwards; write {first}-{field.most},{field.least}-{last}")
    # CronSim counts the steps of a range of one value, as 5-5/15, from there to the field's end; cron has that value.
    return str(values[0]) if "-" in span and values[0] == values[-1] else term


def _value(field: Field, word: str) -> int:
    if word in field.names:
        return field.names.index(word) + (field.least if field.names == MONTHS else 0)
    if not word.isdecimal():
        raise BadCron(f"{field.name}: {word!r} is no value; it is {field.range}{did_you_mean(word, field.names)}")
    if not field.least <= int(word) <= field.most:
        raise BadCron(f"{field.name}: {word} is out of range; it is {field.range}")
    return int(word)
