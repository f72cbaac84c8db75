"""The ledger: every transition of every job, each one script call, and every question about them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import redis

from platform import store
from platform.errors import UnknownJob
from platform.jobs.record import Job, from_hash
from platform.jobs.states import MAY_COME_FROM, State
from platform.leases.scripts import Script, run
from platform.settings import Settings, settings

LUA = Path(__file__).parent / "lua"
ANY_ATTEMPT = ""
# Looking a member up costs a script about 3 µs; this many keep the server's other clients waiting some 60 ms at most.
MOST_PROBES = 20_000


@dataclass(frozen=True)
class Delivery:
    """How a message came: ``held`` is the hash that records it under ``tag`` while its worker is alive, or empty."""

    held: str
    tag: str
    is_redelivered: bool


@dataclass(frozen=True)
class NewJob:
    """What a message says about its job; times in milliseconds since 1970."""

    job_id: str
    task: str
    queue: str
    priority: int
    owner: str = ""
    app_id: str = ""
    parent_id: str = ""
    max_retries: int | None = None
    retries: int = 0
    is_replacement: bool = False
    ready_at_ms: int | None = None
    delivery: Delivery | None = None

    def fields(self, now_ms: int) -> dict[str, Any]:
        return {
            "task": self.task,
            "queue": self.queue,
            "priority": self.priority,
            "owner": self.owner,
            "app_id": self.app_id,
            "parent_id": self.parent_id,
            "max_retries": "" if self.max_retries is None else self.max_retries,
            "created_at": now_ms,
            "ready_at": self.ready_at_ms or now_ms,
        }


@dataclass(frozen=True)
class Started:
    """A run's ticket: later reports count only while ``attempt`` is the record's latest."""

    attempt: str
    is_cancel_requested: bool


@dataclass(frozen=True)
class Refused:
    """Why a run may not begin or an outcome is not written: the state the record is in."""

    state: str


@dataclass(frozen=True)
class Page:
    """One page of a list; ``is_exact`` False means ``total`` is a lower bound."""

    items: list[Job]
    total: int
    is_exact: bool = True


class Ledger:
    """Records in one store. Every method is one round trip; calls are safe to repeat after a lost answer."""

    def __init__(self, client: redis.Redis, config: Settings):
        self.client = client
        self.prefix = store.key_prefix(config)
        #: How long a call waits for a store that is away, in seconds; workers raise it (``platform.signals``).
        self.patience_s = 0.0
        self._keep_ms = {
            State.COMPLETED: config.keep_completed_s * 1000,
            State.FAILED: config.keep_failed_s * 1000,
            State.CANCELLED: config.keep_cancelled_s * 1000,
        }

    @cached_property
    def _scripts(self) -> dict[str, Any]:
        shared = (LUA / "index.lua").read_text()
        files = [file for file in LUA.glob("*.lua") if file.stem != "index"]
        return {file.stem: self.client.register_script(shared + file.read_text()) for file in files}

    def channel(self, job_id: str) -> str:
        """The pub/sub channel that carries a job's new state after each transition; also its record's key."""
        return f"{self.prefix}job:{job_id}"

    # -- transitions

    def create(self, job: NewJob) -> Literal["created", "updated", "kept", "final"]:
        """Record a job about to be published, or that it is about to be tried again."""
        return self._call("create", *_creation(job))[0]

    def submit(self, client: Any, queue_list: str, bell: str, message: str, job: NewJob) -> str:
        """``create``, and publish the message by the same call, on the transport's connection to the same server."""
        script = Script(self._scripts["submit"].script)
        arguments = [message, self.prefix, *_creation(job)]
        return _text(run(client, script, keys=[queue_list, bell], args=arguments)[0])

    def withdraw(self, job_id: str) -> bool:
        """Forget a job whose publish failed; False when a worker has it after all."""
        return bool(self._call("withdraw", job_id))

    def start(self, job: NewJob) -> Started | Refused:
        """A worker begins a run.

        Refused when the job has ended, was cancelled, or a later try is under way; when the delivery was given to
        another worker meanwhile; and when the job runs already and this is another copy of its message.
        """
        now = _now_ms()
        delivery = job.delivery or Delivery("", "", is_redelivered=True)
        how = (delivery.held, delivery.tag, int(delivery.is_redelivered))
        answer = self._call(
            "start", job.job_id, now, job.retries, _origins(State.RUNNING), *how, *_flat(job.fields(now))
        )
        if not answer[0]:
            return Refused(answer[1])
        return Started(attempt=str(answer[1]), is_cancel_requested=bool(answer[2]))

    def progress(self, job_id: str, attempt: str, done: float, total: float | None, message: str) -> Started | Refused:
        report = msgspec.json.encode({"done": done, "total": total, "message": message})
        answer = self._call("progress", job_id, attempt, report)
        return Started(attempt, bool(answer[1])) if answer[0] else Refused("")

    def complete(self, job_id: str, result_json: bytes, attempt: str = ANY_ATTEMPT) -> Refused | None:
        return self._finish(job_id, State.COMPLETED, attempt, {"result": result_json, "error": ""})

    def fail(
        self, job_id: str, error: Mapping[str, str], attempt: str = ANY_ATTEMPT, unpublished: NewJob | None = None
    ) -> Refused | None:
        """Record a failure; ``unpublished`` describes a chain's later member, which has no record yet."""
        otherwise = unpublished.fields(_now_ms()) if unpublished else {}
        return self._finish(job_id, State.FAILED, attempt, {"error": msgspec.json.encode(error)}, otherwise)

    def retrying(self, job_id: str, error: Mapping[str, str], attempt: str = ANY_ATTEMPT) -> Refused | None:
        return self._finish(job_id, State.RETRYING, attempt, {"error": msgspec.json.encode(error)})

    def requeued(self, job_id: str, attempt: str = ANY_ATTEMPT) -> Refused | None:
        """The task put its message back untouched (``Reject(requeue=True)``)."""
        return self._finish(job_id, State.PENDING, attempt, {"ready_at": _now_ms()})

    def cancelled(self, job_id: str, attempt: str = ANY_ATTEMPT) -> Refused | None:
        """A run ended because the job was cancelled."""
        return self._finish(job_id, State.CANCELLED, attempt, {})

    def cancel(self, job_id: str) -> Literal["cancelled", "asked", "final"]:
        """Cancel a waiting job at once, ask a running one to stop, leave an ended one as it is. Raises UnknownJob."""
        verdict = self._call("cancel", job_id, _now_ms(), self._keep_ms[State.CANCELLED])[0]
        if verdict == "unknown":
            raise UnknownJob(job_id)
        return verdict

    def sweep(self, limit: int = 500) -> int:
        """Forget up to ``limit`` records whose time to be kept is over; returns how many."""
        return int(self._call("sweep", _now_ms(), limit))

    # -- questions

    def get(self, job_id: str) -> Job:
        """Raises UnknownJob."""
        fields = cast(dict[str, str], self.client.hgetall(self.channel(job_id)))
        if "state" not in fields:
            raise UnknownJob(job_id)
        return from_hash(job_id, fields)

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
        """When the longest waiting job of each queue was created, in seconds since 1970; None where none waits."""
        names = list(queues)
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zrange(f"{self.prefix}jobs:queue:{name}:{State.PENDING}", 0, 0, withscores=True)
            found = pipe.execute()
        return {name: rows[0][1] / 1000 if rows else None for name, rows in zip(names, found, strict=True)}

    def metrics(self, name: Literal["jobs", "wait", "run"]) -> dict[str, str]:
        """Counters by their labels, joined with U+001F; of the times also a bucket's number, or ``sum`` in ms."""
        return cast(dict[str, str], self.client.hgetall(f"{self.prefix}metrics:{name}"))

    # -- plumbing

    def _finish(
        self,
        job_id: str,
        to: State,
        attempt: str,
        fields: Mapping[str, Any],
        if_unknown: Mapping[str, Any] | None = None,
    ) -> Refused | None:
        arguments = [_now_ms(), to, _origins(to), attempt, self._keep_ms.get(to, 0), 2 * len(fields)]
        answer = self._call("finish", job_id, *arguments, *_flat(fields), *_flat(if_unknown or {}))
        return None if answer[0] else Refused(answer[1])

    def _call(self, script: str, *arguments: Any) -> Any:
        return store.insist(lambda: self._scripts[script](args=[self.prefix, *arguments]), self.patience_s)


@cache
def ledger() -> Ledger:
    """This process's ledger."""
    return Ledger(store.client(), settings())


def _origins(to: State) -> str:
    return "," + ",".join(MAY_COME_FROM[to]) + ","


def _creation(job: NewJob) -> list[Any]:
    state = State.PENDING if job.ready_at_ms is None else State.SCHEDULED
    return [job.job_id, state, job.retries, int(job.is_replacement), *_flat(job.fields(_now_ms()))]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _flat(fields: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in fields.items():
        yield name
        yield value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
