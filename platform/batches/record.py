"""One batch as its users see it (the contract's JSON), read from its hash."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from platform.batches.chunks import callback_job_id
from platform.batches.states import FINAL, BatchState
from platform.serialization import decode

KINDS = ("on_complete", "on_success", "on_failure")
#: A rate is measured every second; where nothing ends for longer than this, it is taken to sink.
RATE_HOLDS_S = 5.0


@dataclass(frozen=True)
class Callback:
    """What runs when a batch has ended; ``job_id`` is None until it was decided that it does."""

    task: str
    kwargs: Mapping[str, Any]
    job_id: str | None = None


@dataclass(frozen=True)
class Batch:
    """A batch at one moment; times are ISO 8601 UTC with milliseconds, ``priority`` 9 is most urgent.

    ``done`` counts the items that have ended: completed, failed or cancelled. ``open``: more may still be added by
    whoever made it. ``rate_per_s`` is of the last seconds, of a batch that has ended over its whole life; ``eta_s`` is
    None where it cannot be told.
    """

    batch_id: str
    task: str
    kwargs: dict[str, Any]
    state: BatchState
    total: int
    pending: int
    running: int
    done: int
    completed: int
    failed: int
    cancelled: int
    rate_per_s: float | None
    eta_s: float | None
    open: bool
    cancel_requested: bool
    priority: int
    max_retries: int | None
    chunk_size: int | None
    owner: str | None
    app_id: str | None
    parent_id: str | None
    on_complete: Callback | None
    on_success: Callback | None
    on_failure: Callback | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def is_given_up(self) -> bool:
        """Somebody has cancelled it, whether items of it still run or not."""
        return self.cancel_requested or self.state == BatchState.CANCELLED

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def from_hash(batch_id: str, fields: Mapping[str, str], now_ms: int | None = None) -> Batch:
    """Read a record's hash, as of now."""
    total, completed, failed, cancelled, running = (
        int(fields.get(name) or 0) for name in ("total", "completed", "failed", "cancelled", "running")
    )
    done, is_open = completed + failed + cancelled, fields.get("is_open") == "1"
    rate = _rate(fields, done, time.time_ns() // 1_000_000 if now_ms is None else now_ms)
    is_over = bool(fields.get("finished_at"))
    return Batch(
        batch_id=batch_id,
        task=fields.get("task", ""),
        kwargs=decode(fields.get("kwargs") or "{}"),
        state=BatchState(fields["state"]),
        total=total,
        pending=total - done - running,
        running=running,
        done=done,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        rate_per_s=None if rate is None else round(rate, 2),
        eta_s=0.0 if is_over else round((total - done) / rate, 1) if rate and not is_open else None,
        open=is_open,
        cancel_requested="cancel_requested_at" in fields,
        priority=int(fields.get("priority") or 5),
        max_retries=_number(fields.get("max_retries")),
        chunk_size=_number(fields.get("chunk_size")),
        owner=fields.get("owner") or None,
        app_id=fields.get("app_id") or None,
        parent_id=fields.get("parent_id") or None,
        **{kind: _callback(fields, batch_id, kind) for kind in KINDS},
        created_at=_time(fields.get("created_at")),
        started_at=_time(fields.get("started_at")),
        finished_at=_time(fields.get("finished_at")),
    )


def _rate(fields: Mapping[str, str], done: int, now_ms: int) -> float | None:
    """Items a second: of the last seconds, of a batch that has ended of all its time; None before the first."""
    if not fields.get("started_at"):
        return None
    started, finished = int(fields["started_at"]), fields.get("finished_at")
    if finished or not fields.get("rate"):
        return done * 1000 / max(1, int(finished or now_ms) - started) if done else None
    rate, since_s = float(fields["rate"]), (now_ms - int(fields["rate_at"])) / 1000
    if since_s <= RATE_HOLDS_S:
        return rate
    return min(rate, max(1, done - int(fields["rate_done"])) / since_s)


def _callback(fields: Mapping[str, str], batch_id: str, kind: str) -> Callback | None:
    if kind not in fields:
        return None
    told = msgspec.json.decode(fields[kind])
    has_fired = f"fired_{kind}" in fields
    return Callback(told["task"], told["kwargs"], callback_job_id(batch_id, kind) if has_fired else None)


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _time(milliseconds: str | None) -> str | None:
    if not milliseconds:
        return None
    moment = datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
