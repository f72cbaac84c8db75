"""A worker as a process of its own: ``python -m MODULE``."""

from __future__ import annotations

import logging

import redis

from platform.polling.errors import LeaseLost
from platform.polling.loop import Loop, Poller, Stop
from platform.polling.pace import Pace
from platform.polling.progress import Progress
from platform.polling.register import whoever_holds
from platform.polling.slots import Slots
from platform.polling.tenure import Tenure, now_s, take

log = logging.getLogger(__name__)

#: A standby asks this often for a slot, in seconds: with the lease it is how long a takeover lasts.
STANDBY_S = 1.0
#: A slot whose holder died is free after its lease; ``--once`` waits so much longer, for one that lives in vain.
PATIENCE_S = 2.0


class Foreground:
    """One process: stands by until a slot is free, works until it is asked to stop or loses it, and again."""

    def __init__(self, poller: Poller, slots: Slots, stop: Stop, progress: Progress):
        self.poller, self.slots, self.stop, self.progress = poller, slots, stop, progress
        self._pace = Pace(poller.active_s, poller.idle_s)
        self._said = ""

    def run(self) -> int:
        """Until it is asked to stop; the exit code: 1 if ``on_shutdown`` failed."""
        is_well = True
        while (tenure := self._stand_by()) is not None:
            loop = self._loop(tenure)
            try:
                loop.run()
            except LeaseLost as exc:
                log.warning("%s; this one stands by", exc)
            except KeyboardInterrupt:
                tenure.end()
                raise
            is_well = self._finish(loop, tenure)
        return 0 if is_well else 1

    def run_once(self) -> int:
        """One batch; the exit code: 1 if it failed, or if no slot was free for as long as a dead process holds one."""
        tenure = self._stand_by(self.slots.ttl_s + PATIENCE_S)
        if tenure is None:
            log.error("%s: no slot was free; nothing was done", self.poller.name)
            return 1
        loop = self._loop(tenure)
        try:
            loop.step()
        except LeaseLost as exc:
            loop.error = exc
            log.error("%s", exc)  # noqa: TRY400 - its sentence says all
        except KeyboardInterrupt:
            tenure.end()
            raise
        is_well = self._finish(loop, tenure)
        return 0 if is_well and loop.error is None else 1

    def _loop(self, tenure: Tenure) -> Loop:
        self._said = ""
        log.info("%s has slot %s, fence %s", self.poller.name, tenure.number, tenure.fence)
        return Loop(self.poller, tenure, self.stop, self._pace, self.progress)

    def _finish(self, loop: Loop, tenure: Tenure) -> bool:
        """The slot is given back after ``on_shutdown``: that is work, too."""
        try:
            return loop.finish()
        finally:
            tenure.end()
            self.progress.state, self.progress.fence = "standby", None

    def _stand_by(self, patience_s: float | None = None) -> Tenure | None:
        """A slot as soon as there is one; None once it is asked to stop, or patience is over."""
        began_s = now_s()
        while not self.stop.is_asked:
            found = self._ask()
            if not isinstance(found, str):
                return found
            self._say(found)
            if patience_s is not None and now_s() - began_s > patience_s:
                return None
            self.stop.pause(STANDBY_S)
        return None

    def _ask(self) -> Tenure | str:
        try:
            return take(self.slots, "process", self.progress.as_dict)
        except redis.RedisError as exc:
            return f"the record store is away ({exc})"

    def _say(self, why: str) -> None:
        """Once for each reason, not once a second."""
        self.progress.state = "stopped" if why == "stopped" else "standby"
        if why == self._said:
            return
        self._said = why
        name = self.poller.name
        if why == "held":
            log.info("%s stands by: %s", name, whoever_holds(self.slots))
        elif why == "stopped":
            log.info("%s is stopped; `celery -A platform batch start %s` lets it go on", name, name)
        else:
            log.warning("%s stands by: %s", name, why)
