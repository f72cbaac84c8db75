"""Lines about what a scenario showed: printed at once, and again at the end of the run."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LINES: list[str] = []


def report(scenario: str, *facts: str) -> None:
    line = f"{scenario}: {'; '.join(facts)}"
    LINES.append(line)
    print(f"\n{line}")


def spread(times_s: Sequence[float]) -> str:
    """How long things took: the median, the longest, and how many they were."""
    if not times_s:
        return "– (none)"
    return f"p50 {median(times_s):.1f} s, max {max(times_s):.1f} s ({len(times_s)})"
