"""What becomes of runs whose time has passed: which one is handed out now, and when the next is due.

A run is missed when it was due for more than ``LATE_MS`` while nobody acted. ``skip``: it is left out. ``once``: of
however many were missed one is handed out. ``all``: each of the last day is, one after the other. Of several that are
merely late, as after a fail-over, ``skip`` and ``once`` hand out one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from platform.schedules.timing import Timing, times

Missed = Literal["skip", "once", "all"]

#: Twice what a fail-over takes at most: one that is no later is run by every policy, or a daily job that was due in the
#: middle of a fail-over would be left out for a day.
LATE_MS = 30_000
MAKE_UP_MS = 86_400_000
#: Of the runs left out at once so many are counted.
MOST_COUNTED = 1000


@dataclass(frozen=True)
class Plan:
    """``run_ms``: the time of the run to hand out now, None for none; ``missed``: how many are left out for good."""

    run_ms: int | None
    following_ms: int | None
    missed: int


def plan(timing: Timing, due_ms: int, now_ms: int, policy: Missed) -> Plan:
    """What to do at ``now_ms`` about a schedule that is due since ``due_ms``."""
    run_ms = _chosen(timing, due_ms, now_ms, policy)
    if policy == "all" and run_ms is not None:
        return Plan(run_ms, timing.after(run_ms), _count(timing, due_ms, run_ms - 1))
    return Plan(run_ms, timing.after(now_ms), _count(timing, due_ms, now_ms) - (run_ms is not None))


def _chosen(timing: Timing, due_ms: int, now_ms: int, policy: Missed) -> int | None:
    if policy == "once":
        return due_ms
    earliest = now_ms - (MAKE_UP_MS if policy == "all" else LATE_MS)
    if due_ms >= earliest:
        return due_ms
    first = timing.after(earliest - 1)
    return first if first is not None and first <= now_ms else None


def _count(timing: Timing, first_ms: int, last_ms: int) -> int:
    return sum(1 for _ in islice(times(timing, first_ms, last_ms), MOST_COUNTED))
