"""What a scheduler does: stand for election and, while it acts, hand out the runs that are due."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import redis

from platform import clock
from platform.errors import BrokerUnavailable
from platform.schedules.definition import Definition
from platform.schedules.election import LOOK_S, Candidacy
from platform.schedules.entries import Entry
from platform.schedules.errors import ScheduleConflict, UnknownSchedule
from platform.schedules.firing import Firing
from platform.schedules.missed import Plan, plan
from platform.schedules.owners import is_active
from platform.schedules.register import AS_BEFORE, NEVER, Register
from platform.schedules.schedule import Schedule
from platform.schedules.timing import Foreign, Timing
from platform.serialization import encodable

log = logging.getLogger(__name__)

BATCH = 100
PAGE = 500
#: A schedule that was added or changed is noticed after this long at most, in seconds; one already known is on time.
POLL_S = 0.5
MOST_ERROR_CHARS = 500


class Conductor:
    """``entries`` are those of the modules of this process."""

    def __init__(self, app: Any, entries: Iterable[Entry], register: Register, candidacy: Candidacy):
        self.app, self.register, self.candidacy = app, register, candidacy
        self.entries = {entry.id: entry for entry in entries}
        self._term = ""

    def step(self) -> float:
        """Hand out each run that is due; returns in how many seconds to look again. Raises BrokerUnavailable."""
        if not self.candidacy.is_acting():
            return LOOK_S
        if self._term != self.candidacy.term:
            self._enrol()
            self._term = self.candidacy.term
            log.info("this scheduler acts, in term %s", self._term.split(" ", 1)[0])
        moved = 0
        for schedule_id in self.register.due(clock.now_ms(), BATCH):
            # Between any two: a round may take longer than the lease.
            if not self.candidacy.is_acting() or self.candidacy.term != self._term:
                return 0.0
            moved += self._attend(schedule_id)
        return self._pause_s(moved)

    def resign(self) -> None:
        """Let another scheduler act at once."""
        self.candidacy.resign()

    def _pause_s(self, moved: int) -> float:
        following_ms = self.register.next_due_ms()
        if following_ms is None:
            return POLL_S
        wait_s = (following_ms - clock.now_ms()) / 1000
        # One that is due and was not moved on, whatever is wrong with it, must not be looked at without a rest.
        return max(0.0, min(POLL_S, wait_s)) if moved or wait_s > 0 else POLL_S

    def _attend(self, schedule_id: str) -> bool:
        """Do what is to be done about one that is due; whether it moved on."""
        try:
            schedule = self.register.get(schedule_id)
            if schedule.next_ms is None or schedule.is_paused:
                return False
            return self._run(schedule, clock.now_ms())
        except UnknownSchedule:
            return False
        except BrokerUnavailable:
            raise
        except Exception:  # the edge of the loop: one schedule that cannot be read must not stop the others
            log.exception("schedule %s could not be attended to", schedule_id)
            return False

    def _run(self, schedule: Schedule, now_ms: int) -> bool:
        definition, due_ms = schedule.definition, schedule.next_ms or 0
        entry = self.entries.get(schedule.id)
        timing = entry.timing(definition) if entry else definition.timing
        if isinstance(timing, Foreign):
            what = _plan_of_foreign(timing, schedule, now_ms)
        else:
            what = plan(timing, due_ms, now_ms, definition.missed)
        if what.run_ms is None:
            return self._pass(schedule, what)
        if definition.owner and not is_active(definition.owner):
            return self._pass(schedule, what, "failed", "its owner's account is disabled or gone")
        return self._fire(schedule, what, entry)

    def _fire(self, schedule: Schedule, what: Plan, entry: Entry | None) -> bool:
        try:
            outcome = Firing(self.register, schedule, what, self._term).publish(self.app, entry)
        except (BrokerUnavailable, redis.RedisError):
            raise  # no fault of the schedule's: it stays due
        except Exception as exc:  # noqa: BLE001 - whatever the app refuses a job with, the schedule goes on and says why
            log.warning("schedule %s (%s) made no job: %r", schedule.id, schedule.definition.name, exc)
            return self._pass(schedule, what, "failed", encodable(f"{type(exc).__name__}: {exc}"))
        if outcome.verdict == "deposed":
            self.candidacy.step_down()
        log.debug("schedule %s: %s, job %s", schedule.id, outcome.verdict, outcome.job_id)
        return outcome.verdict in ("fired", "overlapped", "not_unique")

    def _pass(self, schedule: Schedule, what: Plan, outcome: str = "", error: str = "") -> bool:
        following = NEVER if what.following_ms is None else what.following_ms
        about = (self._term, schedule.id, schedule.revision, schedule.next_ms, following)
        verdict = self.register.call("pass", *about, what.missed, outcome, error[:MOST_ERROR_CHARS])
        if verdict == "deposed":
            self.candidacy.step_down()
        return bool(verdict == "passed")

    # -- what modules say

    def _enrol(self) -> None:
        """Bring the register to what the modules of this process say."""
        term, now_ms = self.candidacy.term, clock.now_ms()
        kept = {schedule.id: schedule for schedule in self._written_in_code()}
        for schedule_id in kept.keys() - self.entries.keys():
            self.register.remove(kept[schedule_id], term)
        for entry in self.entries.values():
            before = kept.get(entry.id)
            definition = entry.definition(now_ms, before.definition if before else None)
            if before is None or before.definition != definition:
                self._keep(entry, before, definition, now_ms)

    def _keep(self, entry: Entry, before: Schedule | None, definition: Definition, now_ms: int) -> None:
        is_timed_alike = before is not None and before.definition.is_timed_as(definition)
        following: Any = AS_BEFORE
        if not is_timed_alike and not (before and before.is_paused):
            following = _first(entry.timing(definition), now_ms)
        revision, paused = (before.revision, AS_BEFORE) if before else ("", "")
        try:
            self.register.write(entry.id, revision, definition, following, paused, self.candidacy.term)
        except ScheduleConflict as exc:
            log.warning("beat_schedule[%r] is left as it was: %s", definition.name, exc)

    def _written_in_code(self) -> Iterable[Schedule]:
        offset = 0
        while items := self.register.page("", offset, PAGE).items:
            yield from (schedule for schedule in items if schedule.definition.source == "code")
            offset += PAGE


def _plan_of_foreign(timing: Foreign, schedule: Schedule, now_ms: int) -> Plan:
    """As Celery's beat does it: asked when it said to be asked again, with when it ran last."""
    is_due, seconds = timing.ask(schedule.last_run_ms or schedule.definition.created_ms)
    return Plan(schedule.next_ms if is_due else None, now_ms + max(1, int(seconds * 1000)), 0)


def _first(timing: Timing, now_ms: int) -> str:
    following_ms = timing.after(now_ms)
    return NEVER if following_ms is None else str(following_ms)
