"""A job or an item that makes a batch and is run again: the same batch if it makes the same, else no item is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from platform.batches import creation
from platform.batches.creation import NewBatch
from platform.batches.record import Batch
from platform.batches.register import Batches, batches
from tasks import app

app.load_everything()

#: What the maker gives to ``create``; a test says so before each run.
given: dict[str, Any] = {}
made: list[Batch] = []


@app.task(name="repeating.item")
def item(n: int, **kwargs: Any) -> int:
    return n


@app.task(name="repeating.maker")
def maker() -> None:
    told = dict(given)
    items, count = told.pop("items", None), told.pop("count", None)
    made.append(creation.create(NewBatch("repeating.item", **told), items, count))


@pytest.fixture
def register(broker_url: str) -> Batches:
    made.clear()
    return batches()


def run(job_id: str = "a-job", **told: Any) -> Batch:
    """One run of a job that makes a batch; a second one of the same job is what follows the death of its worker."""
    given.clear()
    given.update(told)
    maker.apply(task_id=job_id, throw=True)
    return made[-1]


def values(batch: Batch) -> list[Any]:
    return [one.item for one in batches().items(batch.batch_id, limit=5_000)[0]]


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a list": ({"items": [1, 2]}, {"items": [1, 2]}),
    "a count": ({"count": 3}, {"count": 3}),
    "a set": ({"items": {"b", "a", "c"}}, {"items": {"c", "b", "a"}}),
    "a generator": ({"items": iter([1, 2])}, {"items": iter([1, 2])}),
    "kwargs in another order": (
        {"count": 1, "kwargs": {"a": 1, "b": {"x", "y"}}},
        {"count": 1, "kwargs": {"b": {"y", "x"}, "a": 1}},
    ),
}
OTHER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other items": ({"items": [1, 2]}, {"items": [1, 3]}),
    "another count": ({"count": 3}, {"count": 4}),
    "a count and a list": ({"count": 2}, {"items": [0, 1]}),
    "other kwargs": ({"count": 1, "kwargs": {"a": 1}}, {"count": 1, "kwargs": {"a": 2}}),
}


@pytest.mark.parametrize(("first", "again"), SAME.values(), ids=SAME)
def test_a_run_repeated_as_it_was_makes_the_same_batch(register: Batches, first: dict, again: dict) -> None:
    one, other = run(**first), run(**again)
    assert (one.batch_id, one.total) == (other.batch_id, other.total)
    assert register.list().total == 1


@pytest.mark.parametrize(("first", "again"), OTHER.values(), ids=OTHER)
def test_a_run_that_makes_something_else_makes_another_batch(register: Batches, first: dict, again: dict) -> None:
    one, other = run(**first), run(**again)
    assert one.batch_id != other.batch_id
    assert other.total == (again.get("count") or len(again["items"]))
    assert other.kwargs == again.get("kwargs", {})


def test_other_items_of_a_generator_are_accepted_beside_those_there_are(register: Batches) -> None:
    def numbers(*added: int) -> Iterator[int]:
        yield from range(1_000)
        yield from added

    one, other = run(items=numbers(1, 2)), run(items=numbers(1, 3))
    assert one.batch_id == other.batch_id
    assert values(other) == [*range(1_000), 1, 2, 1, 3]
