"""A JSON Schema in words, and an example of what it describes; for the page at ``/docs``.

Only what pydantic writes is understood; anything else shows as "any JSON".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

Schema = Mapping[str, Any]

UUID = "5cec15c2-b35c-4997-a885-9ed9f8a3f6a9"
TIME = "2026-11-22T10:00:00.123Z"
TEXTS = {"email": "you@example.org", "password": "…", "type": "about:blank", "title": "Not Found"}


def prose(text: str | None) -> Markup:
    """A sentence or more, with what stands between backticks as code."""
    parts = re.split(r"``(.+?)``|`(.+?)`", text or "")
    # split() gives text, the one kind of code, the other kind, text, …
    shown = (
        Markup("<code>{}</code>").format(code) if code is not None else escape(plain)
        for plain, code in _plain_and_code(parts)
    )
    return Markup("").join(shown)


def _plain_and_code(parts: list[str]) -> Iterator[tuple[str, str | None]]:
    for position in range(0, len(parts), 3):
        yield parts[position], None
        if position + 1 < len(parts):
            yield "", parts[position + 1] or parts[position + 2]


def kind(schema: Schema) -> Markup:
    """What is allowed: ``integer 0–9 or null``, with links to the schemas that have a name."""
    if "$ref" in schema:
        name = reference(schema)
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    name = schema.get("type", "any JSON")
    if isinstance(name, list):
        return escape(" or ".join(name))
    if name == "array":
        return Markup("array of {}").format(kind(schema["items"])) if schema.get("items") else Markup("array")
    return Markup(" ").join(part for part in (escape(schema.get("format", name)), escape(_bounds(schema))) if part)


def _bounds(schema: Schema) -> str:
    for low, high, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        least, most = schema.get(low), schema.get(high)
        if least is not None and most is not None:
            return f"{least:,}–{most:,}{unit}"
        if most is not None:
            return f"up to {most:,}{unit}"
    return ""


def fields(schema: Schema) -> list[dict[str, Any]]:
    """The members of an object: ``{"name", "kind", "is_required", "default", "description"}``."""
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "kind": kind(one),
            "is_required": name in required,
            "default": one.get("default"),
            "description": prose(_description(one)),
        }
        for name, one in schema.get("properties", {}).items()
    ]


def _description(schema: Schema) -> str | None:
    inner = (one.get("description") for one in schema.get("anyOf", ()) if "$ref" not in one)
    return schema.get("description") or next(filter(None, inner), None)


def reference(schema: Schema) -> str | None:
    """The name of the schema it refers to."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def example(schema: Schema, named: Mapping[str, Schema], name: str = "") -> Any:
    """A value that fits: the schema's own example, or one with every member."""
    if "$ref" in schema:
        return example(named[reference(schema) or ""], named, name)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], named, name)
    for ready in ("examples", "enum"):
        if schema.get(ready):
            return _in_order(schema[ready][0], schema)
    made = {"object": _object, "array": _array, "string": _string, "integer": _number, "number": _number}
    return made.get(_type(schema), _anything)(schema, named, name)


def _in_order(value: Any, schema: Schema) -> Any:
    """Members in the order in which they are declared; pydantic sorts those of an example by name."""
    if not isinstance(value, dict):
        return value
    declared = [name for name in schema.get("properties", ()) if name in value]
    return {name: value[name] for name in [*declared, *(name for name in value if name not in declared)]}


def _type(schema: Schema) -> str:
    found = schema.get("type", "")
    return found[0] if isinstance(found, list) else found


def _object(schema: Schema, named: Mapping[str, Schema], name: str) -> Any:
    return {member: example(one, named, member) for member, one in schema.get("properties", {}).items()}


def _array(schema: Schema, named: Mapping[str, Schema], name: str) -> Any:
    return [example(schema["items"], named, name.removesuffix("s"))] if schema.get("items") else []


def _string(schema: Schema, named: Mapping[str, Schema], name: str) -> Any:
    if schema.get("format") == "date-time" or name.endswith("_at"):
        return TIME
    return UUID if name == "id" or name.endswith("_id") else TEXTS.get(name, "…")


def _number(schema: Schema, named: Mapping[str, Schema], name: str) -> Any:
    return max(schema.get("default") or 1, schema.get("minimum", 1))


def _anything(schema: Schema, named: Mapping[str, Schema], name: str) -> Any:
    return None
