"""Filters, also against a plain reading of the same language that shares nothing with the compiled one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform.documents.filters import BadFilter, parsed, same
from tests.unit.documents.values import DOCUMENTS, SCALARS, VALUES

NOTHING = "there is nothing"
FIELDS = st.sampled_from(["a", "b", "c", "a.b", "a.0", "b.1", "c.a.b"])
ORDERED = ("$gt", "$gte", "$lt", "$lte")


def operators(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    orderable = st.one_of(st.integers(-2, 2), st.sampled_from([1.0, 1.5, "", "a", "b", "é"]))
    return st.one_of(
        st.fixed_dictionaries({}, optional={"$eq": VALUES, "$ne": VALUES, "$exists": st.booleans()}),
        st.lists(st.tuples(st.sampled_from(ORDERED), orderable), min_size=1, max_size=2).map(dict),
        st.fixed_dictionaries({}, optional={"$in": st.lists(VALUES, max_size=3), "$nin": st.lists(VALUES, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ).filter(len)


OPERATORS = operators(operators(st.just({"$exists": True})))
FIELD_FILTERS = st.lists(st.tuples(FIELDS, st.one_of(SCALARS, OPERATORS)), max_size=2).map(dict)
FILTERS = st.recursive(
    FIELD_FILTERS,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)


def plain(value: Any) -> Any:
    """A form in which Python's own equality is JSON's: booleans are told from numbers."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return ("list", [plain(item) for item in value])
    if isinstance(value, dict):
        return ("dict", {key: plain(item) for key, item in value.items()})
    return value


def at(document: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return NOTHING
    return document


def holds(operator: str, operand: Any, value: Any) -> bool:
    if operator == "$not":
        return not all(holds(name, inner, value) for name, inner in operand.items())
    if operator == "$exists":
        return (value != NOTHING) == operand
    if operator in ("$eq", "$ne"):
        return (plain(value) == plain(operand)) == (operator == "$eq")
    if operator in ("$in", "$nin"):
        return (plain(value) in [plain(item) for item in operand]) == (operator == "$in")
    return value != NOTHING and is_ordered(operator, operand, value)


def is_ordered(operator: str, operand: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    numbers = isinstance(value, int | float) and isinstance(operand, int | float)
    if not numbers and not (isinstance(value, str) and isinstance(operand, str)):
        return False
    return {"$gt": value > operand, "$gte": value >= operand, "$lt": value < operand, "$lte": value <= operand}[
        operator
    ]


def chosen(filter: dict[str, Any], document: dict[str, Any]) -> bool:
    for name, operand in filter.items():
        if name == "$and":
            answer = all(chosen(part, document) for part in operand)
        elif name == "$or":
            answer = any(chosen(part, document) for part in operand)
        elif name == "$not":
            answer = not chosen(operand, document)
        elif isinstance(operand, dict) and any(key.startswith("$") for key in operand):
            answer = all(holds(operator, inner, at(document, name)) for operator, inner in operand.items())
        else:
            answer = holds("$eq", operand, at(document, name))
        if not answer:
            return False
    return True


@given(filter=FILTERS, document=DOCUMENTS)
def test_a_compiled_filter_says_what_a_plain_reading_says(filter: dict[str, Any], document: dict[str, Any]) -> None:
    assert parsed(filter).matches(document) == chosen(filter, document)


@given(filter=FILTERS, document=DOCUMENTS)
def test_what_matches_fulfils_every_condition_told_to_a_database(
    filter: dict[str, Any], document: dict[str, Any]
) -> None:
    found = parsed(filter)
    if found.matches(document):
        for condition in found.conditions:
            assert holds(condition.operator, condition.operand, at(document, ".".join(condition.path)))


@given(filter=FILTERS)
def test_the_canonical_text_is_the_same_filter(filter: dict[str, Any]) -> None:
    once = parsed(filter)
    again = parsed(json.loads(once.text))
    assert (again.text, again.key) == (once.text, once.key)


@given(one=VALUES, other=VALUES)
def test_values_are_the_same_as_json(one: Any, other: Any) -> None:
    assert same(one, other) == (plain(one) == plain(other))
    assert same(one, json.loads(json.dumps(one)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": {"$eq": 1}}),
        ({"a": {"$gt": 1, "$lt": 3}}, {"a": {"$lt": 3, "$gt": 1}}),
    ],
)
def test_filters_written_alike_are_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert parsed(one).key == parsed(other).key


def test_different_filters_have_different_keys() -> None:
    filters: list[dict[str, Any]] = [{}, {"a": 1}, {"a": True}, {"a": "1"}, {"a": None}, {"$not": {"a": 1}}, {"b": 1}]
    assert len({parsed(filter).key for filter in filters}) == len(filters)


def test_the_same_filter_is_compiled_once() -> None:
    assert parsed({"only": "here"}) is parsed({"only": "here"})


@pytest.mark.parametrize(
    ("filter", "document", "is_match"),
    [
        ({}, {}, True),
        ({"n": 1}, {"n": True}, False),
        ({"n": True}, {"n": 1}, False),
        ({"n": 1}, {"n": 1.0}, True),
        ({"n": 1}, {"n": "1"}, False),
        ({"n": None}, {}, False),
        ({"n": None}, {"n": None}, True),
        ({"n": {"$ne": 1}}, {}, True),
        ({"n": {"$gt": 1}}, {"n": "2"}, False),
        ({"n": {"$gt": 0}}, {"n": True}, False),
        ({"n": {"$gt": "B"}}, {"n": "a"}, True),
        ({"n": {"$lte": 1.5}}, {"n": 10**400}, False),
        ({"n": {"$in": []}}, {"n": 1}, False),
        ({"n": {"a": 1}}, {"n": {"a": 1}}, True),
        ({"n": {"a": 1}}, {"n": {"a": True}}, False),
        ({"n.1.a": "x"}, {"n": [0, {"a": "x"}]}, True),
        ({"n.01": 1}, {"n": [0, 1]}, True),
        ({"n.-1": 1}, {"n": [0, 1]}, False),
        ({"n.0": "t"}, {"n": "text"}, False),
        ({"n.0": "t"}, {"n": {"0": "t"}}, True),
        ({"n": {"$not": {"$gt": 1, "$lt": 3}}}, {"n": 3}, True),
        ({"$or": [{"n": 1}, {"m": 1}]}, {"m": 1}, True),
    ],
)
def test_values_are_compared_as_json(filter: dict[str, Any], document: dict[str, Any], is_match: bool) -> None:
    assert parsed(filter).matches(document) is is_match


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ([], "a filter is an object"),
        ({"n": {"$gtt": 1}}, r"n: \$gtt is no operator; did you mean '\$gt'"),
        ({"n": {"$gt": 1, "m": 2}}, "n: m is no operator"),
        ({"$nor": []}, r"there is no \$nor; did you mean '\$or'"),
        ({"$and": {}}, r"\$and takes a list of filters, at least one"),
        ({"$or": []}, r"\$or takes a list of filters, at least one"),
        ({"$or": [1]}, r"\$or takes an object, not a number"),
        ({"$not": []}, r"\$not takes an object, not a list"),
        ({"n": {"$not": 1}}, r"n: \$not takes an object, not a number"),
        ({"n": {"$not": {}}}, "nothing is no operator"),
        ({"n": {"$gt": None}}, r"n: \$gt takes a number or a string, not null"),
        ({"n": {"$lt": True}}, r"n: \$lt takes a number or a string, not a boolean"),
        ({"n": {"$in": 1}}, r"n: \$in takes a list of values, not a number"),
        ({"n": {"$exists": 1}}, r"n: \$exists takes true or false, not a number"),
        ({"a..b": 1}, r"'a\.\.b' is no field"),
        ({"": 1}, "'' is no field"),
        ({"n": object()}, "the filter is not JSON"),
        ({"n": "x" * 4_096}, "has 4104 bytes; at most 4096"),
        ({"$and": [{"n": 1}] * 65}, "more than 64 conditions"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_refused(filter: Any, says: str) -> None:
    with pytest.raises(BadFilter, match=says):
        parsed(filter)


@pytest.mark.parametrize("levels", [9, 100, 100_000])
@pytest.mark.parametrize("wrap", [lambda f: {"$not": f}, lambda f: {"$and": [f]}, lambda f: {"a": f}, lambda f: [f]])
def test_a_filter_nested_too_deeply_is_refused(levels: int, wrap: Any) -> None:
    filter: Any = {"a": 1}
    for _ in range(levels):
        filter = wrap(filter)
    with pytest.raises(BadFilter, match=r"nested|stand in each other"):
        parsed({"a": filter} if isinstance(filter, list) else filter)


def test_as_deep_as_allowed_is_understood() -> None:
    filter: dict[str, Any] = {"a": {"$eq": [[[1]]]}}
    for _ in range(7):
        filter = {"$and": [filter]}
    assert parsed(filter).matches({"a": [[[1]]]})
