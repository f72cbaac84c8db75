"""What waits now: queues that nobody serves, that are paused or behind, what is overdue, and dead letters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from platform import queues as known_queues
from platform.audit.finding import Finding, error, note, warning
from platform.audit.rabbit import Rabbit
from platform.audit.subject import Subject
from platform.deadletters.letter import LetterState, Reason
from platform.jobs.ledger import Ledger
from platform.leases import names
from platform.queueing.pauses import Pause

OLD_S = 600
#: Any worker's pump hands over what is due five times a second.
OVERDUE_S = 5.0
MANY_LETTERS, MANY_LATELY = 100, 20
LATELY_S = 3600
#: What workers make dead letters of, and where it lies until then.
ASIDE = {
    "undecodable": "messages put aside because they are no task's",
    "crashed": "messages put aside because their workers died again and again",
    "aside": "messages put aside and claimed by a worker",
}
ASIDE_PATIENCE_S = 3.0
START = "celery -A platform worker; it does so within seconds"


def unserved(subject: Subject) -> Iterator[Finding]:
    served = {queue for worker in subject.workers for queue in worker["queues"]}
    for queue, count in waiting(subject).items():
        if queue not in served and queue != known_queues.DEAD_LETTER:
            yield error(
                "queue-unserved",
                f"{jobs(count)} waiting in the queue {queue}, which no worker serves",
                "they wait for ever",
                f"celery -A platform worker -Q {queue}, or start a worker without -Q, which serves every queue",
            )


def paused(subject: Subject) -> Iterator[Finding]:
    for queue, pause in sorted(_pauses(subject).items()):
        if count := waiting(subject).get(queue, 0):
            yield note(
                "queue-paused",
                f"{jobs(count)} waiting in the queue {queue}, paused by {pause.paused_by} at {pause.paused_at}",
                "no worker takes them until somebody resumes it",
                f"celery -A platform queues resume {queue}, once what it was paused for is done",
            )


def old(subject: Subject) -> Iterator[Finding]:
    if subject.records is None:
        return
    served = {queue for worker in subject.workers for queue in worker["queues"]} - _pauses(subject).keys()
    oldest = Ledger(subject.records.client, subject.config).oldest_pending(queues_of(subject))
    for queue, since in oldest.items():
        if since is not None and queue in served and _now(subject) - since > OLD_S:
            yield warning(
                "queue-behind",
                f"the oldest job in the queue {queue} has waited for {age(_now(subject) - since)}",
                "more comes in than its workers finish, or they finish nothing",
                f"more workers (celery -A platform worker -Q {queue}); see what runs with jobs ls --state running",
            )


def overdue(subject: Subject) -> Iterator[Finding]:
    """Jobs past their time that are still in the schedule; 0 is the time of one that was just woken."""
    if subject.records is None:
        return
    key, latest = f"{subject.record_prefix}delayed", (_now(subject) - OVERDUE_S) * 1000
    late = subject.records.client.zcount(key, "(0", latest)
    first = cast(Any, subject.records.client.zrange(key, "(0", latest, byscore=True, offset=0, num=1, withscores=True))
    if not late or not first:
        return
    yield error(
        "delayed-overdue",
        f"{jobs(late)} past the time to start, the first by {age(_now(subject) - first[0][1] / 1000)}",
        "each worker hands over what is due, and none does: jobs with a countdown or eta, and retries, stand still",
        "restart a worker and read its log for the duty 'delayed jobs'" if subject.workers else START,
    )


def put_aside(subject: Subject) -> Iterator[Finding]:
    """Any worker makes dead letters of these within a second or two; what stays shows that none does."""
    if subject.queues is None:
        return
    client, found = subject.queues.client, _put_aside(subject)
    if found and subject.workers:
        time.sleep(ASIDE_PATIENCE_S)
        found &= _put_aside(subject)
    for name in sorted({name for name, _ in found}):
        key = f"{subject.queue_prefix}{name}"
        count = client.hlen(key) if name == "aside" else client.llen(key)
        yield warning(
            "put-aside-for-long",
            f"{ASIDE[name]}: {count}",
            "workers make dead letters of them, and none does: until then nobody sees them",
            "restart a worker and read its log for the duty 'put aside'" if subject.workers else START,
        )


def letters(subject: Subject) -> Iterator[Finding]:
    if subject.records is None:
        return
    since = (_now(subject) - LATELY_S) * 1000
    lately, total = _letters(subject, since), sum(_letters(subject, 0).values())
    if not sum(lately.values()) and total < MANY_LETTERS:
        return
    severe = warning if total >= MANY_LETTERS or sum(lately.values()) >= MANY_LATELY else note
    reasons = ", ".join(f"{reason} {count}" for reason, count in lately.items() if count)
    yield severe(
        "dead-letters",
        f"dead letters: {total}" + (f"; in the last hour {sum(lately.values())} ({reasons})" if reasons else ""),
        "each is a job that ended in failure; it is kept until somebody mends, replays or discards it",
        "celery -A platform dlq ls, then dlq show ID; once the cause is gone dlq replay, or dlq discard",
    )


CHECKS = (unserved, paused, old, overdue, put_aside, letters)


def queues_of(subject: Subject) -> list[str]:
    return known_queues.names(subject.config)


def waiting(subject: Subject) -> dict[str, int]:
    """Queues with waiting jobs, by the records; on RabbitMQ also by what it says itself."""
    if subject.records is None:
        return {}
    counts = Ledger(subject.records.client, subject.config).counts(queues_of(subject))
    found = {queue: states["pending"] for queue, states in counts.items() if queue}
    if isinstance(subject.rabbit, Rabbit):
        for queue, count in subject.rabbit.waiting.items():
            found[queue] = max(found.get(queue, 0), count)
    return {queue: count for queue, count in found.items() if count}


def jobs(count: int) -> str:
    return "1 job is" if count == 1 else f"{count} jobs are"


def age(seconds: float) -> str:
    if seconds > 7200:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds > 120 else f"{seconds:.0f} s"


def _put_aside(subject: Subject) -> set[tuple[str, Any]]:
    """What lies there now: of each list its first entry, of the claimed ones all names."""
    assert subject.queues is not None
    client, prefix = subject.queues.client, subject.queue_prefix
    firsts = {(name, client.lindex(f"{prefix}{name}", 0)) for name in ("undecodable", "crashed")}
    claimed = {("aside", name) for name in cast(list[str], client.hkeys(f"{prefix}aside"))}
    return {(name, entry) for name, entry in firsts | claimed if entry is not None}


def _letters(subject: Subject, since_ms: float) -> dict[str, int]:
    """Dead letters that died since then, by reason."""
    assert subject.records is not None
    with subject.records.client.pipeline(transaction=False) as pipe:
        for reason in Reason:
            pipe.zcount(f"{subject.record_prefix}dead:reason:{reason}:{LetterState.DEAD}", since_ms, "+inf")
        return dict(zip((reason.value for reason in Reason), pipe.execute(), strict=True))


def _pauses(subject: Subject) -> dict[str, Pause]:
    """Kept where the queues are if that is Redis, else beside the records (``platform.queueing.place``)."""
    server = subject.queues or subject.records
    if server is None:
        return {}
    found = cast(dict[str, str], server.client.hgetall(names.paused(subject.queue_prefix)))
    return {queue: msgspec.json.decode(text, type=Pause) for queue, text in found.items()}


def _now(subject: Subject) -> float:
    """By the record store's clock, in seconds since 1970."""
    return time.time() + (subject.records.ahead_s if subject.records else 0.0)
