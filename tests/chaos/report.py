"""Lines about what a scenario showed: printed at once, and again at the end of the run."""

from __future__ import annotations

LINES: list[str] = []


def report(scenario: str, *facts: str) -> None:
    line = f"{scenario}: {'; '.join(facts)}"
    LINES.append(line)
    print(f"\n{line}")
