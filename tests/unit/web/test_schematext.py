from __future__ import annotations

from typing import Any

import pytest

from web.schematext import example, fields, kind, prose

NAMED = {
    "Box": {"type": "object", "properties": {"colour": {"type": "string"}, "items": {"type": "array", "items": {}}}},
    "State": {"type": "string", "enum": ["open", "closed"]},
}


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "plain"),
        (None, ""),
        ("send `wait=N` or ``?wait=s``.", "send <code>wait=N</code> or <code>?wait=s</code>."),
        ("`a``b`", "<code>a</code><code>b</code>"),
        ("one ` alone", "one ` alone"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
    ],
)
def test_prose_shows_what_is_between_backticks_as_code_and_escapes_all(text: str | None, html: str) -> None:
    assert str(prose(text)) == html


@pytest.mark.parametrize(
    ("schema", "html"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "minLength": 1, "maxLength": 255}, "string 1–255 characters"),
        ({"type": "string", "maxLength": 255}, "string up to 255 characters"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"type": "integer", "minimum": 0, "maximum": 100_000}, "integer 0–100,000"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or null"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": ["a", "b"]}, "<code>a</code>, <code>b</code>"),
        ({"$ref": "#/components/schemas/Box"}, '<a href="#schema-Box">Box</a>'),
        (
            {"type": "array", "items": {"$ref": "#/components/schemas/Box"}},
            'array of <a href="#schema-Box">Box</a>',
        ),
        ({"type": "array", "items": {}}, "array"),
        ({}, "any JSON"),
    ],
)
def test_kind_says_what_is_allowed(schema: dict[str, Any], html: str) -> None:
    assert str(kind(schema)) == html


def test_fields_take_a_description_from_inside_an_optional_one() -> None:
    inner = {"type": "integer", "description": "9 is most urgent"}
    schema = {"properties": {"priority": {"anyOf": [inner, {"type": "null"}], "default": None}}, "required": []}
    (field,) = fields(schema)
    assert (field["name"], str(field["description"]), field["is_required"]) == ("priority", "9 is most urgent", False)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#/components/schemas/Box"}, {"colour": "…", "items": []}),
        ({"$ref": "#/components/schemas/State"}, "open"),
        ({"anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]}, 5),
        ({"type": "integer", "default": 50}, 50),
        ({"type": ["string", "null"]}, "…"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/State"}}, ["open"]),
        ({"type": "string", "format": "date-time"}, "2026-11-22T10:00:00.123Z"),
        ({}, None),
    ],
)
def test_example_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    assert example(schema, NAMED) == value


def test_a_schemas_own_example_comes_in_the_order_of_its_members() -> None:
    schema = {"properties": {"task": {}, "args": {}}, "examples": [{"args": [], "extra": 1, "task": "t"}]}
    assert list(example(schema, NAMED)) == ["task", "args", "extra"]
