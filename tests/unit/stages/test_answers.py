"""What a stage's function answers for each change, and what of it can be passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform.documents.change import Change
from platform.errors import BrokerUnavailable
from platform.stages.answers import BadAnswer, Function, NotAChange
from platform.steering import RetryLater


def changes(count: int) -> list[dict[str, Any]]:
    return [
        {"change_id": f"c{n}", "act": "create", "app_id": "a", "type": "note", "id": f"d{n}", "data": {"n": n}}
        for n in range(count)
    ]


def function(call: Callable[[Any], Any], batch: int = 1) -> Function:
    return Function("sift", call, Change, Change, batch)


def ids(answers: list[Any]) -> list[Any]:
    return [answer if isinstance(answer, Exception) else [one.change_id for one in answer] for answer in answers]


def test_a_change_goes_on_or_is_dropped() -> None:
    def call(change: Change) -> Change | None:
        return None if change.id == "d1" else change

    assert ids(function(call).answers(changes(3))) == [["c0"], [], ["c2"]]


def test_several_changes_get_ids_of_their_own_the_same_each_time() -> None:
    sift = function(lambda change: [change, change, change])
    (first,), (second,) = (sift.answers(changes(1)) for _ in range(2))
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert len({one.change_id for one in first}) == len({one.id for one in first}) == 3
    assert first[0].change_id == "c0"
    assert first == second


def test_several_patches_are_of_the_same_document() -> None:
    patch = changes(1)[0] | {"act": "patch", "patch": []}
    (several,) = function(lambda change: [change, change]).answers([patch])
    assert isinstance(several, list)
    assert [one.id for one in several] == ["d0", "d0"]
    assert len({one.change_id for one in several}) == 2


def test_a_list_is_called_with_at_most_a_batch() -> None:
    sizes = []

    def call(several: list[Change]) -> list[Change]:
        sizes.append(len(several))
        return several

    assert len(function(call, batch=4).answers(changes(10))) == 10
    assert sizes == [4, 4, 2]


@given(st.sets(st.integers(0, 19)), st.integers(2, 20))
def test_whichever_fail_take_no_other_with_them(bad: set[int], batch: int) -> None:
    def call(several: list[Change]) -> list[Change]:
        for change in several:
            change.notes["seen"] = True
        if any(change.data and change.data["n"] in bad for change in several):
            raise ValueError("no good")
        return several

    answers = function(call, batch).answers(changes(20))
    assert {n for n, answer in enumerate(answers) if isinstance(answer, ValueError)} == bad
    assert all(answer[0].change_id == f"c{n}" for n, answer in enumerate(answers) if isinstance(answer, list))


def test_a_call_that_fails_leaves_no_trace_in_what_is_called_again() -> None:
    def call(several: list[Change]) -> list[Change]:
        for change in several:
            assert "seen" not in change.notes
            change.notes["seen"] = True
        if len(several) > 1:
            raise ValueError("all at once is too much")
        return several

    assert all(isinstance(answer, list) for answer in function(call, batch=5).answers(changes(5)))


@pytest.mark.parametrize("exc", [RetryLater(1), BrokerUnavailable("away"), ConnectionError("away")])
def test_trouble_that_is_not_a_changes_is_not_met_again_for_each(exc: Exception) -> None:
    calls = []

    def call(several: list[Change]) -> None:
        calls.append(len(several))
        raise exc

    assert function(call, batch=9).answers(changes(9)) == [exc] * 9
    assert calls == [9]


def test_an_exception_among_the_answers_is_that_changes_error() -> None:
    error = KeyError("x")
    sift = function(lambda several: [several[0], error, None], batch=3)
    assert ids(sift.answers(changes(3))) == [["c0"], error, []]


def test_what_is_no_change_is_told_apart_from_the_others() -> None:
    first, last = changes(2)
    answers = function(lambda several: several, batch=5).answers([first, {"change_id": 7}, last])
    assert isinstance(answers[1], NotAChange)
    assert ids([answers[0], answers[2]]) == [["c0"], ["c1"]]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda several: several[:1], "1 answers for 2 changes"),
        (lambda several: 7, "int for 2 changes"),
        (lambda several: ["x", "y"], "returned str; return a Change"),
        (lambda several: [{"a": 1}, {}], "returned dict"),
    ],
)
def test_what_cannot_be_passed_on_is_an_error_that_says_what_to_do(answer: Callable[[Any], Any], text: str) -> None:
    for found in function(answer, batch=2).answers(changes(2)):
        assert isinstance(found, BadAnswer)
        assert text in str(found)
        assert found.is_permanent


def test_nothing_for_a_list_is_nothing_for_each() -> None:
    assert function(lambda several: None, batch=2).answers(changes(2)) == [[], []]


def test_memory_that_ran_out_is_not_an_answer() -> None:
    def call(change: Change) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        function(call).answers(changes(1))


def test_changes_travel_as_plain_json() -> None:
    (change,) = changes(1)
    assert msgspec.to_builtins(msgspec.convert(change, Change)) == change
