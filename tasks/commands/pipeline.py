"""``celery -A platform pipeline``: the stages changes go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platform.stages.overview import StageNow

COLUMNS = [
    *("Stage", "Queue", "State", "Waiting", "Running", "Retrying", "Batch", "At once", "Retries"),
    *("In", "Out", "Dropped", "Failed", "Workers"),
]


@click.group()
def pipeline() -> None:
    """Look at the pipeline."""


@pipeline.command()
@json_option("Print a JSON list.")
@reporting_errors()
def show(as_json: bool) -> None:
    """Draw the stages, who feeds whom, and what each has to do.

    Waiting are messages in the stage's queue, Running and Retrying its jobs. Batch is how many changes one call
    takes at most; At once how many messages are worked on at the same time over all workers; Retries how often a
    change that fails is tried again. In, Out, Dropped and Failed count changes since the beginning.
    """
    from platform.stages.overview import pipeline_now

    stages = pipeline_now()
    if as_json:
        print_json([stage.as_dict() for stage in stages])
        return
    drawn = _tree(stages)
    print_table(COLUMNS, [_row(stage, drawn[stage.name]) for stage in stages])


def _tree(stages: Sequence[StageNow]) -> dict[str, str]:
    """Each stage's name under the one that feeds it: ``write``, below it ``├─ route`` and ``└─ email``."""
    by_name, drawn = {stage.name: stage for stage in stages}, {}

    def draw(name: str, own: str, below: str) -> None:
        drawn[name] = f"{own}{name}"
        to = by_name[name].to
        for follower in to:
            if by_name[name].side == "before":
                draw(follower, below, below)
            else:
                is_last = follower == to[-1]
                draw(follower, f"{below}{'└─' if is_last else '├─'} ", f"{below}{'  ' if is_last else '│ '} ")

    draw(stages[0].name, "", "")
    return drawn


def _row(stage: StageNow, drawn: str) -> list[object]:
    at_once = " ".join(str(part) for part in (stage.concurrency, stage.rate_limit) if part) or "no limit"
    return [
        drawn,
        stage.queue,
        "paused" if stage.paused else "active",
        stage.depth,
        stage.running,
        stage.waiting_for_retry,
        stage.batch,
        at_once,
        "no end" if stage.max_retries is None else stage.max_retries,
        *(stage.changes[what] for what in ("in", "out", "dropped", "failed")),
        len(stage.workers),
    ]
