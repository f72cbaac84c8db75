"""Jobs in nobody's hands: of workers that died, still to be given back; and without a message that could start them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from kombu.transport.redis import Channel

from platform import store
from platform.audit.backlog import jobs
from platform.audit.finding import Finding, error, note, warning
from platform.audit.rabbit import Rabbit
from platform.audit.subject import Subject
from platform.jobs.states import WAITING, State
from platform.leases import names
from platform.queues import MAX_PRIORITY

MOST_LOOKED_AT = 1000
SHOWN = 3
#: A message is in nobody's hands for a moment between a worker's main process and the start of its job.
MOMENT_S = 1.0
#: A replay is recorded first and published after, within this time (``platform.deadletters.register``).
PUBLISHED_S = 60
ID = re.compile(rb'"id": ?"([^"]+)"')


def orphans(subject: Subject) -> Iterator[Finding]:
    if subject.queues is None:
        return
    client, prefix = subject.queues.client, subject.queue_prefix
    dead = [name for name in subject.leases if name not in subject.living_leases]
    held = sum(client.hlen(names.held(prefix, name)) for name in dead)
    if held and not subject.workers:
        yield warning(
            "orphans-without-rescuer",
            f"{jobs(held)} held by workers that died, and no worker lives to give them back",
            "they wait until one does",
            "celery -A platform worker; it gives them back within seconds",
        )
    elif held:
        yield note(
            "orphans",
            f"{jobs(held)} held by workers that died",
            "the living ones are giving them back to their queues",
            "nothing to do; if this stays for longer than a minute, read the workers' logs",
        )


def lost(subject: Subject) -> Iterator[Finding]:
    """Jobs that nobody runs and of which no message is left that could start them."""
    if subject.records is None or not subject.is_broker_there:
        return
    found = _lost(subject)
    if found:
        time.sleep(MOMENT_S)
        found &= _lost(subject)
    for state in sorted({state for _, state, _ in found}):
        ids = sorted(job_id for job_id, of, _ in found if of == state)
        shown = ", ".join(ids[:SHOWN]) + (" …" if len(ids) > SHOWN else "")
        nowhere = "running on workers that are gone" if state == State.RUNNING else f"{state} by the record alone"
        yield error(
            "jobs-without-message",
            f"{jobs(len(ids))} {nowhere}, and the broker has no message that could start them: {shown}",
            "nothing will ever start or end them: a worker died after it had acknowledged the message "
            "(acks_late=False), or the broker lost it",
            "submit them again if they are still wanted (jobs show ID has the task); leave acks_late on",
        )


CHECKS = (orphans, lost)


@dataclass(frozen=True)
class _Job:
    job_id: str
    state: str
    runner: str
    queue: str


def _lost(subject: Subject) -> set[tuple[str, str, str]]:
    """Id, state and runner of such jobs, among the oldest thousand of each state."""
    assert subject.records is not None
    nobodys = [job for state in (*WAITING, State.RUNNING) for job in _jobs(subject, state)]
    if not nobodys:
        return set()
    messages, unknowable = _messages(subject, {job.queue for job in nobodys})
    ids = _named_in(messages)
    return {
        (job.job_id, job.state, job.runner)
        for job in nobodys
        if job.queue not in unknowable
        and job.job_id not in ids
        and not subject.records.client.hexists(f"{subject.record_prefix}delayed:messages", job.job_id)
    }


def _jobs(subject: Subject, state: State) -> list[_Job]:
    """Those that run on a worker that is gone, or wait for longer than a message needs to be somewhere.

    RabbitMQ does not show what it has given to a worker, so there nothing is said of those that wait.
    """
    if state is not State.RUNNING and not subject.is_redis:
        return []
    assert subject.records is not None
    client, prefix = subject.records.client, subject.record_prefix
    ids = cast(list[str], client.zrange(f"{prefix}jobs:{state}", 0, MOST_LOOKED_AT - 1))
    with client.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hmget(f"{prefix}job:{job_id}", "runner", "queue", "ready_at")
        facts = zip(ids, pipe.execute(), strict=True)
    if state is State.RUNNING:
        running = [_Job(job_id, state, runner, queue) for job_id, (runner, queue, _) in facts if runner]
        gone = {runner for runner in {job.runner for job in running} if not _lives(subject, runner)}
        return [job for job in running if job.runner in gone]
    latest_ms = (time.time() + subject.records.ahead_s - PUBLISHED_S) * 1000
    return [_Job(job_id, state, "", queue) for job_id, (_, queue, ready) in facts if int(ready or 0) < latest_ms]


def _named_in(messages: list[bytes]) -> set[str]:
    """Every id that messages bear; they are text, whatever else is wrong with them."""
    return {found.decode() for message in messages for found in ID.findall(message)}


def _lives(subject: Subject, runner: str) -> bool:
    """Heartbeats are where the queues are if that is Redis, else beside the records."""
    server = subject.queues or subject.records
    return server is not None and bool(server.client.exists(names.heartbeat(subject.queue_prefix, runner)))


def _messages(subject: Subject, queues: set[str]) -> tuple[list[bytes], set[str]]:
    """The messages in queues, held or put aside, and the queues that have too many to look through.

    RabbitMQ shows none: there a queue in which anything waits is one of those.
    """
    if isinstance(subject.rabbit, Rabbit):
        return [], {queue for queue in queues if subject.rabbit.waiting.get(queue)}
    assert subject.queues is not None
    server, prefix = subject.queues, subject.queue_prefix
    # Bytes: what waits may be anything.
    client = store.connect(server.place.url, subject.config, subject.config.broker_timeout_s, as_text=False)
    lists = {queue: _lists(prefix, queue) for queue in queues}
    unknowable = {queue for queue, keys in lists.items() if sum(map(client.llen, keys)) > MOST_LOOKED_AT}
    keys = [key for queue in queues - unknowable for key in lists[queue]]
    hashes = [*(names.held(prefix, name) for name in subject.leases), f"{prefix}aside"]
    messages = [message for key in [*keys, f"{prefix}crashed"] for message in cast(Any, client.lrange(key, 0, -1))]
    messages += [message for key in hashes for message in cast(Any, client.hvals(key))]
    client.close()
    return messages, unknowable


def _lists(prefix: str, queue: str) -> list[str]:
    plain = f"{prefix}{queue}"
    return [plain, *(f"{plain}{Channel.sep}{step}" for step in range(1, MAX_PRIORITY + 1))]
