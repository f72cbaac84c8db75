from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from platform import serialization
from platform.documents.model import Model
from tasks.signatures import problems_of
from web.schemas.scope import MAX_BYTES, MAX_ENTRIES, ScopeRequest
from web.scope import Scope


class Ticket(Model, replaceable=True):
    assignee: str = ""


def validated(scope: Any) -> ScopeRequest:
    """As the application reads a body."""
    return TypeAdapter(ScopeRequest).validate_json(serialization.encode(scope), strict=True)


def problem(scope: Any) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        validated(scope)
    (found,) = problems_of(caught.value)
    return dict(found)


def test_what_is_left_out_is_not_narrowed() -> None:
    assert Scope.read(validated({}).model_dump(exclude_none=True)) == Scope.EVERYTHING
    nothing = {"models": None, "filters": None, "rooms": None, "calls": None}
    assert Scope.read(validated(nothing).model_dump(exclude_none=True)) == Scope.EVERYTHING


def test_everything_may_be_narrowed() -> None:
    said = {
        "models": ["ticket"],
        "filters": {"ticket": {"assignee": {"$in": ["ann", "bob"]}}},
        "rooms": ["lobby", "team-*", "*"],
        "publish": False,
        "calls": ["Chat/*", "Chat/say"],
        "jobs": False,
    }
    assert Scope.read(validated(said).model_dump(exclude_none=True)) == Scope.read(said)


@pytest.mark.parametrize(
    ("scope", "loc"),
    [
        ({"batches": True}, ["batches"]),
        ({"publish": "no"}, ["publish"]),
        ({"jobs": None}, ["jobs"]),
        ({"models": "ticket"}, ["models"]),
        ({"models": ["Ticket"]}, ["models", 0]),
        ({"rooms": ["lobby", "a b"]}, ["rooms", 1]),
        ({"rooms": [""]}, ["rooms", 0]),
        ({"rooms": ["r" * 130]}, ["rooms", 0]),
        ({"calls": ["Chat"]}, ["calls", 0]),
        ({"calls": ["*"]}, ["calls", 0]),
        ({"calls": ["Chat/s*"]}, ["calls", 0]),
        ({"filters": {"ticket": []}}, ["filters", "ticket"]),
        ({"rooms": ["r"] * (MAX_ENTRIES + 1)}, ["rooms"]),
        ({"filters": {f"m{n}": {} for n in range(MAX_ENTRIES + 1)}}, ["filters"]),
        ({"rooms": ["r" * 60] * 70}, []),
    ],
)
def test_what_breaks_a_rule_is_refused_where_it_stands(scope: dict[str, Any], loc: list[Any]) -> None:
    assert problem(scope)["loc"] == loc


def test_a_filter_that_cannot_be_understood_is_refused_with_its_reason() -> None:
    found = problem({"filters": {"ticket": {"assignee": {"$like": "ann"}}}})
    assert found["loc"] == ["filters", "ticket"]
    assert "assignee: $like is no operator" in found["msg"]


def test_a_filter_of_a_model_that_there_is_not_is_refused_with_the_nearest() -> None:
    """Else the one that was meant would be without a filter."""
    found = problem({"filters": {"tickte": {"assignee": "ann"}}})
    assert (found["loc"], "'ticket'" in found["msg"]) == (["filters"], True)


def test_as_many_entries_as_are_allowed_are_taken_if_they_fit_into_a_token() -> None:
    rooms = [f"room-{n}" for n in range(MAX_ENTRIES)]
    assert validated({"rooms": rooms}).rooms == rooms
    assert f"at most {MAX_BYTES} bytes" in problem({"rooms": ["r" * 100] * MAX_ENTRIES})["msg"]
