"""What a worker has done since its process, or its run, began: for probes, metrics and lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from platform.serialization import encodable


@dataclass
class Progress:
    """``state``: ``standby``, ``working``, ``waiting`` for the next batch, ``failing``, ``stopped``.

    Times are in Unix seconds.
    """

    name: str
    state: str = "standby"
    processed: int = 0
    batches: int = 0
    errors: int = 0
    fence: int | None = None
    last_run_at: float | None = None
    last_error: str | None = None

    def begin(self) -> None:
        self.state = "working"

    def did(self, count: int) -> None:
        self.state, self.last_run_at = "waiting", time.time()
        self.batches += 1
        self.processed += count
        self.last_error = None

    def failed(self, exc: BaseException) -> None:
        self.state, self.last_run_at = "failing", time.time()
        self.errors += 1
        self.last_error = encodable(f"{type(exc).__name__}: {exc}")[:500]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class ProgressCollector(Collector):
    """``platform_batch_worker_processed_total{worker}`` and what else a probe of one process wants."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        now = self._progress
        for name, text, count in (
            ("processed", "What process_batch said it did, added up.", now.processed),
            ("batches", "Calls of process_batch that returned.", now.batches),
            ("errors", "Calls that raised.", now.errors),
        ):
            counter = CounterMetricFamily(f"platform_batch_worker_{name}", text, labels=["worker"])
            counter.add_metric([now.name], count)
            yield counter
        text = "1 while this process holds a slot, 0 while it stands by."
        yield self._gauge("active", text, float(now.state in ("working", "waiting", "failing")))
        text = "When process_batch last ended, in Unix time; 0 never."
        yield self._gauge("last_run_timestamp_seconds", text, now.last_run_at or 0.0)

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(f"platform_batch_worker_{name}", text, labels=["worker"])
        gauge.add_metric([self._progress.name], value)
        return gauge
