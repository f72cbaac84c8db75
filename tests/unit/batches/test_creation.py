"""What is wrong with a batch is said before anything of it is written."""

from __future__ import annotations

from typing import Any

import pytest

from platform.batches import creation
from platform.batches.creation import NewBatch
from platform.batches.errors import InvalidBatch
from tasks import app
from tasks.batch import NoItem, add_items, create_batch, item_task


@app.task(name="unit.batch.item", time_limit=5)
def limited(n: int) -> int:
    return n


@app.task(name="unit.batch.plain")
def plain(n: int) -> int:
    return n


def refused(items: Any = (1,), count: int | None = None, **new: Any) -> str:
    with pytest.raises(InvalidBatch) as caught:
        creation.create(NewBatch(**{"task": "unit.batch.plain", **new}), items, count)
    return str(caught.value)


def test_what_cannot_be_is_refused_with_its_place() -> None:
    assert "did you mean 'unit.batch.plain'" in refused(task="unit.batch.plian")
    assert "chunk_size: must be from 1" in refused(chunk_size=0)
    assert "priority" in refused(priority=10)
    assert "batch_id: must not have a colon" in refused(batch_id="a:states")
    assert "kwargs: not JSON" in refused(kwargs={"a": object()})
    assert "items.1: not JSON" in refused(items=[1, object()])
    assert "there is no task 'nix'" in refused(callbacks={"on_complete": ("nix", {})})
    assert "cannot be called with batch_id" in refused(callbacks={"on_success": ("unit.batch.plain", {})})
    assert "did you mean 'on_success'" in refused(callbacks={"on_sucess": ("unit.batch.plain", {})})
    assert "either items or count" in refused(items=[1], count=1)
    assert "either items or count" in refused(items=None)
    assert "not str" in refused(items="abc")
    assert "at most" in refused(items=[1, 2, 3], most=2)
    assert "count: must not be negative" in refused(items=None, count=-1)


@pytest.mark.parametrize(
    ("items", "why"),
    [("abc", "not str"), (b"abc", "not bytes"), ({"a": 1}, "not dict"), (-1, "count: must not be negative")],
)
def test_what_is_no_list_of_items_cannot_be_added(items: Any, why: str) -> None:
    with pytest.raises(InvalidBatch, match=why):
        add_items("any", items)


def test_a_task_with_limits_of_its_own_is_run_one_item_at_a_time() -> None:
    facts = NewBatch("unit.batch.item").facts(10_000)
    assert (facts["chunk_size"], facts["time_limit"], facts["soft_time_limit"]) == (1, 5, None)
    assert NewBatch("unit.batch.plain").facts(10_000)["chunk_size"] == 100


def test_an_item_task_is_an_ordinary_task_on_its_own_queue() -> None:
    @item_task(name="unit.batch.square", public=True, max_retries=2)
    def square(n: int, **kwargs: Any) -> int:
        return n * n

    assert (square(3), square.public, square.max_retries, square.default_queue) == (9, True, 2, "batch")


def test_a_function_that_takes_nothing_cannot_be_given_an_item() -> None:
    with pytest.raises(NoItem, match="takes no argument"):

        @item_task
        def nothing() -> None: ...

    with pytest.raises(NoItem):

        @item_task(bind=True)
        def bound(self: Any) -> None: ...


def test_a_callback_is_given_keyword_arguments_only() -> None:
    with pytest.raises(InvalidBatch, match="keyword arguments only"):
        create_batch(plain, [1], on_complete=plain.s(1))
