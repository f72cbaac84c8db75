"""What travels: JSON with no secret meanings, and clear refusals."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid

import pytest
from kombu.serialization import dumps, loads

from platform import serialization
from platform.serialization import NAME, NotJSON, TooLarge, decode, encode, encode_bounded


class Text(str):
    __slots__ = ()


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "arrives_as"),
    [
        ({"__type__": "nope", "__value__": 1}, {"__type__": "nope", "__value__": 1}),
        ({"__type__": "decimal", "__value__": "1"}, {"__type__": "decimal", "__value__": "1"}),
        ((1, [2, {"a": None}]), [1, [2, {"a": None}]]),
        ({1, 2}, [1, 2]),
        (2**70, 2**70),
        ("ü\u2028\x00", "ü\u2028\x00"),
        (Text("plain"), "plain"),
        (Color.RED, 1),
        (b"bytes", "Ynl0ZXM="),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_arrive_as_documented(value: object, arrives_as: object) -> None:
    assert decode(encode(value)) == arrives_as


def test_kombu_knows_it_under_its_own_content_type() -> None:
    content_type, encoding, data = dumps({"a": 1}, NAME)
    assert (content_type, encoding) == ("application/x-platform+json", "utf-8")
    assert loads(data, content_type, encoding, accept=[content_type]) == {"a": 1}


@pytest.mark.parametrize("value", [object(), {"a": object()}, lambda: 1, {(1, 2): 3}])
def test_what_has_no_json_form_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(NotJSON, match="not JSON: "):
        encode(value)


def test_a_circle_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(NotJSON):
        encode(circle)


def test_nesting_without_end_is_an_error_and_no_crash() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(b"[" * 100_000 + b"]" * 100_000)


def test_a_size_limit_names_what_was_too_large() -> None:
    assert encode_bounded("x" * 8, 10, "the result") == b'"xxxxxxxx"'
    with pytest.raises(TooLarge, match="the result is 11 bytes of JSON; at most 10"):
        encode_bounded("x" * 9, 10, "the result")


def test_pickle_is_not_accepted() -> None:
    from tasks import app

    assert set(app.conf.accept_content) == {serialization.NAME, "json"}
