"""Arguments are checked before anything is enqueued."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tasks.signatures import InvalidArguments, Signature


def order(item: str, count: int = 1, *, express: bool = False, when: datetime.date | None = None) -> None: ...


def anything(first: Any, **rest: Any) -> None: ...


def odd_names(model_x: int, copy: int = 0, p_a: int = 0) -> None: ...


def test_text_becomes_what_is_declared() -> None:
    values = {"item": "tea", "count": "3", "express": "true", "when": "2026-01-02"}
    assert Signature(order).from_text(values) == {"item": "tea", "count": 3, "express": True, "when": "2026-01-02"}


def test_json_is_taken_strictly() -> None:
    assert Signature(order).from_json({"item": "tea", "when": "2026-01-02"}) == {"item": "tea", "when": "2026-01-02"}
    with pytest.raises(InvalidArguments, match="count: Input should be a valid integer"):
        Signature(order).from_json({"item": "tea", "count": "3"})


@pytest.mark.parametrize(
    ("values", "loc", "words"),
    [({}, ["item"], "Field required"), ({"item": "x", "cuont": 1}, ["cuont"], "did you mean 'count'?")],
)
def test_missing_and_unknown_names_are_told(values: dict[str, Any], loc: list[str], words: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        Signature(order).from_json(values)
    assert caught.value.problems[0]["loc"] == loc
    assert words in caught.value.problems[0]["msg"]


def test_a_function_that_takes_any_keyword_gets_them() -> None:
    assert Signature(anything).from_json({"first": 1, "p_first": 2}) == {"first": 1, "p_first": 2}


def test_names_that_pydantic_reserves_are_ordinary_names() -> None:
    assert Signature(odd_names).from_json({"model_x": 1, "copy": 2, "p_a": 3}) == {"model_x": 1, "copy": 2, "p_a": 3}


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing a required argument: 'item'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        (("a",), {"item": "b"}, "multiple values for argument 'item'"),
        ((), {"itm": 1}, "did you mean 'item'?"),
    ],
)
def test_a_call_that_would_not_bind_is_refused(args: tuple, kwargs: dict, words: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        Signature(order).check_call(args, kwargs)
    assert words in str(caught.value)


def test_the_first_parameter_of_a_bound_task_is_not_the_callers() -> None:
    def bound(self: object, a: int) -> None: ...

    assert Signature(bound, skip_first=True).from_json({"a": 1}) == {"a": 1}
