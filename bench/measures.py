"""What a benchmark returns, and the statistics of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

#: Says what is being done just now.
Tell = Callable[[str], None]


class BenchmarkFailed(Exception):
    """A system did not do its work, or not once; there is nothing to report."""


@dataclass(frozen=True)
class Options:
    """What the command line chose; ``systems`` empty means all."""

    jobs: int = 500
    repeat: int = 3
    systems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """One thing measured: ``key`` for programs, ``title`` for people."""

    key: str
    title: str
    unit: str
    more_is_better: bool


@dataclass(frozen=True)
class System:
    """One of those compared; ``note`` says what it does for its numbers and how it was set up."""

    key: str
    label: str
    note: str
    is_ours: bool = False


@dataclass
class Results:
    """Samples by system and measure, in the order they were taken, the same number from each round.

    ``parameters`` holds the number of rounds as ``repeat``, and whatever else a reader needs to repeat the run.
    """

    benchmark: str
    title: str
    measures: Sequence[Measure]
    systems: Sequence[System]
    baseline: str
    parameters: Mapping[str, int]
    notes: Sequence[str] = ()
    versions: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, system: str, found: Mapping[str, float]) -> None:
        """One sample each of what was measured of a system."""
        for measure, value in found.items():
            self.samples.setdefault(system, {}).setdefault(measure, []).append(value)

    def of(self, system: str, measure: str) -> list[float]:
        """The samples; empty if this was not measured."""
        return self.samples.get(system, {}).get(measure, [])

    def median(self, system: str, measure: str) -> float | None:
        samples = self.of(system, measure)
        return statistics.median(samples) if samples else None

    def ratio(self, system: str, measure: str) -> float | None:
        """How many times the baseline's median; None where one of the two was not measured."""
        mine, theirs = self.median(system, measure), self.median(self.baseline, measure)
        return mine / theirs if mine is not None and theirs else None


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least ``percent`` % of the samples do not exceed (nearest rank).

    Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("no samples")
    rank = max(1, math.ceil(len(samples) * percent / 100))
    return sorted(samples)[rank - 1]
