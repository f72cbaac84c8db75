"""The ledger: every transition of every job, each one script call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Literal, cast

import msgspec
import redis

from platform import store
from platform.errors import UnknownJob
from platform.jobs.facts import Delivery, NewJob, Refused, Started
from platform.jobs.records import LUA, SHARED_SCRIPT, Records
from platform.jobs.states import MAY_COME_FROM, State
from platform.leases.scripts import Script, run, run_many
from platform.settings import Settings, settings
from platform.unique import Lock

#: Of one script call; meanwhile the server answers nobody else, 0.05 ms each.
MOST_AT_ONCE = 100
ANY_ATTEMPT = ""
#: Where record and message are on two servers, whoever writes the one publishes the other within this time.
PUBLISHING_MS = 60_000


class Ledger(Records):
    """Records in one store. Every transition is one round trip, and safe to repeat after a lost answer."""

    def __init__(self, client: redis.Redis, config: Settings):
        super().__init__(client, config)
        #: How long a call waits for a store that is away, in seconds; workers raise it (``platform.signals``).
        self.patience_s = 0.0
        self._most_deaths = config.max_deaths
        self._keep_ms = {
            State.COMPLETED: config.keep_completed_s * 1000,
            State.FAILED: config.keep_failed_s * 1000,
            State.CANCELLED: config.keep_cancelled_s * 1000,
        }

    @cached_property
    def _of_many(self) -> dict[str, Script]:
        """The scripts for many calls in one, which writes what their jobs have in common once: at half the cost."""
        own = {name: (LUA / f"{name}.lua").read_text() for name in self._scripts}
        tail = (LUA / "many.lua").read_text()
        head = "local CALLS, KEYS, ARGV = ARGV\n" + SHARED_SCRIPT
        return {name: Script(f"{head}local function one()\n{text}\nend\n{tail}") for name, text in own.items()}

    @cached_property
    def _submit_script(self) -> Script:
        return Script(self._scripts["submit"].script)

    # -- transitions

    def create(self, job: NewJob) -> Literal["created", "updated", "kept", "final"]:
        """Record a job about to be published, or that it is about to be tried again.

        A unique one (``lock``) stands for its equals for a minute, and longer once ``published`` is told.
        Raises NotUnique where another one does.
        """
        verdict, other = self._call("create", *self.creation(job, _now_ms() + PUBLISHING_MS))
        return accepted(job, verdict, other)

    def create_all(self, jobs: Sequence[NewJob]) -> Sequence[str]:
        """``create`` of each, in one round trip; for jobs that are not unique."""
        answers = self._call_all("create", [self.creation(job) for job in jobs])
        return [accepted(job, *answer) for job, answer in zip(jobs, answers, strict=True)]

    def submit_all(self, jobs: Sequence[tuple[NewJob, str, str, str]]) -> Sequence[str]:
        """``submit`` of each, in one round trip, for jobs that are not unique: a job, its list, bell and message."""
        calls = [
            _packed([queue_list, bell], [message, self.prefix, *self.creation(job)])
            for job, queue_list, bell, message in jobs
        ]
        answers = store.insist(lambda: self._run_all("submit", calls), self.patience_s)
        return [accepted(job[0], *answer) for job, answer in zip(jobs, answers, strict=True)]

    def submit(self, client: Any, queue_list: str, bell: str, message: str, job: NewJob) -> str:
        """``create``, and publish the message by the same call, on the transport's connection to the same server.

        Raises NotUnique.
        """
        arguments = [message, self.prefix, *self.creation(job)]
        return accepted(job, *run(client, self._submit_script, keys=[queue_list, bell], args=arguments))

    def published(self, job_id: str) -> None:
        """A unique job recorded by ``create`` is in its queue; the one it replaces is cancelled."""
        self._call("published", job_id, _now_ms(), self._keep_ms[State.CANCELLED])

    def creation(self, job: NewJob, publishing_ms: int | None = None) -> list[Any]:
        """A job's facts as ``create.lua`` takes them after the prefix."""
        state = State.PENDING if job.ready_at_ms is None else State.SCHEDULED
        lock = self.claim(job.lock, publishing_ms) if job.lock else ""
        return [job.job_id, state, job.retries, int(job.is_replacement), lock, *_flat(job.fields(_now_ms()))]

    def claim(self, lock: Lock, publishing_ms: int | None = None) -> str:
        """A unique job's lock as the scripts take it."""
        replaces = lock.on_conflict == "replace"
        return lock.as_text(self._keep_ms[State.CANCELLED] if replaces else "refuse", publishing_ms)

    def withdraw(self, job_id: str) -> bool:
        """Forget a job whose publish failed; False when a worker has it after all."""
        return bool(self._call("withdraw", job_id))

    def start(self, job: NewJob) -> Started | Refused:
        """A worker begins a run.

        Refused with the state of a job that has ended, was cancelled, or whose later try is under way; ``held``: the
        delivery was given to another worker meanwhile; ``running``: this is another copy of a message being worked
        on; ``busy``: so it is, by a worker that has lost its connection to the broker; ``crashed``: its runs have
        died ``PLATFORM_MAX_DEATHS`` times; ``limited``: too many of its kind run, or began lately, and it waits for
        its turn: give its message to the schedule. A job asked to stop is cancelled here.
        """
        return self.start_all([job])[0]

    def start_all(self, jobs: Sequence[NewJob]) -> Sequence[Started | Refused]:
        """``start`` of each, in one round trip."""
        ticket = secrets.token_hex(8)
        answers = self._call_all("start", [self._starting(job, ticket) for job in jobs])
        return [Started(attempt=str(answer[1])) if answer[0] else Refused(*answer[1:]) for answer in answers]

    def _starting(self, job: NewJob, ticket: str) -> Sequence[Any]:
        now = _now_ms()
        delivery = job.delivery or Delivery("", "", is_redelivered=True)
        how = (delivery.held, delivery.tag, int(delivery.is_redelivered), delivery.runner, delivery.hearts)
        rules = (self._most_deaths, self._keep_ms[State.CANCELLED], ticket)
        limits = [part for one in job.limits for part in (one.key, one.concurrency, one.interval_ms)]
        arguments = [*how, *rules, len(job.limits), *limits, *_flat(job.fields(now))]
        return [job.job_id, now, job.retries, _origins(State.RUNNING), *arguments]

    def lost(self, job_id: str, runner: str, retries: int = 0) -> tuple[Literal["again", "enough", "not ours"], int]:
        """The process that ran the job, or was about to, is gone, its worker is not; and how often that has happened.

        ``retries``: which try of the job its message is. ``again``: the job waits and may be given back. ``enough``: it
        has cost ``PLATFORM_MAX_DEATHS`` processes and must not run again. ``not ours``: another worker has it
        meanwhile, it has ended, or a later try is to come.
        """
        verdict, deaths = self._lost(job_id, runner, retries, counts=True)
        return cast(Any, verdict), int(deaths)

    def returned(self, job_id: str, runner: str) -> bool:
        """A worker that stops gives a job back unfinished: it waits again. False if it was not that worker's."""
        return self._lost(job_id, runner, 0, counts=False)[0] == "again"

    def _lost(self, job_id: str, runner: str, retries: int, counts: bool) -> Any:
        ticket = secrets.token_hex(8)
        return self._call("lost", job_id, _now_ms(), runner, self._most_deaths, ticket, int(counts), retries)

    def progress(self, job_id: str, attempt: str, done: float, total: float | None, message: str) -> Started | Refused:
        report = msgspec.json.encode({"done": done, "total": total, "message": message})
        answer = self._call("progress", job_id, attempt, report)
        return Started(attempt, bool(answer[1])) if answer[0] else Refused("")

    def complete(self, job_id: str, result_json: bytes, attempt: str = ANY_ATTEMPT) -> Refused | None:
        return self.complete_all([(job_id, result_json, attempt)])[0]

    def complete_all(self, outcomes: Sequence[tuple[str, bytes, str]]) -> Sequence[Refused | None]:
        """``complete`` of each job, in one round trip; an outcome is a job's id, its result and its attempt."""
        calls = [
            self._finishing(job_id, State.COMPLETED, attempt, {"result": result_json, "error": ""})
            for job_id, result_json, attempt in outcomes
        ]
        return [None if done else Refused(state) for done, state in self._call_all("finish", calls)]

    def fail(
        self, job_id: str, error: Mapping[str, Any], attempt: str = ANY_ATTEMPT, unpublished: NewJob | None = None
    ) -> Refused | None:
        """Record a failure; ``unpublished`` describes a chain's later member, which has no record yet."""
        otherwise = unpublished.fields(_now_ms()) if unpublished else {}
        return self._finish(job_id, State.FAILED, attempt, {"error": msgspec.json.encode(error)}, otherwise)

    def retrying(self, job_id: str, error: Mapping[str, Any], attempt: str = ANY_ATTEMPT) -> Refused | None:
        return self._finish(job_id, State.RETRYING, attempt, {"error": msgspec.json.encode(error)})

    def requeued(self, job_id: str, attempt: str = ANY_ATTEMPT) -> Refused | None:
        """The task put its message back untouched (``Reject(requeue=True)``)."""
        return self._finish(job_id, State.PENDING, attempt, {"ready_at": _now_ms()})

    def cancelled(self, job_id: str, attempt: str = ANY_ATTEMPT, unpublished: NewJob | None = None) -> Refused | None:
        """A run ended because the job was cancelled; ``unpublished`` as for ``fail``."""
        otherwise = unpublished.fields(_now_ms()) if unpublished else {}
        return self._finish(job_id, State.CANCELLED, attempt, {}, otherwise)

    def cancel_requests(self, job_ids: Sequence[str]) -> dict[str, float]:
        """Those of the jobs that were asked to stop, and when, in seconds since 1970; one round trip."""
        with self.client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(self.channel(job_id), "cancel_requested_at")
            answers = pipe.execute()
        return {job_id: int(asked) / 1000 for job_id, asked in zip(job_ids, answers, strict=True) if asked}

    def cancel(self, job_id: str) -> Literal["cancelled", "asked", "final"]:
        """Cancel a waiting job at once, ask a running one to stop, leave an ended one as it is. Raises UnknownJob."""
        verdict = self._call("cancel", job_id, _now_ms(), self._keep_ms[State.CANCELLED])[0]
        if verdict == "unknown":
            raise UnknownJob(job_id)
        return verdict

    def cancel_all(self, job_ids: Sequence[str]) -> None:
        """``cancel`` of each that is known, in one round trip."""
        self._call_all("cancel", [(job_id, _now_ms(), self._keep_ms[State.CANCELLED]) for job_id in job_ids])

    def sweep(self, limit: int = 500) -> int:
        """Forget up to ``limit`` records whose time to be kept is over; returns how many."""
        return int(self._call("sweep", _now_ms(), limit))

    # -- plumbing

    def _finish(
        self,
        job_id: str,
        to: State,
        attempt: str,
        fields: Mapping[str, Any],
        if_unknown: Mapping[str, Any] | None = None,
    ) -> Refused | None:
        answer = self._call("finish", *self._finishing(job_id, to, attempt, fields, if_unknown))
        return None if answer[0] else Refused(answer[1])

    def _finishing(
        self,
        job_id: str,
        to: State,
        attempt: str,
        fields: Mapping[str, Any],
        if_unknown: Mapping[str, Any] | None = None,
    ) -> Sequence[Any]:
        arguments = [job_id, _now_ms(), to, _origins(to), attempt, self._keep_ms.get(to, 0), 2 * len(fields)]
        return [*arguments, *_flat(fields), *_flat(if_unknown or {})]

    def _call(self, script: str, *arguments: Any) -> Any:
        return store.insist(lambda: self._scripts[script](args=[self.prefix, *arguments]), self.patience_s)

    def _call_all(self, script: str, calls: Sequence[Sequence[Any]]) -> Sequence[Any]:
        packed = [_packed([], [self.prefix, *arguments]) for arguments in calls]
        return store.insist(lambda: self._run_all(script, packed), self.patience_s)

    def _run_all(self, script: str, packed: Sequence[bytes]) -> Sequence[Any]:
        """The answer of each call, all in one round trip; what one raised is raised after all were made."""
        some = [((), packed[first : first + MOST_AT_ONCE]) for first in range(0, len(packed), MOST_AT_ONCE)]
        answers = [answer for part in run_many(self.client, self._of_many[script], some) for answer in part]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


@cache
def ledger() -> Ledger:
    """This process's ledger."""
    return Ledger(store.client(), settings())


def _origins(to: State) -> str:
    return "," + ",".join(MAY_COME_FROM[to]) + ","


def accepted(job: NewJob, verdict: bytes | str, other: bytes | str) -> Any:
    """The verdict of ``create.lua``, as text. Raises NotUnique where ``other`` stands for the job."""
    if _text(verdict) == "taken" and job.lock:
        raise job.lock.conflict(job.task, _text(other))
    return _text(verdict)


def _packed(keys: Sequence[str], arguments: Sequence[Any]) -> bytes:
    """All of them texts, as a script's arguments are; the server's msgpack knows no bytes."""
    return msgspec.msgpack.encode([keys, [one.decode() if isinstance(one, bytes) else str(one) for one in arguments]])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _flat(fields: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in fields.items():
        yield name
        yield value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
