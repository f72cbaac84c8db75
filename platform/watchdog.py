"""The watchdog: ends a worker that is alive and does nothing, so that whoever supervises it starts another.

Two ways to be so have been seen: the event loop hangs (a signal's receiver, a lock), or it turns, and after a
reconnection nothing asks the broker for messages any more (celery issues 8030, 9054, 10205). A worker whose broker is
away, or that is busy with all it can run, is neither.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.worker import state

from platform.leases.channel import LeasedChannel
from platform.leases.worker import slots

log = logging.getLogger(__name__)

TICK_S = 1.0
#: A software error, of ``sysexits.h``.
EXIT_CODE = 70


class Watchdog:
    """``tick`` is called by the event loop, ``check`` by the duties' thread; ``patience_s`` of nothing end it."""

    def __init__(self, patience_s: float, broker_answers: Callable[[], bool], end: Callable[[], None] | None = None):
        self.patience_s = patience_s
        self._broker_answers = broker_answers
        self._end = end or end_process
        self._consumer: Any = None
        self._ticked_at: float | None = None
        self._suspected_since: float | None = None

    def arm(self, consumer: Any) -> None:
        """Watch this consumer; again after each of its restarts."""
        self._consumer = consumer
        if consumer.hub is not None:  # other pools run tasks in the loop itself: there it may well stand still
            self.tick()
            consumer.hub.call_repeatedly(TICK_S, self.tick)

    def tick(self) -> None:
        self._ticked_at = time.monotonic()

    def check(self) -> None:
        """A duty: end the worker if something has been wrong for ``patience_s`` while the broker answered."""
        problem = self._problem()
        if problem is None or not self._broker_answers():
            self._suspected_since = None
            return
        now = time.monotonic()
        self._suspected_since = self._suspected_since or now
        if now - self._suspected_since >= self.patience_s:
            log.critical("this worker %s; it ends, so that another takes its place", problem)
            self._end()

    def _problem(self) -> str | None:
        if self._consumer is None or state.should_stop is not None or state.should_terminate is not None:
            return None
        now = time.monotonic()
        if self._ticked_at is not None and now - self._ticked_at > self.patience_s:
            return f"has an event loop that stood still for {now - self._ticked_at:.0f} s"
        if self._is_deaf(now):
            return f"has free slots and has not asked its broker for {now - LeasedChannel.asked_at:.0f} s"
        return None

    def _is_deaf(self, now: float) -> bool:
        has_asked = LeasedChannel.asked_at > 0
        is_free = len(state.reserved_requests) < slots(self._consumer)
        consumes = bool(self._consumer.task_consumer and self._consumer.task_consumer.queues)
        return has_asked and is_free and consumes and now - LeasedChannel.asked_at > self.patience_s


def end_process() -> None:
    """End at once, saying where every thread stood; children end with their parent, the lease gives back the rest."""
    with suppress(Exception):  # Celery puts a logger in place of stderr; whatever is there, the process ends
        faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
    os._exit(EXIT_CODE)
