"""A worker on a queue: one job each slot, whose runs are slices of the loop.

A run ends when its minute is over, when there is nothing to do for a while, or when its Celery worker stops, and comes
again by its job's retry, through the durable schedule: no slot of a Celery worker is held for ever.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass

from platform.errors import PlatformError
from platform.polling.errors import LeaseLost
from platform.polling.loop import Loop, Poller
from platform.polling.pace import Pace
from platform.polling.progress import Progress
from platform.polling.register import own_slots, whoever_holds
from platform.polling.tenure import Tenure, now_s, take

SLICE_S = 60.0
#: A longer wait for the next batch is spent in the schedule, and the Celery worker does something else meanwhile.
LONGEST_WAIT_S = 1.0
#: How often a job without a free slot asks for one, in seconds; with the lease it is how long a takeover lasts.
STANDBY_S = 2.0
LOOK_S = 0.2

#: Shared with the pool's children, which are forked after it was made: 1 once their Celery worker is to stop.
_leaving = mmap.mmap(-1, 1)


def leave() -> None:
    """The Celery worker is to stop: its slices end after the batch under way."""
    _leaving[0] = 1


class Resting(PlatformError):
    """No failure: why a run ended, which its job shows until the next one."""


class BatchFailed(PlatformError):
    """A batch raised: its error's class and message.

    Not that error itself, which may say that a job is never to be tried again, or not often: a worker's always is.
    """


@dataclass(frozen=True)
class Again:
    """The job is to run again in so many seconds."""

    in_s: float
    why: Exception


class SliceStop:
    def __init__(self, is_cancelled: Callable[[], bool]):
        self._is_cancelled = is_cancelled

    @property
    def is_asked(self) -> bool:
        return _leaving[0] == 1 or self._is_cancelled()

    def pause(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0 and not self.is_asked:
            time.sleep(min(left, LOOK_S))


def run_slice(poller: Poller, pace: Pace, stop: SliceStop) -> Again | None:
    """One run; None: the job is over, as the worker was stopped or its lease lost (a duty starts another)."""
    progress, slots = Progress(poller.name), own_slots(poller)
    tenure = take(slots, "job", progress.as_dict)
    if isinstance(tenure, str):
        return None if tenure == "stopped" else Again(STANDBY_S, Resting(f"it stands by: {whoever_holds(slots)}"))
    loop = Loop(poller, tenure, stop, pace, progress)
    try:
        return _work(loop, tenure)
    except LeaseLost:
        return None
    finally:
        loop.finish()
        tenure.end()


def _work(loop: Loop, tenure: Tenure) -> Again | None:
    ends_at_s = now_s() + SLICE_S
    while not loop.is_over:
        wait_s = loop.step()
        if loop.error is not None:
            return Again(wait_s, BatchFailed(f"{type(loop.error).__name__}: {loop.error}"))
        if wait_s > LONGEST_WAIT_S:
            return Again(wait_s, Resting("there was nothing to do"))
        if now_s() > ends_at_s:
            return Again(0, Resting("its turn was over"))
        loop.pause(wait_s)
    return None if tenure.is_told_to_stop else Again(0, Resting("its Celery worker stops"))
