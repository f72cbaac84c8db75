"""Background duties of a worker's main process: one thread, each duty a step with an interval.

A step is short, safe to run in every worker at once, and may fail: the next round tries again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from platform.jobs.ledger import ledger

log = logging.getLogger(__name__)

SWEEP_BATCH = 500


@dataclass
class Duty:
    """``step`` is called every ``interval_s`` seconds, in the duties' thread."""

    name: str
    interval_s: float
    step: Callable[[], Any]
    due_at: float = field(default=0.0)


def forget_old_jobs() -> None:
    """Forget records past their retention, a batch at a time, until none is due."""
    while ledger().sweep(SWEEP_BATCH) == SWEEP_BATCH:
        continue


class Duties(threading.Thread):
    """Runs the duties until ``stop()``; a daemon, so that it never holds up a worker's exit."""

    def __init__(self, duties: list[Duty]):
        super().__init__(name="platform-duties", daemon=True)
        self.duties = duties
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            for duty in self.duties:
                if time.monotonic() >= duty.due_at:
                    self._do(duty)
            self._stopping.wait(max(0.05, min(duty.due_at for duty in self.duties) - time.monotonic()))

    def _do(self, duty: Duty) -> None:
        duty.due_at = time.monotonic() + duty.interval_s
        try:
            duty.step()
        except Exception:  # the edge of the loop: a duty that failed now may succeed in a while
            log.warning("duty %s failed; it is tried again in %s s", duty.name, duty.interval_s, exc_info=True)

    def stop(self) -> None:
        self._stopping.set()


_running: list[Duties] = []


def begin(worker: Any) -> None:
    """Start this worker's duties; called once it is ready."""
    from platform.registry import Beacon

    beacon = Beacon(worker)
    duties = Duties(
        [
            Duty("heartbeat", beacon.INTERVAL_S, beacon.beat),
            Duty("retention", 30.0, forget_old_jobs),
        ]
    )
    _running.append(duties)
    duties.start()


def end() -> None:
    while _running:
        _running.pop().stop()
