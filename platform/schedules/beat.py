"""Celery beat's scheduler class (``beat_scheduler``): ``celery -A platform beat``, as many of them as you like."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler as CeleryScheduler

from platform.errors import BrokerUnavailable
from platform.schedules.conductor import Conductor
from platform.schedules.election import Candidacy
from platform.schedules.entries import Entry
from platform.schedules.register import register

log = logging.getLogger(__name__)

#: While the record store is away it is asked again this often, in seconds.
AWAY_PAUSE_S = 1.0


class Scheduler(CeleryScheduler):
    """Reads ``beat_schedule`` as Celery does, keeps nothing in a file, and leaves the rest to a Conductor."""

    #: What beat writes at its start as the longest it sleeps, in seconds.
    max_interval = 1
    _conductor: Conductor | None = None
    _is_away = False

    def tick(self, *_: Any, **__: Any) -> float:
        """Celery's: what is due is handed out; returns in how many seconds to look again."""
        try:
            pause_s = self.conductor.step()
        except BrokerUnavailable as exc:
            if not self._is_away:
                log.warning("schedules wait until the record store is back: %s", exc)
            self._is_away = True
            return AWAY_PAUSE_S
        except Exception:  # the edge of the loop: beat must outlive whatever a round met
            log.exception("a round of the scheduler failed; it is tried again in %g s", AWAY_PAUSE_S)
            return AWAY_PAUSE_S
        self._is_away = False
        return min(pause_s, self.max_interval)

    @property
    def conductor(self) -> Conductor:
        """Made on first use: before that, beat's own start may not have started the embedded server."""
        if self._conductor is None:
            entries = [Entry(entry) for entry in self.schedule.values()]
            self._conductor = Conductor(self.app, entries, register(), Candidacy(register()))
        return self._conductor

    def should_sync(self) -> bool:
        """There is nothing to be written: every run is kept when it is handed out."""
        return False

    def close(self) -> None:
        """Celery's, at the end of beat: another scheduler acts at once."""
        if self._conductor is None:
            return
        try:
            self._conductor.resign()
        except BrokerUnavailable as exc:
            log.warning("another scheduler acts when this one's lease is over: %s", exc)

    @property
    def info(self) -> str:
        return "    . schedules -> in the record store"
