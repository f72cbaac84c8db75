"""A queue's own limits: so many of its jobs at once, so many begun in a time, whatever their tasks, over all workers.

Kept in the record store, where every start looks, so that they hold from the call on, for workers that start later and
over restarts of everything. Jobs that run already are not counted. A job over a limit waits as one over its task's
does (``platform.limits``); a higher limit, or none any more, calls those that wait at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from platform import store
from platform.jobs.records import SHARED_SCRIPT
from platform.leases.scripts import Script, run
from platform.limits import checked_concurrency, interval_ms
from platform.queueing.pauses import checked, now_text

log = logging.getLogger(__name__)

LIMIT = Script(SHARED_SCRIPT + (Path(__file__).parent / "lua" / "limit.lua").read_text())


@dataclass(frozen=True)
class QueueLimits:
    """None is any number at once, or any rate; ``rate`` is as it was given (``10/s``), ``set_at`` ISO 8601 in UTC."""

    concurrency: int | None
    rate: str | None
    set_at: str
    set_by: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def limits() -> dict[str, QueueLimits]:
    """Those of each queue that has some. Raises BrokerUnavailable."""
    found = store.insist(lambda: store.client().hgetall(f"{store.key_prefix()}queues:limits"), 0)
    return {queue: _read(text) for queue, text in cast(dict[str, str], found).items()}


def limit(queue: str, concurrency: int | None, rate: str | None, by: str) -> None:
    """Give a queue these limits instead of those it has; None and None are no limits.

    Safe to repeat. Raises BadLimit, UnknownQueue, QueueNotServed, BrokerUnavailable.
    """
    checked([queue])
    most, every_ms = checked_concurrency(concurrency), interval_ms(rate)
    kept = QueueLimits(concurrency, rate, now_text(), by)
    value = f"{most} {every_ms:.3f} {msgspec.json.encode(kept).decode()}" if most or every_ms else ""
    store.insist(lambda: run(store.client(), LIMIT, args=[store.key_prefix(), queue, value]), 0)
    log.info("queue %s has these limits from %s: %s at once, rate %s", queue, by, concurrency, rate)


def limited(queues: Sequence[str]) -> dict[str, int]:
    """How many jobs of each queue wait under some limit, their task's or the queue's. Raises BrokerUnavailable."""
    with store.client().pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.scard(f"{store.key_prefix()}limited:{queue}")
        return dict(zip(queues, store.insist(pipe.execute, 0), strict=True))


def _read(text: str) -> QueueLimits:
    return msgspec.json.decode(text.split(" ", 2)[2], type=QueueLimits)
