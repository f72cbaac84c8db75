"""Celery's own keys, as they are after every module was loaded: a user's module may have changed any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from platform.audit.finding import Finding, Severity, error, note, warning
from platform.audit.subject import Subject
from platform.errors import UnknownOption
from platform.options import check_keys
from platform.serialization import NAME

MIN_CHILD_MEMORY_KB = 65_536
PICKLES = {"pickle", "application/x-python-serialize"}
Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Rule:
    """A key, the values of it that hurt, why, and what to set instead; ``on`` one kind of broker, or both."""

    key: str
    code: str
    severity: Severity
    is_bad: Test
    why: str
    instead: str
    on: str = "redis amqp"


def _is(*values: Any) -> Test:
    return lambda value: any(value is one or (type(value) is type(one) and value == one) for one in values)


def _above(limit: float) -> Test:
    return lambda value: value is not None and value > limit


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule(
        *("task_acks_late", "acks-early", E, _is(False)),
        "a message acknowledged before its task runs is lost with the worker that dies under it",
        "leave it True; set acks_late=False on the single task that must never run twice",
    ),
    Rule(
        *("task_acks_on_timeout", "timeouts-loop", E, _is(False)),
        "a job stopped by its time limit goes back to its queue and runs into the limit again, for ever",
        "leave it True",
    ),
    Rule(
        *("task_reject_on_worker_lost", "lost-twice", W, _is(True)),
        "the platform gives a job back by itself whose process died; Celery would do so once more after its last run, "
        "when it is a dead letter already, and the rest of its chain never hears of that",
        "leave it unset; PLATFORM_MAX_DEATHS says how often a job may cost its process",
    ),
    Rule(
        *("task_retry_on_worker_lost", "lost-twice", W, _is(True)),
        "the platform gives a job back by itself whose process died; Celery would retry it once more after its last "
        "run, when it is a dead letter already",
        "leave it unset; PLATFORM_MAX_DEATHS says how often a job may cost its process",
    ),
    Rule(
        *("worker_consumer", "stock-consumer", E, lambda value: value != "platform.consumer:Consumer"),
        "messages that cannot be read, or whose task nobody knows, are dropped, and some of them end the worker",
        'leave it "platform.consumer:Consumer"',
    ),
    Rule(
        *("task_always_eager", "always-eager", E, _is(True)),
        "every task runs inside its caller: nothing is queued, recorded, retried elsewhere or limited",
        "leave it False outside of tests",
    ),
    Rule(
        *("task_protocol", "old-protocol", E, _is(1)),
        "messages of protocol 1 carry no headers; workers put them aside as unreadable",
        "leave it 2",
    ),
    Rule(
        *("task_publish_retry", "publish-retries", W, _is(True)),
        "a caller waits through several timeouts while the broker is away, and a repeated publish may be a second one",
        "leave it False; submitting again with the same task_id is safe",
    ),
    Rule(
        *("task_create_missing_queues", "queues-from-typos", W, _is(True)),
        "a misspelt queue name makes a queue that no worker serves, and its jobs wait for ever",
        "leave it False and name further queues in PLATFORM_QUEUES",
    ),
    Rule(
        *("task_default_rate_limit", "rate-limit-for-all", W, bool),
        "every task is slowed down to it, over all workers together, the platform's own tasks too",
        "leave it unset; give rate_limit to the tasks that need it",
    ),
    Rule(
        *("worker_disable_rate_limits", "rate-limits-twice", W, _is(False)),
        "the platform keeps rate limits over all workers; Celery's own would count in each worker once more and hold "
        "jobs in its memory meanwhile",
        "leave it True",
    ),
    Rule(
        *("task_default_delivery_mode", "messages-not-durable", E, _is(1, "transient")),
        "RabbitMQ forgets transient messages when it restarts",
        "leave it 2 (persistent)",
        on="amqp",
    ),
    Rule(
        *("worker_prefetch_multiplier", "prefetch-unlimited", E, _is(0)),
        "one worker takes everything there is: others idle, urgent jobs wait behind it, its memory fills",
        "leave it 1",
    ),
    Rule(
        *("worker_prefetch_multiplier", "prefetch-hoards", W, _above(1)),
        "jobs taken ahead wait inside a busy worker while others idle, and out of the order of priorities",
        "leave it 1",
    ),
    Rule(
        *("worker_disable_prefetch", "prefetch-hoards", W, _is(False)),
        "a worker takes one job more than it can run; that one waits out of the order of priorities",
        "leave it True",
        on="redis",
    ),
    Rule(
        *("worker_cancel_long_running_tasks_on_connection_loss", "cut-kills-jobs", W, _is(True)),
        "a short interruption of the network ends every running job, to be run again from its beginning",
        "leave it False: a lease outlives a short interruption",
    ),
    Rule(
        *("worker_enable_remote_control", "no-remote-control", N, _is(False)),
        "Flower, celery inspect and this audit cannot ask workers; jobs can still be cancelled",
        "leave it True",
    ),
    Rule(
        *("worker_soft_shutdown_timeout", "soft-shutdown", W, _above(0)),
        "Celery sleeps for that time when a worker has to stop and takes up no outcome meanwhile: jobs that end then "
        "run again, and a worker that sleeps too long is ended by force",
        "leave it 0; PLATFORM_SHUTDOWN_TIMEOUT_S is the time jobs are given",
    ),
    Rule(
        *("worker_send_task_events", "events-always-on", W, _is(True)),
        "a message per change of every job costs about 40 % of the throughput, read or not",
        "leave it False: Flower switches events on while it runs, /metrics needs none",
    ),
    Rule(
        *("task_send_sent_event", "events-always-on", W, _is(True)),
        "every publish sends a second message",
        "leave it False: records know of every job from its submission",
    ),
    Rule(
        *(
            "worker_max_memory_per_child",
            "child-memory-tiny",
            E,
            lambda kb: kb is not None and kb < MIN_CHILD_MEMORY_KB,
        ),
        "the unit is kilobytes, and a process with nothing but the platform in it has more: each one is replaced after "
        "a single job",
        "give kilobytes: 200_000 for 200 MB",
    ),
    Rule(
        *("worker_max_tasks_per_child", "child-per-task", W, _is(1)),
        "a new process for every job costs more than most jobs, and what it had still to tell (traces) is cut off",
        "use 100 or more, or worker_max_memory_per_child",
    ),
    Rule(
        *("worker_pool", "pool-without-limits", W, lambda pool: pool not in (None, "prefork", "processes")),
        "only the prefork pool enforces time limits, stops cancelled jobs by force and outlives a crashing task",
        "leave it prefork, or serve such tasks from queues and workers of their own",
    ),
    Rule(
        *("broker_connection_retry", "worker-gives-up", W, _is(False)),
        "a worker that loses its broker for a moment ends",
        "leave it True",
    ),
    Rule(
        *("broker_connection_retry_on_startup", "worker-gives-up", W, _is(False)),
        "a worker that starts before its broker ends",
        "leave it True",
    ),
    Rule(
        *("broker_pool_limit", "no-connection-pool", W, _is(None, 0)),
        "every publish opens and closes a connection of its own",
        "leave it 10, or more for programs with many threads",
    ),
    Rule(
        *("broker_heartbeat", "no-heartbeat", W, _is(None, 0)),
        "RabbitMQ notices a machine that vanished only after hours, and keeps its jobs until then",
        "leave it 10",
        on="amqp",
    ),
    Rule(
        *("result_expires", "chords-never-expire", W, lambda value: not value),
        "counters of chords that never finish and saved groups stay in memory for ever",
        "leave it as PLATFORM_KEEP_COMPLETED_S sets it",
    ),
    Rule(
        *("event_queue_ttl", "events-pile-up", W, lambda value: not value or value > 60),
        "the queue of an event reader that hangs (Flower) grows until the broker is out of memory",
        "leave it 5 seconds",
        on="amqp",
    ),
    Rule(
        *("enable_utc", "local-time", W, _is(False)),
        "times to wait are written in local time: machines and summer time disagree about them",
        "leave it True",
    ),
)


def by_rules(subject: Subject) -> Iterator[Finding]:
    kind = "redis" if subject.is_redis else "amqp"
    for rule in RULES:
        value = subject.app.conf[rule.key]
        if kind in rule.on and rule.is_bad(value):
            yield Finding(rule.severity, rule.code, f"{rule.key} is {value!r}", rule.why, _fix(rule))


def _fix(rule: Rule) -> str:
    return f"{rule.key}: {rule.instead}"


def unknown_keys(subject: Subject) -> Iterator[Finding]:
    try:
        check_keys(subject.app.conf.changes)
    except UnknownOption as exc:
        yield error(
            "unknown-celery-key",
            str(exc),
            "Celery never reads it, and workers refuse to start with it",
            "correct the name where app.conf is changed, or take it out",
        )


def content(subject: Subject) -> Iterator[Finding]:
    conf = subject.app.conf
    accepted = {*conf.accept_content, *(conf.result_accept_content or ())}
    if PICKLES & accepted or PICKLES & {conf.task_serializer, conf.result_serializer}:
        yield error(
            "accepts-pickle",
            "pickle is among accept_content or the serializers",
            "whoever can write to the broker runs any code on every worker",
            f'accept_content = ["{NAME}", "json"], and send JSON: convert arguments before submitting',
        )
    if NAME not in conf.accept_content:
        yield error(
            "refuses-own-messages",
            f"accept_content lacks {NAME!r}",
            "that is what the platform publishes in: every job is refused by every worker",
            f'accept_content = ["{NAME}", "json"]',
        )
    if conf.task_serializer not in (NAME, "json", *PICKLES):
        yield error(
            "serializer-refused",
            f"task_serializer is {conf.task_serializer!r}",
            "publishing is refused, because no worker would read it",
            f"task_serializer: leave it {NAME!r}",
        )


def outcomes(subject: Subject) -> Iterator[Finding]:
    backend = subject.app.conf.result_backend
    if backend != "platform.results:JobBackend":
        yield error(
            "outcomes-not-recorded",
            "result_backend is not the platform's",
            "outcomes are written by the result backend: with another one every job stays running",
            'result_backend: leave it "platform.results:JobBackend"',
        )


def time_limits(subject: Subject) -> Iterator[Finding]:
    soft, hard = subject.app.conf.task_soft_time_limit, subject.app.conf.task_time_limit
    if soft and hard and soft >= hard:
        yield error(
            "soft-limit-after-hard",
            f"task_soft_time_limit ({soft:g} s) is not below task_time_limit ({hard:g} s)",
            "the task is killed before it could be asked to end: nothing is cleaned up",
            "task_soft_time_limit: set it some seconds below task_time_limit",
        )


def patience(subject: Subject) -> Iterator[Finding]:
    timeout_s = subject.app.conf.broker_connection_timeout
    if not timeout_s or timeout_s > max(4.0, 2 * subject.config.broker_timeout_s):
        yield warning(
            "slow-to-fail",
            f"broker_connection_timeout is {timeout_s!r}",
            "callers hang that long while the broker is away, in place of a quick 503",
            "leave it to PLATFORM_BROKER_TIMEOUT_S",
        )


def schedules(subject: Subject) -> Iterator[Finding]:
    _ = subject.loading
    known = subject.app.tasks
    for name, entry in sorted((subject.app.conf.beat_schedule or {}).items()):
        task, options = entry.get("task"), entry.get("options") or {}
        if task not in known:
            yield error(
                "schedule-of-unknown-task",
                f"beat_schedule[{name!r}] runs {task!r}, which no module defines",
                "each time is a message that no worker can run",
                "correct the name, or add the task's module to PLATFORM_IMPORTS",
            )
        if options.get("queue") and options["queue"] not in subject.app.amqp.queues:
            yield error(
                "schedule-to-unknown-queue",
                f"beat_schedule[{name!r}] goes to the queue {options['queue']!r}, which there is not",
                "beat cannot publish it, each time again",
                "correct the name, or add the queue to PLATFORM_QUEUES",
            )
        if (every_s := _seconds(entry.get("schedule"))) and every_s <= 60 and not options.get("expires"):
            yield note(
                "schedule-piles-up",
                f"beat_schedule[{name!r}] runs every {every_s:g} s and its jobs never expire",
                "while no worker runs they pile up, and all of them run afterwards",
                f'"options": {{"expires": {every_s:g}}} in that entry',
            )


def _seconds(schedule: Any) -> float | None:
    if isinstance(schedule, timedelta):
        return schedule.total_seconds()
    if isinstance(schedule, int | float):
        return float(schedule)
    interval = getattr(schedule, "run_every", None)
    return interval.total_seconds() if isinstance(interval, timedelta) else None


CHECKS = (by_rules, unknown_keys, content, outcomes, time_limits, patience, schedules)
