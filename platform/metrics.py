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
from platform.jobs.ledger import ledger
from platform.queues import names
from platform.settings import settings

SEPARATOR = "\x1f"
# Those of ``index.lua``, in seconds.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class JobsCollector(Collector):
    """``platform_jobs_total{task,queue,outcome}``, wait and run time, depth and age of queues, workers."""

    def collect(self) -> Iterator[Metric]:
        yield self._outcomes()
        yield self._histogram("wait", "From a job being ready to run until a worker began it.")
        yield self._histogram("run", "From a worker beginning a job until its outcome.")
        yield from self._queues()
        yield GaugeMetricFamily(
            "platform_workers", "Workers seen in the last 15 seconds.", value=len(registry.workers())
        )

    def describe(self) -> Iterator[Metric]:
        """Nothing is read at registration."""
        return iter(())

    def _outcomes(self) -> Metric:
        labels = ["task", "queue", "outcome"]
        family = CounterMetricFamily("platform_jobs", "Jobs that ended or were retried, by outcome.", labels=labels)
        for field, count in ledger().metrics("jobs").items():
            family.add_metric(field.split(SEPARATOR), int(count))
        return family

    def _histogram(self, name: Literal["wait", "run"], text: str) -> Metric:
        family = HistogramMetricFamily(f"platform_job_{name}_seconds", text, labels=["task", "queue"])
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
