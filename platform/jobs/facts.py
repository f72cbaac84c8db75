"""What is told of a job to the ledger, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from platform.limits import Limit
from platform.unique import Lock


@dataclass(frozen=True)
class Delivery:
    """How a message came: ``held`` is the hash that records it under ``tag`` while its worker is alive, or empty.

    ``runner`` is the incarnation that took it; ``hearts`` begins the keys of heartbeats, where a lost connection alone
    makes the broker deliver again (RabbitMQ), so that a copy of a job still being run can be told from an orphan.
    """

    held: str
    tag: str
    is_redelivered: bool
    runner: str = ""
    hearts: str = ""


@dataclass(frozen=True)
class NewJob:
    """What a message says about its job; times in milliseconds since 1970."""

    job_id: str
    task: str
    queue: str
    priority: int
    owner: str = ""
    app_id: str = ""
    parent_id: str = ""
    max_retries: int | None = None
    retries: int = 0
    is_replacement: bool = False
    ready_at_ms: int | None = None
    delivery: Delivery | None = None
    limits: Sequence[Limit] = ()
    lock: Lock | None = None

    def fields(self, now_ms: int) -> dict[str, Any]:
        return {
            "task": self.task,
            "queue": self.queue,
            "priority": self.priority,
            "owner": self.owner,
            "app_id": self.app_id,
            "parent_id": self.parent_id,
            "max_retries": "" if self.max_retries is None else self.max_retries,
            "created_at": now_ms,
            "ready_at": self.ready_at_ms or now_ms,
        }


@dataclass(frozen=True)
class Started:
    """A run's ticket: later reports count only while ``attempt`` is the record's latest."""

    attempt: str
    is_cancel_requested: bool = False


@dataclass(frozen=True)
class Refused:
    """Why a run may not begin or an outcome is not written: the state the record is in, or what ``start`` says.

    Of a start that is ``limited``, ``limit`` is the key of what it waits for.
    """

    state: str
    limit: str = ""
