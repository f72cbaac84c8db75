"""Everything there is to know of a queue at one moment, as its users see it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from platform import registry
from platform.jobs.ledger import ledger
from platform.queueing.depth import Depth, depths
from platform.queueing.limits import QueueLimits, limited, limits
from platform.queueing.pauses import Pause, paused
from platform.queueing.rates import Rates, rates
from platform.queues import known, names
from platform.settings import settings
from platform.store import insist


@dataclass(frozen=True)
class QueueNow:
    """One queue now.

    ``depth`` counts messages waiting for a worker, ``by_priority`` splits it ("9" to "0"; None on RabbitMQ);
    ``running``, ``scheduled`` and ``retrying`` count jobs, ``limited`` those that wait for their turn under a limit,
    their task's or the queue's; ``limits`` are the queue's own, None without any; ``oldest_age_s`` is the age of the
    job that waits longest, None where none waits; ``consumers`` are the workers serving it, also while it is paused.
    """

    name: str
    paused: bool
    paused_at: str | None
    paused_by: str | None
    depth: int
    by_priority: dict[str, int] | None
    running: int
    scheduled: int
    retrying: int
    limited: int
    limits: dict[str, Any] | None
    oldest_age_s: float | None
    rates: Rates
    consumers: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def queue_now(name: str) -> QueueNow:
    """Raises UnknownQueue, BrokerUnavailable."""
    return queues_now([known(name, settings())])[0]


def queues_now(wanted: Sequence[str] | None = None) -> list[QueueNow]:
    """The queues named, or every one there is; a handful of round trips however many. Raises BrokerUnavailable."""
    found = names(settings()) if wanted is None else list(wanted)
    counts, oldest = insist(lambda: (ledger().counts(found), ledger().oldest_pending(found)), 0)
    pauses, waiting, speeds = paused(), depths(found), rates(found)
    holding_back, held_back = limits(), limited(found)
    serving = insist(registry.workers, 0)
    return [
        _assembled(
            name,
            pauses.get(name),
            waiting[name],
            counts[name] | {"limited": held_back[name]},
            holding_back.get(name),
            oldest[name],
            speeds[name],
            serving,
        )
        for name in found
    ]


def _assembled(
    name: str,
    pause: Pause | None,
    depth: Depth,
    counts: dict[str, int],
    own: QueueLimits | None,
    oldest: float | None,
    speed: Rates,
    workers: list[dict[str, Any]],
) -> QueueNow:
    return QueueNow(
        name=name,
        paused=pause is not None,
        paused_at=pause.paused_at if pause else None,
        paused_by=pause.paused_by if pause else None,
        depth=depth.total,
        by_priority=depth.by_priority,
        running=counts["running"],
        scheduled=counts["scheduled"],
        retrying=counts["retrying"],
        limited=counts["limited"],
        limits=own.as_dict() if own else None,
        oldest_age_s=None if oldest is None else round(max(0.0, time.time() - oldest), 1),
        rates=speed,
        consumers=[worker["name"] for worker in workers if name in worker["queues"]],
    )
