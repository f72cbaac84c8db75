"""Filters over documents: ``{"status": "open", "n": {"$gt": 3}}``, compiled once to a function.

A filter is an object whose members must all hold: ``field: value`` (the same as ``{"$eq": value}``),
``field: {operators}``, or ``$and``, ``$or`` (lists of filters), ``$not`` (a filter, or a field's operators). Fields
may be dotted (``address.city``); in a list a number is a place (``tags.0``).

Values are compared as JSON: numbers with numbers (1 is 1.0), strings by code point, lists and objects whole; true is
no number, nothing is converted. ``$gt $gte $lt $lte`` hold between two numbers or two strings only. A field that is
not there equals nothing, not even null, so that ``$ne``, ``$nin`` and ``{"$exists": false}`` hold for it and no other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from platform import serialization
from platform.documents.depth import is_deeper
from platform.errors import PlatformError, did_you_mean

MAX_DEPTH = 8
MAX_CONDITIONS = 64
MAX_BYTES = 4_096
ORDERED = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
OPERATORS = ("$eq", "$ne", *ORDERED, "$in", "$nin", "$exists", "$not")
CONNECTIVES = ("$and", "$or", "$not")
_MISSING = object()
# A filter's objects and lists, at their deepest: an operator's value in an operator in a field, in each connective.
_MAX_LEVELS = 2 * MAX_DEPTH + 2 + MAX_DEPTH

Test = Callable[[Mapping[str, Any]], bool]
ValueTest = Callable[[Any], bool]


class BadFilter(PlatformError):
    """A filter that cannot be understood, or is larger than allowed; the message says where."""

    is_permanent = True
    status = 422


@dataclass(frozen=True)
class Condition:
    """One test of one field. Every operator but ``$not``; ``path`` is the field's parts."""

    path: tuple[str, ...]
    operator: str
    operand: Any


@dataclass(frozen=True)
class Filter:
    """A parsed filter. ``text`` is canonical: filters written alike but for order and ``$eq`` have the same.

    ``key`` stands for the text, 32 characters that nobody can make collide. ``conditions`` all hold of a document
    that matches, so a database may choose by them first; what is under ``$or`` and ``$not`` is not among them.
    """

    text: str
    key: str
    matches: Test
    conditions: tuple[Condition, ...] = field(hash=False, compare=False)  # operands may be lists; the text says as much


def parsed(filter: Mapping[str, Any]) -> Filter:
    """The filter, compiled; the same one costs no second compilation. An empty one matches every document.

    Raises BadFilter.
    """
    if not isinstance(filter, dict):
        raise BadFilter(f'a filter is an object such as {{"status": "open"}}, not {_kind(filter)}')
    if is_deeper(filter, _MAX_LEVELS):
        raise BadFilter(f"the filter is nested too deeply; at most {MAX_DEPTH} operators may stand in each other")
    try:
        text = serialization.canonical(filter)
    except serialization.NotJSON as exc:
        raise BadFilter(f"the filter is {exc}; use strings, numbers, booleans, null, lists and objects") from exc
    if len(text) > MAX_BYTES:
        raise BadFilter(f"the filter has {len(text)} bytes; at most {MAX_BYTES} are taken")
    return _parsed(text)


@lru_cache(maxsize=4096)
def _parsed(text: bytes) -> Filter:
    reader = _Reader()
    test, canonical = reader.read(serialization.decode(text), 1)
    plain = serialization.canonical(canonical).decode()
    key = blake2b(plain.encode(), digest_size=16).hexdigest()
    return Filter(plain, key, test, tuple(reader.certain))


class _Reader:
    """One reading: makes tests, the canonical form, and counts what there is of conditions."""

    def __init__(self) -> None:
        self.count = 0
        self.certain: list[Condition] = []

    def read(self, filter: Any, depth: int, is_certain: bool = True) -> tuple[Test, dict[str, Any]]:
        """``is_certain``: whether what matches the whole filter must match this part."""
        if depth > MAX_DEPTH:
            raise BadFilter(f"more than {MAX_DEPTH} operators stand in each other; write a flatter filter")
        tests, canonical = [], {}
        for name, operand in filter.items():
            test, written = (
                self._connective(name, operand, depth, is_certain)
                if name.startswith("$")
                else self._field(name, operand, depth, is_certain)
            )
            tests.append(test)
            canonical[name] = written
        return _all(tests), canonical

    def _connective(self, name: str, operand: Any, depth: int, is_certain: bool) -> tuple[Test, Any]:
        if name not in CONNECTIVES:
            hint = did_you_mean(name, CONNECTIVES) or f"; outside a field there are {', '.join(CONNECTIVES)}"
            raise BadFilter(f"there is no {name}{hint}")
        if name == "$not":
            test, canonical = self.read(_object(name, operand), depth + 1, False)
            return _negated(test), canonical
        if not isinstance(operand, list) or not operand:
            raise BadFilter(f"{name} takes a list of filters, at least one")
        parts = [self.read(_object(name, part), depth + 1, is_certain and name == "$and") for part in operand]
        tests = [test for test, _ in parts]
        return (_all(tests) if name == "$and" else _any(tests)), [canonical for _, canonical in parts]

    def _field(self, name: str, operand: Any, depth: int, is_certain: bool) -> tuple[Test, Any]:
        path = tuple(name.split("."))
        if not all(path):
            raise BadFilter(f"{name!r} is no field; write it as title or address.city")
        test, canonical = self._operators(path, _with_operators(name, operand), depth, is_certain)
        return _at(path, test), canonical

    def _operators(
        self, path: tuple[str, ...], operands: dict[str, Any], depth: int, is_certain: bool
    ) -> tuple[ValueTest, dict[str, Any]]:
        if depth > MAX_DEPTH:
            raise BadFilter(f"more than {MAX_DEPTH} operators stand in each other; write a flatter filter")
        tests: list[ValueTest] = []
        canonical: dict[str, Any] = {}
        for name, operand in operands.items():
            if name == "$not":
                written = _with_operators(name, _object(f"{'.'.join(path)}: $not", operand), is_field=False)
                test, canonical[name] = self._operators(path, written, depth + 1, False)
                tests.append(_negated(test))
                continue
            tests.append(self._condition(Condition(path, name, operand), is_certain))
            canonical[name] = operand
        return _all(tests), canonical

    def _condition(self, condition: Condition, is_certain: bool) -> ValueTest:
        self.count += 1
        if self.count > MAX_CONDITIONS:
            raise BadFilter(f"the filter has more than {MAX_CONDITIONS} conditions; use $in, or several filters")
        _check_operand(condition)
        if is_certain:
            self.certain.append(condition)
        return _value_test(condition.operator, condition.operand)


def _with_operators(name: str, operand: Any, is_field: bool = True) -> dict[str, Any]:
    """What a field is given as operators: a bare value is one to equal."""
    dollars = [key for key in operand if key.startswith("$")] if isinstance(operand, dict) else []
    if is_field and not dollars:
        return {"$eq": operand}
    unknown = [key for key in operand if key not in OPERATORS]
    if unknown or not operand:
        first = unknown[0] if unknown else "nothing"
        hint = did_you_mean(first, OPERATORS) or f"; there are {', '.join(OPERATORS)}"
        raise BadFilter(f"{name}: {first} is no operator{hint}")
    return operand


def _object(name: str, operand: Any) -> dict[str, Any]:
    if not isinstance(operand, dict):
        raise BadFilter(f"{name} takes an object, not {_kind(operand)}")
    return operand


def _check_operand(condition: Condition) -> None:
    name, operand = condition.operator, condition.operand
    where = f"{'.'.join(condition.path)}: {name}"
    if name in ORDERED and _kind(operand) not in {"a number", "a string"}:
        raise BadFilter(f"{where} takes a number or a string, not {_kind(operand)}")
    if name in {"$in", "$nin"} and not isinstance(operand, list):
        raise BadFilter(f"{where} takes a list of values, not {_kind(operand)}")
    if name == "$exists" and not isinstance(operand, bool):
        raise BadFilter(f"{where} takes true or false, not {_kind(operand)}")
    if is_deeper(operand, MAX_DEPTH):
        raise BadFilter(f"{where}: its value is nested more than {MAX_DEPTH} deep")


def _value_test(name: str, operand: Any) -> ValueTest:
    if name in ORDERED:
        return _ordered(ORDERED[name], operand)
    if name in {"$in", "$nin"}:
        among = _among(operand)
        return among if name == "$in" else _negated(among)
    if name == "$exists":
        return lambda value: (value is not _MISSING) is operand
    equals = _equals(operand)
    return equals if name == "$eq" else _negated(equals)


def _equals(operand: Any) -> ValueTest:
    if isinstance(operand, str):
        return lambda value: value == operand
    if isinstance(operand, list | dict):
        return lambda value: same(value, operand)
    if operand is None or isinstance(operand, bool):
        return lambda value: value is operand
    return lambda value: value == operand and not isinstance(value, bool)


def _among(operands: list[Any]) -> ValueTest:
    """Strings, the usual case, by a look in a set; the others one by one."""
    texts = frozenset(operand for operand in operands if isinstance(operand, str))
    others = [_equals(operand) for operand in operands if not isinstance(operand, str)]
    return lambda value: value in texts if isinstance(value, str) else any(equals(value) for equals in others)


def _ordered(compare: Callable[[Any, Any], bool], operand: Any) -> ValueTest:
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and compare(value, operand)
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and bool(compare(value, operand))
    )


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def _at(path: tuple[str, ...], test: ValueTest) -> Test:
    if len(path) == 1:
        name = path[0]
        return lambda document: test(document.get(name, _MISSING))
    return lambda document: test(_value_at(document, path))


def _value_at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part, _MISSING)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 10:
            place = int(part)
            value = value[place] if place < len(value) else _MISSING
        else:
            return _MISSING
    return value


def _all(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)
    return lambda value: all(test(value) for test in tests)


def _any(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _negated(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: not test(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {str: "a string", list: "a list", dict: "an object", type(None): "null"}.get(type(value), str(type(value)))
