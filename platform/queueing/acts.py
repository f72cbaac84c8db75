"""What an operator may do to queues, each act with its line in the audit trail.

HTTP and the command line are thin over these. Raises what the acts themselves raise, and DatabaseUnavailable before
anything is done.
"""

from __future__ import annotations

from collections.abc import Sequence

from platform import trail
from platform.limits import checked_concurrency, interval_ms
from platform.queueing import limits, pauses


def pause(queues: Sequence[str], actor: str) -> None:
    for queue in pauses.checked(queues):
        with trail.recorded(actor, "queue.pause", queue):
            pauses.pause([queue], actor)


def resume(queues: Sequence[str], actor: str) -> None:
    for queue in pauses.checked(queues):
        with trail.recorded(actor, "queue.resume", queue):
            pauses.resume([queue], actor)


def limit(queue: str, concurrency: int | None, rate: str | None, actor: str) -> None:
    """The line has the limits before and after."""
    pauses.checked([queue])
    checked_concurrency(concurrency), interval_ms(rate)
    former = limits.limits().get(queue)
    before = {"concurrency": former.concurrency, "rate": former.rate} if former else None
    after = {"concurrency": concurrency, "rate": rate}
    with trail.recorded(actor, "queue.limit", queue, {"before": before, "after": after}):
        limits.limit(queue, concurrency, rate, actor)
