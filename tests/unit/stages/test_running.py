"""What a log shows of a stage's result."""

from __future__ import annotations

from typing import Any

import pytest
from celery.app import trace
from celery.utils.saferepr import saferepr

from platform.stages.running import shown

RESULTS = [
    None,
    {},
    {"id": "a", "type": "note", "version": 3},
    [{"id": "a", "type": "note", "version": 3}],
    {"of": {"several": ["levels", 1.5]}},
    {"id": "a" * 2_000},
    "text",
    b"bytes",
]


@pytest.mark.parametrize("result", RESULTS, ids=str)
def test_a_result_is_shown_as_celery_shows_it(result: Any) -> None:
    assert shown(result, 1024) == saferepr(result, 1024)


def test_the_tracer_shows_results_so() -> None:
    assert trace.saferepr is shown
