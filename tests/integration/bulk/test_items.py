"""What cannot be submitted, and what is in already when it is met."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, group

from platform.errors import NotUnique
from platform.jobs.ledger import Ledger
from tasks.bulk import BulkFailed, submit_many
from tests.integration.queueing.conftest import ON_RABBITMQ
from tests.samples import bulky

BAD: list[tuple[Any, str]] = [
    ((object(),), "not JSON"),
    ((1, 2, 3), "positional"),
    ({"kwargs": {"c": 1}}, "unexpected keyword"),
    ({"args": "ab"}, "args are a list or a tuple"),
    ({"task": "bulky.ad"}, "did you mean 'bulky.add'"),
    ({"args": [1], "prority": 3}, "did you mean 'priority'"),
    ({"args": [1], "priority": 12}, "between 0 and 9"),
    ({"args": [1], "queue": "ofload"}, "ofload"),
    ({"args": [1], "queue": "dead-letter"}, "takes no jobs"),
    ({"args": [1], "serializer": "pickle"}, "refused by every worker"),
    ({"args": [1], "countdown": "soon"}, "not a number of seconds"),
    ("text", "write a tuple of arguments"),
    (7, "write a tuple of arguments"),
    (chain(bulky.add.s(1), bulky.add.s(2)), "more than one job"),
    (group(bulky.add.s(1), bulky.add.s(2)), "more than one job"),
]


@pytest.mark.parametrize(("item", "why"), BAD)
def test_what_is_no_job_stops_its_chunk_and_says_where(item: Any, why: str, records: Ledger) -> None:
    items = [(1,), (2,), (3,), item, (4,)]
    with pytest.raises(BulkFailed, match=f"^2 jobs were submitted, the others were not: item 3: .*{why}") as failed:
        submit_many(bulky.add, items, chunk_size=2)
    assert records.list().total == 2
    assert {job.job_id for job in records.list().items} == set(failed.value.submitted)
    assert failed.value.__cause__ is not None


def test_items_that_break_off_are_submitted_as_far_as_whole_chunks_go(records: Ledger) -> None:
    def broken() -> Iterator[tuple[int]]:
        yield from ((number,) for number in range(5))
        raise OSError("the file ends here")

    with pytest.raises(BulkFailed, match="the file ends here") as failed:
        submit_many(bulky.add, broken(), chunk_size=2)
    assert (len(failed.value.submitted), len(failed.value.refused), records.list().total) == (4, 1, 4)


def test_whoever_hears_of_progress_may_stop_it(records: Ledger) -> None:
    def enough(so_far: object) -> None:
        raise InterruptedError("enough")

    with pytest.raises(BulkFailed, match="enough") as failed:
        submit_many(bulky.add, [(1,)] * 9, chunk_size=3, on_progress=enough)
    assert (len(failed.value.submitted), records.list().total) == (3, 3)


@pytest.mark.parametrize("options", [{"chunk_size": 0}, {"chunk_size": 10_001}, {"prority": 3}, {"owners": "ann"}])
def test_a_call_that_makes_no_sense_is_refused_before_any_item_is_read(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        submit_many(bulky.add, iter(int, 1), **options)


@pytest.mark.parametrize("task", ["bulky.ad", print, 7])
def test_a_task_that_is_none_is_refused(task: Any) -> None:
    with pytest.raises((LookupError, TypeError)):
        submit_many(task, [(1,)])


def test_without_a_task_each_item_names_one() -> None:
    with pytest.raises(BulkFailed, match="item 1: this item names no task"):
        submit_many(None, [bulky.add.s(1), (1,)])


def test_all_or_none_is_none_where_one_is_bad(records: Ledger) -> None:
    with pytest.raises(BulkFailed, match=r"^0 jobs"):
        submit_many(bulky.add, [*[(1,)] * 700, (object(),)], all_or_none=True)
    with pytest.raises(BulkFailed, match="more than 10000 jobs"):
        submit_many(bulky.add, [(1,)] * 10_001, all_or_none=True)
    assert records.list().total == 0


@pytest.mark.parametrize(
    "item",
    [bulky.single.s(1).set(link=bulky.add.s(1)), bulky.add.s(1).set(exchange="amq.direct", routing_key="x")],
    ids=["callback", "exchange"],
)
def test_what_would_be_published_by_itself_is_refused_where_all_or_none_is_asked_for(
    item: Any, records: Ledger
) -> None:
    with pytest.raises(BulkFailed, match="submit it without all_or_none"):
        submit_many(None, [bulky.add.s(1), item], all_or_none=True)
    assert records.list().total == 0


def test_a_unique_job_with_a_callback_is_published_by_itself(records: Ledger) -> None:
    standing = bulky.single.delay(1).id
    linked = [bulky.single.s(number).set(link=bulky.add.s(1)) for number in (1, 2)]
    ids = list(submit_many(None, [bulky.add.s(1), *linked]))
    states = [records.get(job_id).state for job_id in [standing, *ids]]
    assert states == ["pending", "pending", "failed", "pending"]


def test_equal_calls_of_a_unique_task_are_one_job(records: Ledger) -> None:
    first = bulky.single.delay(0).id
    submitted = submit_many(bulky.single, [(0,), (1,), (1,), (2,)], chunk_size=3)
    ids = list(submitted)
    assert (ids[0], ids[1] == ids[2], len(set(ids)), records.list().total) == (first, True, 3, 3)
    assert list(submit_many(bulky.single, [(1,), (2,)])) == ids[2:]


def test_a_rejecting_task_refuses_the_chunk_in_which_it_is_met(records: Ledger) -> None:
    items = [(1,), (2,), (3,), (1,), (4,)]
    with pytest.raises(BulkFailed, match="is unique, and its job") as failed:
        submit_many(bulky.rejecting, items, chunk_size=2, all_or_none=False)
    assert isinstance(failed.value.__cause__, NotUnique)
    assert failed.value.submitted[0] == failed.value.__cause__.job_id
    assert (len(failed.value.submitted), records.list().total) in ((2, 2), (2, 3))


def test_all_or_none_is_none_where_two_reject_each_other(records: Ledger) -> None:
    with pytest.raises(BulkFailed) as failed:
        submit_many(bulky.rejecting, [(1,), (2,), (1,)], all_or_none=True)
    assert isinstance(failed.value.__cause__, NotUnique)
    assert records.list().total == 0
    assert len(submit_many(bulky.rejecting, [(1,), (2,), (3,)], all_or_none=True)) == 3


def test_the_last_of_replacing_calls_stands(records: Ledger) -> None:
    before = bulky.replacing.delay(1).id
    ids = list(submit_many(bulky.replacing, [(1,), (2,), (1,)]))
    states = [records.get(job_id).state for job_id in [before, *ids]]
    assert states == ["cancelled", "cancelled", "pending", "pending"]
    assert records.list(state="pending").total == 2


def test_a_million_would_need_no_more_memory_than_a_chunk() -> None:
    count = 5_000 if ON_RABBITMQ else 200_000  # a confirm each

    def growing() -> Iterator[tuple[int]]:
        yield from ((number,) for number in range(count))

    submit_many(bulky.add, [(1,)] * 1000)
    tracemalloc.start()
    try:
        submitted = submit_many(bulky.add, growing())
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(submitted) == count
    assert peak < 6_000_000
    assert kept < 200_000
