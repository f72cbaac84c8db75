"""The pipeline at one moment, as its operators see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from platform.celery import app
from platform.queueing.overview import QueueNow, queues_now
from platform.stages.counters import counters
from platform.stages.graph import graph
from platform.stages.stage import Stage


@dataclass(frozen=True)
class StageNow:
    """One stage now.

    ``to`` are the stages it feeds; ``side`` is before, write or after. ``batch`` is how many changes one call takes at
    most, ``concurrency`` how many of its messages are worked on at once over all workers (None: as many as there are
    slots), ``max_retries`` None without end. ``depth``, ``running`` and ``waiting_for_retry`` count messages and jobs,
    ``changes`` all that ever came in, went out, was dropped or failed.
    """

    name: str
    task: str
    queue: str
    side: str
    to: list[str]
    batch: int
    concurrency: int | None
    rate_limit: str | None
    max_retries: int | None
    paused: bool
    depth: int
    running: int
    waiting_for_retry: int
    out_per_s: float
    workers: list[str]
    changes: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def pipeline_now() -> list[StageNow]:
    """Every stage, those that feed before those that are fed. Raises BrokerUnavailable."""
    app.load_everything()
    stages = [*graph]
    found = {queue.name: queue for queue in queues_now(list(dict.fromkeys(stage.queue for stage in stages)))}
    counted = counters()
    return [_assembled(stage, found[stage.queue], counted.get(stage.name, {})) for stage in stages]


def _assembled(stage: Stage, queue: QueueNow, counted: dict[str, float]) -> StageNow:
    task = app.tasks[stage.task]
    return StageNow(
        name=stage.name,
        task=stage.task,
        queue=stage.queue,
        side=stage.side.value,
        to=[follower.name for follower in graph.followers(stage.name)],
        batch=stage.batch,
        concurrency=task.concurrency,
        rate_limit=task.rate_limit,
        max_retries=task.max_retries,
        paused=queue.paused,
        depth=queue.depth,
        running=queue.running,
        waiting_for_retry=queue.retrying,
        out_per_s=queue.rates.out_per_s,
        workers=queue.consumers,
        changes={what: int(counted.get(what, 0)) for what in ("in", "out", "dropped", "failed")},
    )
