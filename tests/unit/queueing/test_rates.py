"""Counts of a minute to jobs per second."""

from __future__ import annotations

from collections import Counter

from platform.queueing.rates import Rates, _rates


def test_every_outcome_leaves_the_queue_and_only_failures_fail() -> None:
    counts = Counter({"q\x1fsubmitted": 120, "q\x1fcompleted": 30, "q\x1ffailed": 20, "q\x1fcancelled": 10})
    assert _rates("q", counts, 60.0) == Rates(in_per_s=2.0, out_per_s=1.0, failed_per_s=0.333)


def test_a_queue_where_nothing_happened_has_no_speed() -> None:
    assert _rates("q", Counter({"other\x1fsubmitted": 5}), 50.0) == Rates(0.0, 0.0, 0.0)
