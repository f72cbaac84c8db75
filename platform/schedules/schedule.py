"""One schedule as its users see it, read from its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from platform.schedules.definition import Definition


@dataclass(frozen=True)
class Schedule:
    """A schedule at one moment; ``revision`` counts its changes, times are in milliseconds since 1970.

    ``next_ms`` is None while it is paused, or if it never comes again. ``runs`` counts the jobs it made,
    ``missed_runs`` those left out by its policy. ``last_error`` says why the last run made no job, until one does.
    """

    id: str
    revision: str
    definition: Definition
    is_paused: bool = False
    next_ms: int | None = None
    last_run_ms: int | None = None
    last_job_id: str | None = None
    last_error: str | None = None
    runs: int = 0
    missed_runs: int = 0

    def as_dict(self) -> dict[str, Any]:
        given = self.definition
        return {
            "id": self.id,
            **{name: getattr(given, name) for name in ("name", "task", "args", "kwargs", "queue", "priority")},
            **{name: getattr(given, name) for name in ("cron", "every_s", "timezone", "missed", "overlap", "source")},
            "paused": self.is_paused,
            "owner": given.owner or None,
            "app_id": given.app_id or None,
            "created_at": _text(given.created_ms),
            "next_run_at": _text(self.next_ms),
            "last_run_at": _text(self.last_run_ms),
            "last_job_id": self.last_job_id,
            "last_error": self.last_error,
            "runs": self.runs,
            "missed_runs": self.missed_runs,
        }


def from_hash(schedule_id: str, fields: Mapping[str, str]) -> Schedule:
    return Schedule(
        id=schedule_id,
        revision=fields["revision"],
        definition=msgspec.json.decode(fields["definition"], type=Definition),
        is_paused=fields.get("paused") == "1",
        next_ms=_whole(fields.get("next")),
        last_run_ms=_whole(fields.get("last_run")),
        last_job_id=fields.get("last_job") or None,
        last_error=fields.get("error") or None,
        runs=int(fields.get("runs") or 0),
        missed_runs=int(fields.get("missed") or 0),
    )


def _whole(value: str | None) -> int | None:
    return int(value) if value else None


def _text(ms: int | None) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
