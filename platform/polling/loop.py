"""The loop itself: confirm the lease, run a batch, say how long to wait; the same wherever a worker runs."""

from __future__ import annotations

import logging
from typing import ClassVar, Protocol

from platform.polling.errors import LeaseLost
from platform.polling.pace import Pace
from platform.polling.progress import Progress
from platform.polling.tenure import Tenure

log = logging.getLogger(__name__)


class Stop(Protocol):
    """Who is asked to stop, and how it waits meanwhile."""

    @property
    def is_asked(self) -> bool: ...

    def pause(self, seconds: float) -> None:
        """Return after so long, or as soon as it is asked."""


class Poller(Protocol):
    """What is run: a user's class, as ``tasks.polling.BatchWorker`` describes it."""

    name: ClassVar[str]
    instances: ClassVar[int]
    active_s: ClassVar[float]
    idle_s: ClassVar[float]

    def process_batch(self) -> int: ...
    def on_startup(self) -> None: ...
    def on_shutdown(self) -> None: ...
    def on_error(self, exc: Exception) -> None: ...
    def attach(self, tenure: Tenure, stop: Stop) -> None: ...


class Loop:
    """One worker at work in one tenure: ``step`` again and again, then ``finish``."""

    def __init__(self, poller: Poller, tenure: Tenure, stop: Stop, pace: Pace, progress: Progress):
        self._poller, self._tenure, self._stop, self._pace, self._progress = poller, tenure, stop, pace, progress
        self._is_started = False
        self.error: Exception | None = None
        progress.fence, progress.state = tenure.fence, "waiting"
        poller.attach(tenure, stop)

    @property
    def is_over(self) -> bool:
        return self._stop.is_asked or self._tenure.is_told_to_stop

    def run(self) -> None:
        """Until it is asked to stop. Raises LeaseLost."""
        while not self.is_over:
            self.pause(self.step())

    def step(self) -> float:
        """One batch; returns in how many seconds the next one is due. Raises LeaseLost, before a batch or from inside.

        What the batch, or ``on_startup`` before the first, raised is in ``error``.
        """
        self._tenure.confirm()
        self._progress.begin()
        try:
            done = self._batch()
        except LeaseLost:
            raise
        except Exception as exc:  # noqa: BLE001 - the edge of the loop: whatever went wrong may go right in a while
            self.error = exc
            return self._failed(exc)
        self.error = None
        self._progress.did(done)
        return self._pace.after_batch(done)

    def pause(self, seconds: float) -> None:
        """Wait, and raise LeaseLost as soon as it is known."""
        self._stop.pause(seconds)
        self._tenure.check()

    def finish(self) -> bool:
        """``on_shutdown``, if ``on_startup`` was done; False if it raised."""
        if not self._is_started:
            return True
        self._is_started = False
        try:
            self._poller.on_shutdown()
        except Exception:  # the edge of the process: it ends all the same
            log.exception("%s: on_shutdown failed", self._poller.name)
            return False
        return True

    def _batch(self) -> int:
        if not self._is_started:
            self._poller.on_startup()
            self._is_started = True
        done = self._poller.process_batch()
        if not isinstance(done, int) or done < 0:
            raise TypeError(f"process_batch returned {done!r}; return how many it did, 0 if there was nothing to do")
        return done

    def _failed(self, exc: Exception) -> float:
        self._progress.failed(exc)
        wait_s = self._pace.after_error()
        log.error("%s failed; it goes on in %.1f s", self._poller.name, wait_s, exc_info=exc)
        try:
            self._poller.on_error(exc)
        except Exception:  # the edge of the loop: telling of an error must not end it
            log.exception("%s: on_error failed", self._poller.name)
        return wait_s
