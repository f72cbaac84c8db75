"""Members of chains, groups and chords: what waits for one is told when another job stands for it; nothing hangs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery import chain, chord, group

from platform.errors import NotUnique
from platform.jobs.ledger import Ledger
from tests.processes import Worker
from tests.samples import singles
from tests.waiting import eventually

TIMEOUT_S = 15


@pytest.fixture(autouse=True)
def running(new_worker: Callable[..., Worker]) -> Worker:
    return new_worker("-Q", "offload", concurrency=2)


@pytest.fixture
def standing() -> str:
    """A job that stands for ``passing(1)``: no worker serves its queue."""
    return singles.passing.apply_async((1,), queue="batch").id


def test_members_that_are_alone_run_like_any_other() -> None:
    steps = chain(singles.passing.s(1), singles.passing.si(2), singles.plain.s())
    assert steps.delay().get(timeout=TIMEOUT_S) == 2
    assert group(singles.passing.s(n) for n in range(3)).delay().get(timeout=TIMEOUT_S) == [0, 1, 2]
    assert chord([singles.passing.s(n) for n in range(3)], singles.total.s()).delay().get(timeout=TIMEOUT_S) == 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_step_of_a_chain_that_is_not_accepted_fails_and_so_does_the_rest(
    standing: str, records: Ledger, place: int
) -> None:
    steps = [singles.plain.si(n) for n in range(3)]
    steps[place] = singles.passing.si(1)
    result = chain(*steps).apply_async()
    with pytest.raises(NotUnique, match=f"its job {standing} has not ended yet"):
        result.get(timeout=TIMEOUT_S)
    ids = [result.parent.parent.id, result.parent.id, result.id]
    wanted = ["completed"] * place + ["failed"] * (3 - place)
    eventually(lambda: [records.get(job_id).state for job_id in ids] == wanted)


def test_a_member_of_a_group_that_is_not_accepted_fails_alone(standing: str) -> None:
    result = group(singles.passing.s(n) for n in range(3)).delay()
    values = [member.get(timeout=TIMEOUT_S, propagate=False) for member in result]
    assert (values[0], type(values[1]), values[2]) == (0, NotUnique, 2)


def test_equal_members_of_one_group_are_one_job_and_a_failure() -> None:
    result = group(singles.passing.si(7), singles.passing.si(7)).apply_async(queue="batch")
    assert [member.state for member in result] == ["PENDING", "FAILURE"]


@pytest.mark.parametrize("members", [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1]])
def test_a_chord_whose_member_is_not_accepted_fails(standing: str, members: list[int]) -> None:
    result = chord([singles.passing.s(n) for n in members], singles.total.s()).delay()
    with pytest.raises(NotUnique, match=f"its job {standing}"):
        result.get(timeout=TIMEOUT_S)


def test_a_body_of_a_chord_that_is_not_accepted_fails() -> None:
    singles.passing.apply_async(([1, 2],), queue="batch")
    result = chord([singles.plain.s(1), singles.plain.s(2)], singles.passing.s()).delay()
    with pytest.raises(NotUnique):
        result.get(timeout=TIMEOUT_S)


def test_a_job_with_a_callback_that_is_not_accepted_fails(standing: str) -> None:
    result = singles.passing.apply_async((1,), link=singles.plain.s())
    with pytest.raises(NotUnique):
        result.get(timeout=TIMEOUT_S)


def test_a_member_that_is_not_accepted_is_its_submitters(standing: str, records: Ledger) -> None:
    headers = {"owner": "ann", "app_id": ""}
    result = chain(singles.passing.si(1), singles.plain.si(2)).apply_async(headers=headers)
    assert result.parent is not None
    job = records.get(result.parent.id)
    assert (job.owner, job.task, job.error and job.error["type"]) == ("ann", "singles.passing", "NotUnique")
