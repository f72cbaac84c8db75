"""One job as its users see it (the contract's JSON), read from its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from platform.jobs.states import FINAL, State


@dataclass(frozen=True)
class Job:
    """A job's record at one moment; times are ISO 8601 UTC with milliseconds, ``priority`` 9 is most urgent.

    ``eta`` is the time a scheduled or retrying job waits for; ``waiting_for`` is what else keeps one from being handed
    to a worker, such as ``limit task:shop.sync:ann``.
    """

    job_id: str
    task: str
    queue: str
    priority: int
    state: State
    attempts: int
    max_retries: int | None
    progress: dict[str, Any] | None
    result: Any
    error: dict[str, Any] | None
    owner: str | None
    app_id: str | None
    parent_id: str | None
    dead_letter_id: str | None
    created_at: str | None
    eta: str | None
    waiting_for: str | None
    started_at: str | None
    finished_at: str | None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def from_hash(job_id: str, fields: Mapping[str, str]) -> Job:
    """Read a record's hash; absent fields are ``None``, an absent priority 5."""
    state = State(fields["state"])
    return Job(
        job_id=job_id,
        task=fields.get("task", ""),
        queue=fields.get("queue", ""),
        priority=_number(fields.get("priority")) or 0 if fields.get("priority") else 5,
        state=state,
        attempts=int(fields.get("attempts") or 0),
        max_retries=_number(fields.get("max_retries")),
        progress=_json(fields.get("progress")),
        result=_json(fields.get("result")),
        error=_json(fields.get("error")),
        owner=fields.get("owner") or None,
        app_id=fields.get("app_id") or None,
        parent_id=fields.get("parent_id") or None,
        dead_letter_id=fields.get("dead_letter_id") or None,
        created_at=_time(fields.get("created_at")),
        eta=_time(fields.get("ready_at")) if state in (State.SCHEDULED, State.RETRYING) else None,
        waiting_for=f"limit {fields['waiting_for']}" if fields.get("waiting_for") else None,
        started_at=_time(fields.get("started_at")),
        finished_at=_time(fields.get("finished_at")),
    )


def _json(text: str | None) -> Any:
    return msgspec.json.decode(text) if text else None


def _number(text: str | None) -> int | None:
    """None also for what is no number: other programs' messages say what they like."""
    try:
        return int(float(text)) if text else None
    except (ValueError, OverflowError):
        return None


def _time(milliseconds: str | None) -> str | None:
    if not milliseconds:
        return None
    moment = datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
