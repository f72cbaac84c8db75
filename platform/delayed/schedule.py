"""Keep a message until its time, wake it before, look at it: each one script call in the record store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import redis

from platform import clock, store
from platform.envelope import Envelope, from_text
from platform.jobs.facts import NewJob
from platform.jobs.ledger import Ledger, accepted, ledger
from platform.jobs.records import SHARED_SCRIPT

LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True)
class Kept:
    """A message in the schedule; ``due_ms`` is in milliseconds since 1970."""

    job_id: str
    due_ms: int
    envelope: Envelope


class Schedule:
    """The schedule beside one ledger's records. Safe from any thread; every call may be repeated.

    Raises BrokerUnavailable where the store is away for longer than the ledger's patience.
    """

    def __init__(self, records: Ledger):
        self.records = records
        self.client, self.prefix = records.client, records.prefix

    @cached_property
    def _scripts(self) -> dict[str, Any]:
        return {file.stem: self.client.register_script(SHARED_SCRIPT + file.read_text()) for file in LUA.glob("*.lua")}

    # -- keeping

    def submit(self, job: NewJob, envelope: Envelope) -> str:
        """Record a job with a time to come (``ready_at_ms``) and keep its message, both or neither.

        Returns what ``Ledger.create`` returns; of a job that has ended nothing is kept. Raises NotUnique.
        """
        message = (job.ready_at_ms, envelope.queue, envelope.priority, envelope.as_text())
        return str(accepted(job, *self._call("submit", *message, self.prefix, *self.records.creation(job))))

    def put(self, job_id: str, envelope: Envelope, due_ms: int, held: str = "", tag: str = "", limit: str = "") -> bool:
        """Keep a delivered message until ``due_ms``, or until its job is called under ``limit``; the record stays.

        Where the delivery is under a lease on the record store's server, give its hash and tag
        (``platform.jobs.ledger.Delivery``): it ends in the same call, and if it is not held any more nothing happens
        and the answer is False. Elsewhere acknowledge after this. A copy whose job was retried meanwhile is not kept.
        """
        message = (envelope.queue, envelope.priority, envelope.headers.get("retries") or 0, envelope.as_text())
        return bool(self._call("put", self.prefix, job_id, due_ms, *message, held, tag, limit))

    def wake(self, job_id: str) -> bool:
        """Make a message due now; False if none is kept."""
        return bool(self._call("wake", self.prefix, job_id, clock.now_ms()))

    # -- questions

    def get(self, job_id: str) -> Kept | None:
        """The message kept for a job, or None."""
        with self.client.pipeline() as pipe:
            pipe.zscore(f"{self.prefix}delayed", job_id)
            pipe.hget(f"{self.prefix}delayed:messages", job_id)
            due, value = pipe.execute()
        if due is None or value is None:
            return None
        return Kept(job_id, int(due), envelope_of(value))

    def counts(self) -> dict[str, int]:
        """``waiting`` for a time to come, and ``due``: not yet handed to a queue."""
        key, now = f"{self.prefix}delayed", clock.now_ms()
        with self.client.pipeline() as pipe:
            pipe.zcount(key, f"({now}", "+inf")
            pipe.zcount(key, "-inf", now)
            waiting, due = pipe.execute()
        return {"waiting": waiting, "due": due}

    # -- delivering, for the pump

    def call(self, queue_prefix: str, lease_ttl_ms: int, limit: int) -> float | None:
        """Call whose turn it is under up to ``limit`` of the limits to be looked at now (``limits.lua``).

        ``queue_prefix`` is where heartbeats are, empty if on another server. Returns in how many seconds to look again.
        """
        answer = self._call("call", self.prefix, queue_prefix, lease_ttl_ms, limit)
        return float(answer) / 1000 if answer else None

    def listen(self) -> redis.client.PubSub:
        """A subscription that hears when something is due earlier than was known."""
        heard = self.client.pubsub(ignore_subscribe_messages=True)
        heard.subscribe(f"{self.prefix}delayed")
        return heard

    def move(self, queue_prefix: str, limit: int) -> tuple[int, int | None]:
        """Hand up to ``limit`` due messages to the queues' lists on the same server.

        Returns how many, and when the next one is due.
        """
        moved, following = self._call("move", self.prefix, queue_prefix, clock.now_ms(), limit)
        return int(moved), _whole(following)

    def take(self, limit: int, lease_ms: int) -> tuple[str, list[tuple[str, Envelope]], int | None]:
        """Take up to ``limit`` due messages for ``lease_ms``: ``(lease, [(job id, message)], when the next is due)``.

        Whoever is not told of by ``settle`` within that time is due again.
        """
        # Real times are whole: the half tells a lease from a time that a message was given meanwhile.
        lease = f"{clock.now_ms() + lease_ms}.5"
        following, *found = self._call("take", self.prefix, clock.now_ms(), limit, lease)
        ids, values = found[::2], found[1::2]
        return lease, [(i, envelope_of(v)) for i, v in zip(ids, values, strict=True)], _whole(following)

    def settle(self, lease: str, published: Sequence[str], left: Sequence[str] = ()) -> None:
        """End a lease: forget what was published, make due again at once what was left."""
        self._call("settle", self.prefix, lease, clock.now_ms(), len(published), *published, *left)

    def _call(self, script: str, *arguments: Any) -> Any:
        return store.insist(lambda: self._scripts[script](args=arguments), self.records.patience_s)


@cache
def delayed() -> Schedule:
    """This process's schedule."""
    return Schedule(ledger())


def envelope_of(value: str) -> Envelope:
    """Read what a script kept: queue, priority, deaths and the envelope's text, a line each."""
    queue, _, _, text = value.split("\n", 3)
    return from_text(text, queue)


def _whole(score: Any) -> int | None:
    return int(float(cast(str, score))) if score else None
