"""How fast jobs come and go, from what every transition counts per ten seconds (``tally`` in ``index.lua``)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from platform import store

# Those of ``index.lua``.
SLOT_S = 10
SEPARATOR = "\x1f"
#: The slot that is being counted and the five before it: the last 50 to 60 seconds.
SLOTS = 6


@dataclass(frozen=True)
class Rates:
    """Jobs per second over the last minute: submitted, ended whatever the outcome, and of those the failed ones.

    A job that is to run later counts as submitted when it is submitted.
    """

    in_per_s: float = 0.0
    out_per_s: float = 0.0
    failed_per_s: float = 0.0


def rates(queues: Iterable[str]) -> dict[str, Rates]:
    """The rates of each queue; one round trip. Raises BrokerUnavailable."""
    now = time.time()
    latest = int(now // SLOT_S)
    counts = _counted(range(latest - SLOTS + 1, latest + 1))
    elapsed_s = now - (latest - SLOTS + 1) * SLOT_S
    return {queue: _rates(queue, counts, elapsed_s) for queue in queues}


def _counted(slots: Iterable[int]) -> Counter[str]:
    with store.client().pipeline(transaction=False) as pipe:
        for slot in slots:
            pipe.hgetall(f"{store.key_prefix()}queues:tally:{slot}")
        found = store.insist(pipe.execute, 0)
    counts: Counter[str] = Counter()
    for fields in found:
        counts.update({field: int(count) for field, count in fields.items()})
    return counts


def _rates(queue: str, counts: Counter[str], elapsed_s: float) -> Rates:
    submitted, completed, failed, cancelled = (
        counts[f"{queue}{SEPARATOR}{what}"] for what in ("submitted", "completed", "failed", "cancelled")
    )
    per_s = [round(count / elapsed_s, 3) for count in (submitted, completed + failed + cancelled, failed)]
    return Rates(*per_s)
