"""Replaying all dead letters that match, as a job like any other: seen, cancelled between letters, gone on with.

A slice of the work ends after ``SLICE_S`` and the job is put back in its queue, so that a slow rate neither holds up a
worker that is to stop nor keeps others' jobs from running.
"""

from __future__ import annotations

import time
from dataclasses import astuple
from typing import Any

from platform.deadletters.register import Filter
from platform.deadletters.replaying import ReplayOfMany, Tally
from platform.deadletters.shelf import START
from tasks import app

SLICE_S = 20.0


@app.task(bind=True)
def replay(
    self: Any,
    *,
    until_ms: int,
    actor: str,
    matching: int,
    reason: str | None = None,
    task: str | None = None,
    queue: str | None = None,
    rate_per_s: float | None = None,
    so_far: list[Any] | None = None,
    after: list[Any] | None = None,
) -> dict[str, Any]:
    """Replay the letters that match and had died by ``until_ms``; ``{"replayed", "left_out", "why"}``."""
    wanted, begun = Filter(reason, task, queue), Tally(*(so_far or ()))
    many = ReplayOfMany(wanted, until_ms, actor, rate_per_s, begun, tuple(after) if after else START)
    over_at = time.monotonic() + SLICE_S
    for tally in many.steps():
        self.progress(tally.done, max(matching, tally.done + 1), f"{tally.replayed} replayed")
        if time.monotonic() > over_at:
            same = {"until_ms": until_ms, "actor": actor, "matching": matching, "rate_per_s": rate_per_s}
            raise self.replace(self.s(**same, **vars(wanted), so_far=astuple(tally), after=many.after))
    self.progress(many.tally.done, many.tally.done, f"{many.tally.replayed} replayed")
    return {"replayed": many.tally.replayed, "left_out": many.tally.left_out, "why": many.tally.why}
