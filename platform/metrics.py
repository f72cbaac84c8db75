"""Job metrics for Prometheus, read from the counters every transition keeps in the record store.

They are counted once, in the store, whatever process a job ran in: right under prefork, several gunicorn workers
and several machines, and kept over restarts. Scrape one address of the platform, not each of its processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from platform import registry
from platform.batches.register import batches
from platform.deadletters.register import dead_letters
from platform.jobs.ledger import ledger
from platform.queueing.limits import limited
from platform.queueing.pauses import paused
from platform.queues import names
from platform.routing.subscriptions import subscriptions
from platform.schedules.election import schedulers
from platform.schedules.missed import LATE_MS
from platform.schedules.register import register
from platform.settings import settings
from platform.stages import counters
from platform.streams.delivery import streams

SEPARATOR = "\x1f"
# Those of ``index.lua``, in seconds.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

RUN_OUTCOMES = ("fired", "missed", "overlapped", "not_unique", "failed")
#: Outcome of a change to its counter in ``stream.lua``.
STREAM_OUTCOMES = {"appended": "appended", "held": "held", "duplicate": "dropped", "resync": "resyncs"}
ROUTED = {
    "groups": "Groups of subscriptions that changes and events of streams matched.",
    "targets": "Socket processes that were told of changes and events of streams.",
    "rereads": "Socket processes told to read a stream again, as they joined while a change was on its way.",
}


class JobsCollector(Collector):
    """``platform_jobs_total{task,queue,outcome}``, wait and run times, and all the rest there is one of everywhere."""

    def collect(self) -> Iterator[Metric]:
        yield self._outcomes()
        yield self._histogram("wait", "From a job being ready to run until a worker began it.")
        yield self._histogram("run", "From a worker beginning a job until its outcome.")
        yield from self._queues()
        yield self._dead_letters()
        yield GaugeMetricFamily(
            "platform_workers", "Workers seen in the last 15 seconds.", value=len(registry.workers())
        )
        yield from self._streams()
        yield from self._stages()
        yield from self._schedules()
        yield from self._batches()

    def describe(self) -> Iterator[Metric]:
        """Nothing is read at registration."""
        return iter(())

    def _batches(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("platform_batches", "Batches by state.", labels=["state"])
        for state, number in batches().counts().items():
            states.add_metric([state], number)
        text = "Items of batches by outcome; a retried one has another outcome to come."
        items = CounterMetricFamily("platform_batch_items", text, labels=["task", "outcome"])
        for (task, outcome), number in batches().outcomes().items():
            items.add_metric([task, outcome], number)
        yield from (states, items)

    def _schedules(self) -> Iterator[Metric]:
        states = GaugeMetricFamily("platform_schedules", "Schedules; overdue ones are active.", labels=["state"])
        for state, number in register().counts(LATE_MS).items():
            states.add_metric([state], number)
        text = "Runs of schedules by what became of them; not_unique and overlapped ones made no job by their rules."
        runs, found = CounterMetricFamily("platform_schedule_runs", text, labels=["outcome"]), register().metrics()
        for outcome in RUN_OUTCOMES:
            runs.add_metric([outcome], found.get(outcome, 0))
        text = "From a run being due until its job was handed out."
        yield from (states, runs, self._histogram("lateness", text, "platform_schedule_lateness_seconds"))
        yield self._schedulers()

    def _schedulers(self) -> Metric:
        text = "Schedulers that stand, by what they do; nothing is run on a clock while none acts."
        family, standing = GaugeMetricFamily("platform_schedulers", text, labels=["role"]), schedulers(register())
        acting = sum(one.acting for one in standing)
        for role, number in (("acting", acting), ("standby", len(standing) - acting)):
            family.add_metric([role], number)
        return family

    def _streams(self) -> Iterator[Metric]:
        counts = streams().counts()
        text = "Changes of documents by what became of them; held ones come later, resyncs count as appended too."
        family = CounterMetricFamily("platform_stream_changes", text, labels=["outcome"])
        for outcome, name in STREAM_OUTCOMES.items():
            family.add_metric([outcome], counts.get(name, 0))
        yield family
        for name, text in ROUTED.items():
            yield CounterMetricFamily(f"platform_routed_{name}", text, value=counts.get(name, 0))
        text = "Socket processes that gave a sign of life in the last 15 seconds."
        yield GaugeMetricFamily("platform_socket_processes", text, value=len(subscriptions().processes()))

    def _stages(self) -> Iterator[Metric]:
        text = "Changes that stages were given (in), passed on (out), dropped, or could not work on (failed)."
        changes = CounterMetricFamily("platform_stage_changes", text, labels=["stage", "what"])
        text, labels = "Changes in one call of a stage.", ["stage"]
        sizes = HistogramMetricFamily("platform_stage_batch_changes", text, labels=labels)
        took = HistogramMetricFamily("platform_stage_seconds", "How long one call of a stage took.", labels=labels)
        for stage, own in counters.counters().items():
            for what in ("in", "out", "dropped", "failed"):
                changes.add_metric([stage, what], own.get(what, 0))
            sizes.add_metric([stage], counters.cumulative(counters.SIZES, own, "size"), sum_value=own.get("in", 0))
            took.add_metric([stage], counters.cumulative(counters.SECONDS, own, "seconds"), sum_value=own.get("sum", 0))
        yield from (changes, sizes, took)

    def _outcomes(self) -> Metric:
        labels = ["task", "queue", "outcome"]
        family = CounterMetricFamily("platform_jobs", "Jobs that ended or were retried, by outcome.", labels=labels)
        for field, count in ledger().metrics("jobs").items():
            family.add_metric(field.split(SEPARATOR), int(count))
        return family

    def _dead_letters(self) -> Metric:
        labels = ["queue", "reason"]
        family = GaugeMetricFamily("platform_dead_letters", "Dead letters by queue and reason.", labels=labels)
        for (queue, reason), count in dead_letters().counts().items():
            family.add_metric([queue, reason], count)
        return family

    def _histogram(self, name: Literal["wait", "run", "lateness"], text: str, as_name: str = "") -> Metric:
        family = HistogramMetricFamily(as_name or f"platform_job_{name}_seconds", text, labels=["task", "queue"])
        for (task, queue), slots in _by_labels(ledger().metrics(name)).items():
            family.add_metric([task, queue], _cumulative(slots), sum_value=slots.get("sum", 0) / 1000)
        return family

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("platform_queue_jobs", "Jobs by queue and state.", labels=["queue", "state"])
        age = GaugeMetricFamily(
            "platform_queue_oldest_seconds", "Age of the oldest job waiting in a queue.", labels=["queue"]
        )
        known = names(settings())
        oldest, now = ledger().oldest_pending(known), time.time()
        for queue, states in ledger().counts(known).items():
            if not queue:
                continue
            for state in ("pending", "scheduled", "running", "retrying"):
                depth.add_metric([queue, state], states[state])
            age.add_metric([queue], max(0.0, now - (oldest[queue] or now)))
        yield depth
        yield age
        yield self._paused(known)
        yield self._limited(known)

    def _limited(self, known: list[str]) -> Metric:
        text = "Jobs that wait for their turn under a limit, their task's or the queue's."
        family = GaugeMetricFamily("platform_queue_limited_jobs", text, labels=["queue"])
        for queue, count in limited(known).items():
            family.add_metric([queue], count)
        return family

    def _paused(self, known: list[str]) -> Metric:
        family = GaugeMetricFamily("platform_queue_paused", "1 while a queue is paused, else 0.", labels=["queue"])
        now = paused()
        for queue in known:
            family.add_metric([queue], float(queue in now))
        return family


def _by_labels(counters: dict[str, str]) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for field, count in counters.items():
        task, queue, slot = field.split(SEPARATOR)
        found.setdefault((task, queue), {})[slot] = int(count)
    return found


def _cumulative(slots: dict[str, int]) -> list[tuple[str, float]]:
    buckets, seen = [], 0
    for number, bound in enumerate([*map(str, BUCKETS_S), "+Inf"], 1):
        seen += slots.get(str(number), 0)
        buckets.append((bound, float(seen)))
    return buckets
