"""A RabbitMQ worker's side of pausing: it stops consuming from a paused queue, and consumes again once it is resumed.

On Redis none of this is needed: the script that takes messages passes paused queues over.
"""

from __future__ import annotations

import logging
from typing import Any

from platform.queueing.pauses import paused

log = logging.getLogger(__name__)


class Consumption:
    """Which queues of its own a worker does not consume because they are paused.

    ``queues`` is Celery's table: what is selected there is consumed, also after a lost connection.
    """

    INTERVAL_S = 1.0

    def __init__(self, queues: Any):
        self._queues = queues
        self.withheld: set[str] = set()

    def prepare(self, patience_s: float) -> None:
        """Before the first message: select no paused queue. Waits up to ``patience_s`` for a store that is away."""
        for queue in set(paused(patience_s)) & set(self._queues.consume_from):
            self.withheld.add(queue)
            self._queues.deselect(queue)
            log.info("queue %s is paused", queue)

    def follow(self, consumer: Any) -> None:
        """One look at what is paused now, from any thread; a change is made in the consumer's own thread."""
        now = set(paused())
        if now & set(self._queues.consume_from) or self.withheld - now:
            consumer.call_soon(self._apply, consumer, now)

    def _apply(self, consumer: Any, now: set[str]) -> None:
        # The set changes before the connection is used: if that fails, reconnecting does what is left to do.
        for queue in now & set(self._queues.consume_from):
            self.withheld.add(queue)
            if consumer.task_consumer is None:
                self._queues.deselect(queue)
            else:
                consumer.cancel_task_queue(queue)
        for queue in self.withheld - now:
            self.withheld.discard(queue)
            if consumer.task_consumer is None:
                self._queues.select_add(self._queues[queue])
            else:
                consumer.add_task_queue(queue)


#: This worker's; none in other programs, nor on Redis.
_own: list[Consumption] = []


def prepare(queues: Any, patience_s: float) -> None:
    _own.append(Consumption(queues))
    _own[-1].prepare(patience_s)


def own() -> list[Consumption]:
    return _own


def withheld() -> set[str]:
    """Queues this worker serves, but for their pause."""
    return {queue for consumption in _own for queue in tuple(consumption.withheld)}
