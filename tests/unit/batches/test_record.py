"""A batch, and an item, as they are read."""

from __future__ import annotations

import pytest

from platform.batches.items import blocks_of, indices_in, item_of
from platform.batches.record import Batch, from_hash
from platform.batches.states import BatchState, ItemState

NOW_MS = 1_790_000_010_000
RUNNING = {
    "state": "running",
    "task": "t",
    "total": "100",
    "completed": "30",
    "failed": "2",
    "running": "4",
    "started_at": str(NOW_MS - 10_000),
    "created_at": str(NOW_MS - 10_000),
    "is_open": "0",
}


def batch(**more: str) -> Batch:
    return from_hash("b", RUNNING | more, NOW_MS)


def test_what_waits_is_what_neither_runs_nor_has_ended() -> None:
    found = batch()
    assert (found.done, found.pending, found.running, found.cancelled) == (32, 64, 4, 0)


def test_before_the_first_measure_the_rate_is_the_average() -> None:
    assert (batch().rate_per_s, batch().eta_s) == (3.2, 21.2)


def test_a_measured_rate_holds_for_a_while_and_then_sinks() -> None:
    fresh = batch(rate="20", rate_at=str(NOW_MS - 1_000), rate_done="30")
    stale = batch(rate="20", rate_at=str(NOW_MS - 8_000), rate_done="30")
    assert (fresh.rate_per_s, fresh.eta_s) == (20.0, 3.4)
    assert stale.rate_per_s == 0.25


@pytest.mark.parametrize("more", [{"is_open": "1"}, {"started_at": ""}])
def test_an_end_that_cannot_be_told_is_not_told(more: dict[str, str]) -> None:
    assert batch(**more).eta_s is None


def test_a_batch_that_has_ended_says_how_fast_it_was() -> None:
    over = batch(state="failed", completed="98", running="0", finished_at=str(NOW_MS - 5_000), rate="1", rate_at="1")
    assert (over.state, over.rate_per_s, over.eta_s, over.is_final) == (BatchState.FAILED, 20.0, 0.0, True)


def test_a_callback_has_a_job_once_it_was_decided_on() -> None:
    told = '{"task":"report","kwargs":{"a":1}}'
    waiting, fired = batch(on_complete=told), batch(on_complete=told, fired_on_complete="1")
    assert waiting.on_complete.job_id is None
    assert fired.on_complete.job_id
    assert (fired.on_complete.task, fired.on_complete.kwargs, fired.on_success) == ("report", {"a": 1}, None)


def test_an_item_is_its_index_unless_something_else_is_kept() -> None:
    assert item_of(7, "p", None, None, None).item == 7
    assert item_of(7, "p", '{"a":1}', None, None).item == {"a": 1}


def test_outcomes_are_results_or_errors() -> None:
    done = item_of(0, "c", None, "+81", "2")
    failed = item_of(0, "f", None, '-{"type":"E","message":"m"}', "3")
    nothing = item_of(0, "c", None, None, None)
    assert (done.result, done.error, done.attempts) == (81, None, 3)
    assert (failed.result, failed.error, failed.attempts) == (None, {"type": "E", "message": "m"}, 3)
    assert (nothing.result, nothing.attempts) == (None, 1)


def test_one_that_waits_for_another_try_is_pending() -> None:
    assert item_of(0, "a", None, None, "1").state == ItemState.PENDING
    assert list(indices_in("pacfxr", ItemState.PENDING)) == [0, 1]
    assert list(indices_in("pacfxr", None)) == [0, 1, 2, 3, 4, 5]


def test_items_are_kept_by_the_hundred() -> None:
    assert list(blocks_of([5, 99, 100, 350])) == [(0, [5, 99]), (1, [100]), (3, [350])]
