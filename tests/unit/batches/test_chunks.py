"""Chunks: their size, and their items as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform.batches.chunks import callback_job_id, chunk_job_id, indices_of, ranges_of, size_for


@pytest.mark.parametrize(("total", "size"), [(0, 1), (32, 1), (33, 2), (1_000, 32), (100_000, 100), (None, 100)])
def test_a_small_batch_is_spread_and_a_large_one_has_chunks_of_a_hundred(total: int | None, size: int) -> None:
    assert size_for(total) == size


@given(st.sets(st.integers(0, 500)))
def test_items_survive_their_way_through_text(indices: set[int]) -> None:
    assert indices_of(ranges_of(sorted(indices))) == sorted(indices)


def test_neighbours_are_written_as_a_range() -> None:
    assert ranges_of([0, 1, 2, 7, 9, 10]) == "0-2,7,9-10"
    assert ranges_of([]) == ""


def test_ids_are_derived_and_differ() -> None:
    ids = [chunk_job_id("b", 1), chunk_job_id("b", 2), chunk_job_id("c", 1), callback_job_id("b", "on_complete")]
    assert len(set(ids)) == 4
    assert chunk_job_id("b", 1) == ids[0]
