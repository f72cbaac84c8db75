"""The workers there are now: whether they agree, answer, and keep time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from platform import registry
from platform.audit.backlog import queues_of, waiting
from platform.audit.finding import Finding, error, note, warning
from platform.audit.subject import Subject
from platform.stages.graph import messages_per_slot

SKEW_S, BAD_SKEW_S = 2.0, 60.0
SHOWN = 4
MOST_PREFETCH = 2


def workers(subject: Subject) -> Iterator[Finding]:
    if subject.records and subject.is_broker_there and not subject.workers and not waiting(subject):
        yield note(
            "no-workers",
            "no worker runs",
            "jobs are accepted and wait",
            "celery -A platform up, or celery -A platform worker",
        )


def one_name_for_several(subject: Subject) -> Iterator[Finding]:
    for name, answer in sorted(subject.answers.items()):
        if answer.workers > 1:
            yield warning(
                "worker-names-clash",
                f"{answer.workers} workers are called {name}",
                "they answer for one another: lists show one of them, and what is asked of one is done by both",
                "give each worker a name of its own: celery -A platform worker -n worker2@%h",
            )


def disagreeing(subject: Subject) -> Iterator[Finding]:
    for fact, what in (("release", "the platform"), ("celery", "Celery")):
        versions = sorted({str(worker[fact]) for worker in subject.workers if fact in worker})
        if len(versions) > 1:
            yield warning(
                "workers-of-different-versions",
                f"workers run {what} {' and '.join(versions)}",
                "during an update that is as it should be; afterwards the old ones refuse new kinds of jobs",
                "celery -A platform services update, or restart the older workers",
            )
    known = set(queues_of(subject))
    strange = sorted({queue for worker in subject.workers for queue in worker["queues"]} - known)
    if strange:
        yield warning(
            "workers-serve-unknown-queues",
            f"workers serve {', '.join(strange[:SHOWN])}, which these settings do not name",
            "another platform shares this server and key prefix, or workers run with other settings",
            "the same PLATFORM_QUEUES everywhere; a PLATFORM_KEY_PREFIX of its own for each platform",
        )


def tasks_of_workers(subject: Subject) -> Iterator[Finding]:
    """A job goes to any worker of its queue: each must know every task that is sent there."""
    if not subject.answers:
        return
    here = {task.name: _queue_of(subject, task) for task in subject.tasks}
    lacking: dict[str, set[str]] = {}
    for worker in subject.workers:
        knows = _tasks(subject, worker)
        wanted = {name for name, queue in here.items() if queue in worker["queues"]}
        for other in subject.workers:
            if set(other["queues"]) & set(worker["queues"]):
                wanted |= _tasks(subject, other) - here.keys()
        if knows and wanted - knows:
            lacking[worker["name"]] = wanted - knows
    for name, missing in sorted(lacking.items()):
        shown = ", ".join(sorted(missing)[:SHOWN]) + (" …" if len(missing) > SHOWN else "")
        yield error(
            "worker-lacks-tasks",
            f"worker {name} does not know {shown}",
            "it takes such jobs from its queues and cannot run them: older code, other PLATFORM_IMPORTS, or "
            "another platform with the same key prefix",
            "restart it with the same code and PLATFORM_IMPORTS; give another platform its own PLATFORM_KEY_PREFIX",
        )


def silent(subject: Subject) -> Iterator[Finding]:
    if not subject.is_broker_there or not subject.app.conf.worker_enable_remote_control:
        return
    for worker in subject.workers:
        if worker["name"] not in subject.answers:
            yield warning(
                "worker-silent",
                f"worker {worker['name']} is alive and does not answer",
                "its main process is stuck or starved: it takes no jobs, and cannot stop those that were cancelled",
                f"its watchdog ends it if that lasts for {subject.config.watchdog_s:g} s; read its log",
            )


def pools(subject: Subject) -> Iterator[Finding]:
    for name, answer in sorted(subject.answers.items()):
        implementation = str(answer.stats.get("pool", {}).get("implementation", ""))
        if implementation and "prefork" not in implementation:
            yield warning(
                "worker-pool-without-limits",
                f"worker {name} runs its jobs in {implementation.partition(':')[0]}",
                "only prefork enforces time limits, stops cancelled jobs by force and outlives a crashing task",
                "start it without -P, or let it serve only queues whose tasks need none of that",
            )


def hoarders(subject: Subject) -> Iterator[Finding]:
    """Workers of RabbitMQ that are sent many more messages than they run; on Redis free slots decide."""
    if subject.app.conf.worker_disable_prefetch:
        return
    queues = {worker["name"]: worker["queues"] for worker in subject.workers}
    for name, answer in sorted(subject.answers.items()):
        prefetch = answer.stats.get("prefetch_count") or 0
        slots = answer.stats.get("pool", {}).get("max-concurrency") or 0
        if slots and prefetch > MOST_PREFETCH * slots * messages_per_slot(queues.get(name, ()), mixes=False):
            yield warning(
                "worker-hoards",
                f"worker {name} may hold {prefetch} jobs and runs {slots} at a time",
                "jobs wait inside it while others idle, and out of the order of priorities",
                "start it without --prefetch-multiplier",
            )


def clocks(subject: Subject) -> Iterator[Finding]:
    if subject.records is None:
        return
    store = subject.records
    ahead = {"this machine": -store.ahead_s}
    ahead |= {f"worker {w['name']}": registry.ahead_s(store.client, subject.config, w) for w in subject.workers}
    for who, seconds in sorted(ahead.items()):
        if abs(seconds) > SKEW_S:
            severe = error if abs(seconds) > BAD_SKEW_S else warning
            yield severe(
                "clock-wrong",
                f"the clock of {who} is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} that of the "
                "record store",
                "delays, expiry and tokens are off by that much, and jobs seem to end before they began",
                "run a time service (chrony, systemd-timesyncd) on every machine",
            )


CHECKS = (
    *(workers, one_name_for_several),
    *(disagreeing, tasks_of_workers, silent, pools, hoarders, clocks),
)


def _tasks(subject: Subject, worker: dict[str, Any]) -> set[str]:
    answer = subject.answers.get(worker["name"])
    return answer.tasks if answer else set()


def _queue_of(subject: Subject, task: Any) -> str:
    return getattr(task, "default_queue", None) or str(subject.app.conf.task_default_queue)
