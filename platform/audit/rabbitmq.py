"""RabbitMQ: its version, its alarms, and whether its queues are declared as the platform needs them."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from platform.audit.backlog import age
from platform.audit.concerned import about
from platform.audit.finding import Finding, error, warning
from platform.audit.rabbit import Rabbit
from platform.audit.servers import Away
from platform.audit.subject import Subject
from platform.queues import DEFAULT_PRIORITY, MAX_PRIORITY

#: Queues' own ``x-consumer-timeout`` is read from here on; before, the server's holds for all of them.
OWN_CONSUMER_TIMEOUT = Version("3.12")
#: A consumer timeout at all.
CONSUMER_TIMEOUT = Version("3.8.15")
SERVERS_TIMEOUT_S = 30 * 60
TWO_QUORUM_PRIORITIES, TEN_QUORUM_PRIORITIES = Version("4.0"), Version("4.3")
NO_SHARED_TRANSIENT_QUEUES = Version("4.3")


def away(subject: Subject) -> Iterator[Finding]:
    if isinstance(subject.rabbit, Away):
        yield error(
            "broker-away",
            f"{subject.rabbit.place.role} {subject.rabbit.place.address} does not answer: {subject.rabbit.reason}",
            "nothing is accepted and nothing runs; it was not examined further",
            "start it, or correct PLATFORM_BROKER_URL; then run this again",
        )


def alarm(subject: Subject) -> Iterator[Finding]:
    if isinstance(subject.rabbit, Rabbit) and subject.rabbit.alarm:
        yield error(
            "broker-blocked",
            f"RabbitMQ takes no messages: {subject.rabbit.alarm}",
            "it is short of memory or disk space; every submission hangs until its timeout",
            "rabbitmq-diagnostics alarms says which; free the space or raise the limit",
        )


def version(subject: Subject) -> Iterator[Finding]:
    if not isinstance(subject.rabbit, Rabbit):
        return
    found = _version(subject.rabbit)
    longest_s = _longest_limit_s(subject)
    is_long = longest_s is None or longest_s > SERVERS_TIMEOUT_S
    if found is not None and CONSUMER_TIMEOUT <= found < OWN_CONSUMER_TIMEOUT and is_long:
        yield warning(
            "consumer-timeout",
            f"RabbitMQ {found} does not read the queues' own consumer timeout, and jobs may run for "
            f"{'ever' if longest_s is None else age(longest_s)}",
            "the server's holds, 30 minutes unless changed there: a job that runs longer ends its worker, and all "
            "that it runs",
            "consumer_timeout = 2592000000 in rabbitmq.conf, or RabbitMQ 3.12 or later, or a shorter "
            "PLATFORM_TIME_LIMIT_S",
        )
    conf = subject.app.conf
    shared = [name for name in ("control", "event") if not (conf[f"{name}_queue_exclusive"] or _is_durable(conf, name))]
    if found is not None and found >= NO_SHARED_TRANSIENT_QUEUES and shared:
        yield error(
            "transient-queues-refused",
            f"{' and '.join(f'{name}_queue_exclusive' for name in shared)} is off",
            f"RabbitMQ {found} refuses queues that are neither exclusive nor durable: workers do not start",
            "leave them True",
        )


def priorities(subject: Subject) -> Iterator[Finding]:
    """Quorum queues have none before RabbitMQ 4.0, and two classes before 4.3."""
    if not isinstance(subject.rabbit, Rabbit) or subject.config.queue_type != "quorum":
        return
    found = _version(subject.rabbit)
    if found is None or found >= TEN_QUORUM_PRIORITIES:
        return
    what = "in the order they were submitted" if found < TWO_QUORUM_PRIORITIES else "in two classes, 0-4 and 5-9"
    chosen = (task for task in subject.tasks if getattr(task, "default_priority", None) not in (None, DEFAULT_PRIORITY))
    yield from about(
        chosen,
        lambda names: warning(
            "priorities-not-kept",
            f"{names}: has a priority, and the queues are quorum queues of RabbitMQ {found}",
            f"it starts jobs {what}: urgent ones wait behind others",
            "PLATFORM_QUEUE_TYPE=classic, or RabbitMQ 4.3 or later, or a queue of its own for what is urgent",
        ),
    )


def _longest_limit_s(subject: Subject) -> float | None:
    """The longest hard limit of any task; None if one has none."""
    limits = [task.time_limit or subject.app.conf.task_time_limit for task in subject.tasks]
    limits.append(subject.app.conf.task_time_limit)
    return None if None in limits or 0 in limits else max(limits)


def _is_durable(conf: object, name: str) -> bool:
    return bool(getattr(conf, f"{name}_queue_durable"))


def queues(subject: Subject) -> Iterator[Finding]:
    if not isinstance(subject.rabbit, Rabbit):
        return
    for name, how in sorted(subject.rabbit.mismatches.items()):
        yield error(
            "queue-declared-otherwise",
            f"the queue {name} exists with other arguments: {how}",
            "no worker can declare it, so none starts",
            f"let its jobs end, then rabbitmqctl delete_queue {name}; the next worker declares it again",
        )


def declarations(subject: Subject) -> Iterator[Finding]:
    """What workers would declare: a user's module may have replaced ``task_queues``."""
    if subject.is_redis:
        return
    longest_ms = (_longest_limit_s(subject) or 0) * 1000
    for name, queue in sorted(subject.app.amqp.queues.items()):
        arguments = queue.queue_arguments or {}
        if not queue.durable:
            yield error(
                "queue-not-durable",
                f"the queue {name} is not durable",
                "RabbitMQ forgets it, and its jobs, when it restarts",
                "Queue(…, durable=True), or name it in PLATFORM_QUEUES",
            )
        if arguments.get("x-max-priority") != MAX_PRIORITY and arguments.get("x-queue-type") != "quorum":
            yield error(
                "queue-without-priorities",
                f"the queue {name} has no x-max-priority {MAX_PRIORITY}",
                "urgent jobs wait behind all others",
                "name it in PLATFORM_QUEUES in place of task_queues",
            )
        if arguments.get("x-consumer-timeout", 0) <= max(longest_ms, 1):
            yield error(
                "consumer-timeout-short",
                f"the queue {name} has no x-consumer-timeout above the longest time limit",
                "RabbitMQ closes the channel under a job that runs longer: its worker ends, and it runs again",
                "name it in PLATFORM_QUEUES in place of task_queues",
            )


def _version(rabbit: Rabbit) -> Version | None:
    try:
        return Version(rabbit.version)
    except InvalidVersion:
        return None


CHECKS = (away, alarm, version, priorities, queues, declarations)
