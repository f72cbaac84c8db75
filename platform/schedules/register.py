"""The register: every schedule there is, each change one script call in the record store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
import redis

from platform import clock, store
from platform.errors import did_you_mean
from platform.jobs.ledger import ledger
from platform.jobs.records import SHARED_SCRIPT
from platform.leases.scripts import Script, run
from platform.schedules.definition import Definition
from platform.schedules.errors import (
    ChangedMeanwhile,
    NameTaken,
    ScheduleConflict,
    TooManySchedules,
    UnknownSchedule,
)
from platform.schedules.schedule import Schedule, from_hash

LUA = Path(__file__).parent / "lua"
PRELUDE = SHARED_SCRIPT + (LUA / "schedule.lua").read_text()
SCRIPTS = {file.stem: Script(PRELUDE + file.read_text()) for file in LUA.glob("*.lua") if file.stem != "schedule"}
SEPARATOR = "\x1f"
MOST_OF_ONE_OWNER = 1000
AS_BEFORE, NEVER = "-", ""


@dataclass(frozen=True)
class Page:
    items: list[Schedule]
    total: int


class Register:
    """Schedules in one store. Raises BrokerUnavailable where it is away."""

    def __init__(self, client: redis.Redis, prefix: str):
        self.client, self.prefix = client, prefix

    # -- changes

    def add(self, schedule_id: str, definition: Definition, is_paused: bool = False) -> Schedule:
        """Keep a new schedule; its first run is the first time from now on. Raises NameTaken, TooManySchedules."""
        following = NEVER if is_paused else _score(definition.timing.after(clock.now_ms()))
        self.write(schedule_id, "", definition, following, "1" if is_paused else "")
        return self.get(schedule_id)

    def change(self, before: Schedule, definition: Definition, is_paused: bool | None = None) -> Schedule:
        """Put another definition in the place of one that was read, paused as before (None) or otherwise.

        Its next run is the first time from now on where its times are others, or its pause is over.
        Raises UnknownSchedule, NameTaken, ChangedMeanwhile.
        """
        is_paused = before.is_paused if is_paused is None else is_paused
        if is_paused:
            following = NEVER
        elif not before.is_paused and definition.is_timed_as(before.definition):
            following = AS_BEFORE
        else:
            following = _score(definition.timing.after(clock.now_ms()))
        self.write(before.id, before.revision, definition, following, "1" if is_paused else "")
        return self.get(before.id)

    def pause(self, before: Schedule) -> Schedule:
        """Let it make no runs until it is resumed. One that is paused stays as it is."""
        return before if before.is_paused else self._steer(before, NEVER, "1")

    def resume(self, before: Schedule, following_ms: int | None) -> Schedule:
        """Let it make runs again, from that time on; those of the pause are not made up."""
        return self._steer(before, _score(following_ms), "") if before.is_paused else before

    def remove(self, schedule: Schedule, term: str = "") -> None:
        """Forget it; the jobs it made stay. Raises UnknownSchedule."""
        if self.call("remove", schedule.id, schedule.definition.owner, term) == "gone":
            raise UnknownSchedule(schedule.id)

    def write(
        self, schedule_id: str, revision: str, definition: Definition, following: str, paused: str, term: str = ""
    ) -> None:
        """Keep a schedule as ``write.lua`` says."""
        name = f"{definition.owner or definition.source}{SEPARATOR}{definition.name}"
        kept = (name, msgspec.json.encode(definition), following, definition.created_ms, definition.owner)
        most = MOST_OF_ONE_OWNER if definition.owner else 1_000_000
        verdict = self.call("write", schedule_id, revision, *kept, most, paused, term)
        refusals: dict[str, ScheduleConflict | UnknownSchedule] = {
            "taken": NameTaken(definition.name),
            "full": TooManySchedules(MOST_OF_ONE_OWNER),
            "changed": ChangedMeanwhile(schedule_id),
            "gone": UnknownSchedule(schedule_id),
        }
        if verdict in refusals:
            raise refusals[verdict]

    def _steer(self, before: Schedule, following: str, paused: str) -> Schedule:
        self.write(before.id, before.revision, before.definition, following, paused)
        return self.get(before.id)

    # -- questions

    def get(self, schedule_id: str) -> Schedule:
        """Raises UnknownSchedule."""
        fields = store.insist(lambda: self.client.hgetall(self._key(schedule_id)), 0)
        if not fields:
            raise UnknownSchedule(schedule_id)
        return from_hash(schedule_id, cast(dict[str, str], fields))

    def named(self, name_or_id: str) -> Schedule:
        """The schedule with that id, or the only one of that name. Raises UnknownSchedule, ScheduleConflict."""
        names = cast(dict[str, str], store.insist(lambda: self.client.hgetall(f"{self.prefix}schedules:names"), 0))
        if name_or_id in names.values():
            return self.get(name_or_id)
        found = [schedule_id for name, schedule_id in names.items() if name.partition(SEPARATOR)[2] == name_or_id]
        if not found:
            known = [name.partition(SEPARATOR)[2] for name in names]
            raise UnknownSchedule(name_or_id, did_you_mean(name_or_id, known))
        if len(found) > 1:
            raise ScheduleConflict(f"{len(found)} schedules are called {name_or_id!r}; give the id of one")
        return self.get(found[0])

    def page(self, owner: str | None = None, offset: int = 0, limit: int = 50) -> Page:
        """The newest first; of one owner, or all."""
        key = f"{self.prefix}schedules" if owner is None else f"{self.prefix}schedules:owner:{owner}"
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zcard(key)
            pipe.zrevrange(key, offset, offset + limit - 1) if limit else pipe.zrevrange(key, 1, 0)
            total, ids = store.insist(pipe.execute, 0)
        return Page(self.get_many(ids), total)

    def get_many(self, ids: Sequence[str]) -> list[Schedule]:
        """Those of them that are there."""
        with self.client.pipeline(transaction=False) as pipe:
            for schedule_id in ids:
                pipe.hgetall(self._key(schedule_id))
            found = store.insist(pipe.execute, 0) if ids else []
        return [from_hash(schedule_id, fields) for schedule_id, fields in zip(ids, found, strict=True) if fields]

    def due(self, now_ms: int, limit: int) -> list[str]:
        """Up to ``limit`` ids of those that are due, who waits longest first."""
        key = f"{self.prefix}schedules:due"
        return store.insist(lambda: cast(list[str], self.client.zrangebyscore(key, "-inf", now_ms, 0, limit)), 0)

    def next_due_ms(self) -> int | None:
        """When the first of all is due."""
        key = f"{self.prefix}schedules:due"
        found = cast(list[Any], store.insist(lambda: self.client.zrange(key, 0, 0, withscores=True), 0))
        return int(found[0][1]) if found else None

    def counts(self, late_ms: int) -> dict[str, int]:
        """``active`` and ``paused`` ones, and how many of the active are ``overdue``, by more than ``late_ms``."""
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zcard(f"{self.prefix}schedules")
            pipe.zcard(f"{self.prefix}schedules:due")
            pipe.zcount(f"{self.prefix}schedules:due", "-inf", clock.now_ms() - late_ms)
            every, active, overdue = store.insist(pipe.execute, 0)
        return {"active": active, "paused": every - active, "overdue": overdue}

    def metrics(self) -> dict[str, int]:
        """Runs by what became of them, of all schedules that ever were."""
        found = cast(dict[str, str], store.insist(lambda: self.client.hgetall(f"{self.prefix}metrics:schedules"), 0))
        return {outcome: int(count) for outcome, count in found.items()}

    # -- plumbing

    def call(self, script: str, *arguments: Any) -> Any:
        """Run one of the scripts; its first argument is the prefix."""
        return store.insist(lambda: run(self.client, SCRIPTS[script], args=[self.prefix, *arguments]), 0)

    def _key(self, schedule_id: str) -> str:
        return f"{self.prefix}schedule:{schedule_id}"


@cache
def register() -> Register:
    """This process's register."""
    return Register(ledger().client, ledger().prefix)


def _score(moment_ms: int | None) -> str:
    return NEVER if moment_ms is None else str(moment_ms)
