"""Jobs' records, as they are read: one, many, a page of a list, how many, and for how long they have waited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import redis

from platform import store
from platform.errors import UnknownJob
from platform.jobs.record import Job, from_hash
from platform.jobs.states import State
from platform.settings import Settings

LUA = Path(__file__).parent / "lua"
SHARED = ("index", "limits")
#: The functions every script begins with; those of ``platform.delayed`` too.
SHARED_SCRIPT = "".join((LUA / f"{name}.lua").read_text() for name in SHARED)
# Looking a member up costs a script about 3 µs; this many keep the server's other clients waiting some 60 ms at most.
MOST_PROBES = 20_000
OLDEST_LOOKED_AT = 50


@dataclass(frozen=True)
class Page:
    """One page of a list; ``is_exact`` False means ``total`` is a lower bound."""

    items: list[Job]
    total: int
    is_exact: bool = True


class Records:
    """Records in one store; every question is one round trip, ``oldest_pending`` two."""

    def __init__(self, client: redis.Redis, config: Settings):
        self.client = client
        self.prefix = store.key_prefix(config)

    @cached_property
    def _scripts(self) -> dict[str, Any]:
        files = [file for file in LUA.glob("*.lua") if file.stem not in (*SHARED, "many")]
        return {file.stem: self.client.register_script(SHARED_SCRIPT + file.read_text()) for file in files}

    def channel(self, job_id: str) -> str:
        """The pub/sub channel that carries a job's new state after each transition; also its record's key."""
        return f"{self.prefix}job:{job_id}"

    def get(self, job_id: str) -> Job:
        """Raises UnknownJob."""
        return self.get_with_revision(job_id)[0]

    def get_with_revision(self, job_id: str) -> tuple[Job, int]:
        """The job, and how often it was announced on its channel: of two readings the one with more is newer.

        0 of a record written before there were revisions. A record made anew (after ``withdraw``, or by the replay of
        a dead letter that outlived it) begins at 1 again. Raises UnknownJob.
        """
        fields = cast(dict[str, str], self.client.hgetall(self.channel(job_id)))
        if "state" not in fields:
            raise UnknownJob(job_id)
        return from_hash(job_id, fields), int(fields.get("revision", 0))

    def get_many(self, job_ids: Sequence[str]) -> list[Job]:
        """Those of the ids that are known, in their order; one round trip."""
        with self.client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hgetall(self.channel(job_id))
            found = pipe.execute()
        return [from_hash(i, f) for i, f in zip(job_ids, found, strict=True) if "state" in f]

    def list(
        self,
        *,
        state: State | None = None,
        queue: str | None = None,
        task: str | None = None,
        owner: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> Page:
        """Jobs that match everything given, newest first."""
        states = [state] if state else list(State)
        sets = {"queue": queue, "task": task, "owner": owner}
        dimensions = [f"jobs:{name}:{value}" for name, value in sets.items() if value is not None] or ["jobs"]
        keys = [f"{self.prefix}{dimension}:{s}" for s in states for dimension in dimensions]
        if len(dimensions) == 1:
            total, *ids = self._scripts["list"](args=[offset, limit, *keys])
            return Page(self.get_many(ids), int(total))
        arguments = [offset, limit, MOST_PROBES, len(dimensions), *keys]
        total, exact, *ids = self._scripts["intersect"](args=arguments)
        return Page(self.get_many(ids), int(total), bool(exact))

    def counts(self, queues: Iterable[str] = ()) -> dict[str, dict[str, int]]:
        """Jobs by state: of each queue named, and under ``""`` of all."""
        names = ["", *queues]
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                for state in State:
                    pipe.zcard(f"{self.prefix}jobs:{state}" if not name else f"{self.prefix}jobs:queue:{name}:{state}")
            sizes = iter(pipe.execute())
        return {name: {state.value: next(sizes) for state in State} for name in names}

    def oldest_pending(self, queues: Iterable[str]) -> dict[str, float | None]:
        """Since when the longest waiting job of each queue is ready, in seconds since 1970; None where none waits.

        It is looked for among the first created, so that one that was delayed for days has not waited for days.
        """
        names = list(queues)
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zrange(f"{self.prefix}jobs:queue:{name}:{State.PENDING}", 0, OLDEST_LOOKED_AT - 1)
            found = pipe.execute()
            for job_id in (job_id for ids in found for job_id in ids):
                pipe.hget(self.channel(job_id), "ready_at")
            times = iter(pipe.execute())
        ready = {name: [at for at in islice(times, len(ids)) if at] for name, ids in zip(names, found, strict=True)}
        return {name: min(map(int, times)) / 1000 if times else None for name, times in ready.items()}

    def metrics(self, name: Literal["jobs", "wait", "run", "lateness"]) -> dict[str, str]:
        """Counters by their labels, joined with U+001F; of the times also a bucket's number, or ``sum`` in ms."""
        return cast(dict[str, str], self.client.hgetall(f"{self.prefix}metrics:{name}"))
