"""A job or an item that makes a batch and is run again: the same batch if it makes the same, else no item is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from platform.batches import acts, creation
from platform.batches.creation import NewBatch
from platform.batches.errors import BatchOver
from platform.batches.record import Batch
from platform.batches.register import Batches, batches
from platform.batches.running import ChunkRun, Report
from tasks import app

app.load_everything()

#: What the maker gives to ``create``; a test says so before each run.
given: dict[str, Any] = {}
made: list[Batch] = []


@app.task(name="repeating.item")
def item(n: int, **kwargs: Any) -> int:
    return n


@app.task(name="repeating.maker", max_retries=0)
def maker() -> None:
    told = dict(given)
    items, count = told.pop("items", None), told.pop("count", None)
    made.append(creation.create(NewBatch("repeating.item", **told), items, count))


@app.task(name="repeating.nest", max_retries=0)
def nest(n: int) -> str:
    maker.run()
    return made[-1].batch_id


@pytest.fixture
def register(broker_url: str) -> Batches:
    made.clear()
    return batches()


def run(job_id: str = "a-job", **told: Any) -> Batch:
    """One run of a job that makes a batch; a second one of the same job is what follows the death of its worker."""
    return run_again(job_id, {}, **told)


def run_again(job_id: str, headers: dict[str, Any], **told: Any) -> Batch:
    given.clear()
    given.update(told)
    maker.apply(task_id=job_id, headers=headers, throw=True)
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


def breaking() -> Iterator[int]:
    yield from range(1_000)
    raise ValueError("no more")


def test_what_a_failed_generator_left_is_not_taken_for_what_a_later_run_makes(register: Batches) -> None:
    """The later run would be told that its items are accepted, and none of them would ever be run."""
    with pytest.raises(ValueError, match="no more"):
        run(items=breaking())
    for longer in (iter(range(1_000)), iter(range(1_500))):
        with pytest.raises(BatchOver):
            run(items=longer)
    assert made == []


def test_a_replayed_job_makes_a_batch_of_its_own(register: Batches) -> None:
    with pytest.raises(ValueError, match="no more"):
        run(items=breaking())
    again = run_again("a-job", {"replays": 1}, items=iter(range(1_500)))
    assert (again.total, again.cancelled, again.open) == (1_500, 0, False)
    assert run_again("a-job", {"replays": 2}, count=3).batch_id != run_again("a-job", {"replays": 3}, count=3).batch_id


def test_an_item_that_is_run_again_makes_a_batch_of_its_own(register: Batches) -> None:
    batch = creation.create(NewBatch("repeating.nest"), count=1)
    given.clear()
    given["items"] = breaking()
    assert ChunkRun(batch.batch_id, 1, "1", "j").run() == Report(failed=1)
    given["items"] = iter(range(1_500))
    acts.retry(batch.batch_id)
    assert ChunkRun(batch.batch_id, 2, "1", "j").run() == Report(completed=1)
    left, again = register.children(batch.batch_id)
    assert (left.state, left.cancelled) == ("cancelled", 1_000)
    assert (again.state, again.total, again.cancelled) == ("pending", 1_500, 0)


def test_making_ends_where_somebody_has_cancelled_the_batch(register: Batches) -> None:
    seen: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10_000):
            if number == 1_500:
                acts.cancel(register.list().items[0].batch_id)
            seen.append(number)
            yield number

    batch = run(items=numbers())
    assert (batch.state, batch.cancelled, len(seen)) == ("cancelled", 1_000, 2_000)


def test_another_batchs_end_is_an_error_of_the_generator(register: Batches) -> None:
    def numbers() -> Iterator[int]:
        yield from range(1_000)
        raise BatchOver("another", "completed")

    with pytest.raises(BatchOver):
        run(items=numbers())
    assert [one.state for one in register.list().items] == ["cancelled"]
