"""What the page at ``/docs`` shows: the OpenAPI document, arranged for a reader."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from web.schematext import Schema, example, fields, kind, prose, reference

WHO = {
    None: "open to everybody",
    "user": "any signed-in user",
    "operator": "operators and admins",
    "admin": "admins only",
}


@dataclass(frozen=True)
class Body:
    """What to send: its schema's name, if it has one, its members (of a list: its items') and an example as JSON."""

    media: str
    schema: str | None
    kind: Markup
    is_list: bool
    is_required: bool
    fields: list[dict[str, Any]]
    example: str


@dataclass(frozen=True)
class Answer:
    status: str
    phrase: str
    kind: Markup | None

    @property
    def is_problem(self) -> bool:
        return self.status >= "400"


@dataclass(frozen=True)
class Operation:
    """One method at one address; ``anchor`` is unique on the page and stays while method and path do."""

    anchor: str
    method: str
    path: str
    summary: str
    description: Markup
    who: str
    parameters: list[dict[str, Any]]
    body: Body | None
    answers: list[Answer]
    curl: str


@dataclass(frozen=True)
class Topic:
    name: str
    anchor: str
    operations: list[Operation]


@dataclass(frozen=True)
class NamedSchema:
    name: str
    anchor: str
    description: Markup
    kind: Markup | None
    fields: list[dict[str, Any]]
    example: str
    is_sent: bool


def topics(api: Mapping[str, Any], base_url: str) -> list[Topic]:
    """Operations by topic, in the document's order; ``base_url`` without a slash at its end, for the examples."""
    named = api["components"]["schemas"]
    operations = [
        (described["tags"][0], _operation(method, path, described, named, base_url))
        for path, methods in api["paths"].items()
        for method, described in methods.items()
    ]
    names = [tag["name"] for tag in api["tags"]]
    return [Topic(n, f"topic-{_slug(n)}", [op for tag, op in operations if tag == n]) for n in names]


def schemas(api: Mapping[str, Any]) -> list[NamedSchema]:
    """The schemas that have a name, by name."""
    named = api["components"]["schemas"]
    return [_named_schema(name, named[name], named) for name in sorted(named)]


def introduction(api: Mapping[str, Any]) -> Markup:
    return prose(api["info"].get("description"))


def _named_schema(name: str, schema: Schema, named: Mapping[str, Schema]) -> NamedSchema:
    is_object = "properties" in schema
    return NamedSchema(
        name=name,
        anchor=f"schema-{name}",
        description=prose(schema.get("description")),
        kind=None if is_object else kind(schema),
        fields=fields(schema),
        example=_pretty(example(schema, named)) if is_object else "",
        # Bodies refuse unknown members, answers may get more with time.
        is_sent=schema.get("additionalProperties") is False,
    )


def _operation(
    method: str, path: str, described: Mapping[str, Any], named: Mapping[str, Schema], base_url: str
) -> Operation:
    body = _body(described["requestBody"], named) if "requestBody" in described else None
    return Operation(
        anchor=_slug(f"{method}-{path}"),
        method=method.upper(),
        path=path,
        summary=described["summary"],
        description=prose(described.get("description")),
        who=WHO[described.get("x-role")],
        parameters=[_parameter(parameter) for parameter in described["parameters"]],
        body=body,
        answers=[_answer(status, answer) for status, answer in described["responses"].items()],
        curl=_curl(method.upper(), base_url + path, body, is_open="x-role" not in described),
    )


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "is_required": parameter["required"],
        "kind": kind(parameter["schema"]),
        "default": parameter["schema"].get("default"),
        "description": prose(parameter.get("description")),
    }


def _body(body: Mapping[str, Any], named: Mapping[str, Schema]) -> Body:
    media, content = next(iter(body["content"].items()))
    schema = content["schema"]
    name = reference(schema)
    return Body(
        media=media,
        schema=name,
        kind=kind(schema),
        is_list=schema.get("type") == "array",
        is_required=body["required"],
        fields=fields(named[name] if name else schema.get("items") or schema),
        example=_pretty(example(schema, named)),
    )


def _answer(status: str, answer: Mapping[str, Any]) -> Answer:
    content = answer.get("content", {})
    shown = next((_content(mime, one["schema"]) for mime, one in content.items()), None)
    return Answer(status, answer["description"], shown)


def _content(mime: str, schema: Schema) -> Markup:
    return kind(schema) if mime.endswith("json") else Markup("<code>{}</code>").format(mime)


def _curl(method: str, url: str, body: Body | None, is_open: bool) -> str:
    """One command per line; what is in the address's braces is in capitals, to be replaced."""
    address = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), url)
    return " \\\n     ".join(_curl_parts(method, address, body, is_open))


def _curl_parts(method: str, address: str, body: Body | None, is_open: bool) -> Iterator[str]:
    yield f"curl {'' if method == 'GET' else f'-X {method} '}{shlex.quote(address)}"
    if not is_open:
        yield '-H "Authorization: Bearer $API_KEY"'
    if body is not None:
        yield f"-H 'Content-Type: {body.media}'"
        yield f"-d {shlex.quote(json.dumps(json.loads(body.example), ensure_ascii=False))}"


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
