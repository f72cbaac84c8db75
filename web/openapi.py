"""The OpenAPI 3.1 document, built from the registered endpoints: it cannot say anything else than what is checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from web.routing import Endpoint, Routes
from web.schemas.body import EventStream, Html, Lines

REF = "#/components/schemas/{model}"
#: The schema of each model: a reference to where it stands under its name.
Named = Mapping[Any, dict[str, Any]]
TEXTS: dict[Any, str] = {
    str: "text/plain",
    Html: "text/html",
    EventStream: "text/event-stream",
    Lines: "application/x-ndjson",
}
#: A part of an address that callers fill in: ``<name>``, or ``<uuid:name>``.
PLACE = re.compile(r"<(?:\w+:)?([^>]+)>")
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "errors", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong and what to do"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"loc": {"type": "array"}, "msg": {"type": "string"}}},
        },
        "request_id": {"type": ["string", "null"]},
    },
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key, or an access token of POST /session"},
    "session": {"type": "apiKey", "in": "cookie", "name": "platform_session"},
}
INTRODUCTION = (
    "Submit work, watch it, stop it. Sign in with `Authorization: Bearer <API key>` or with the session cookie of "
    "`POST /session`; requests that change something then also need its `X-CSRF-Token`. Errors are RFC 9457 problem "
    "documents. `Prefer: wait=N` waits up to 30 seconds for an outcome. A `POST` with an `Idempotency-Key` may be sent "
    "again: it is answered as it was the first time."
)


def describe(topics: Iterable[Routes]) -> dict[str, Any]:
    topics = list(topics)
    endpoints = [endpoint for topic in topics for endpoint in topic.described()]
    models = sorted({m for e in endpoints for m in _models(e)}, key=lambda m: (m.__name__, m.__module__))
    references, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    named = {model: schema for (model, _), schema in references.items()}
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        path = PLACE.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Platform", "version": version("celery-platform"), "description": INTRODUCTION},
        "tags": [{"name": topic.tag} for topic in topics],
        "paths": paths,
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": PROBLEM},
            "securitySchemes": SECURITY,
        },
    }


def _models(endpoint: Endpoint) -> list[type[BaseModel]]:
    kinds = [endpoint.body, *endpoint.answers.values()]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _operation(endpoint: Endpoint, named: Named) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": endpoint.description,
        "operationId": endpoint.operation,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {**_answers(endpoint, named), **_problems(endpoint)},
        "security": [{"bearer": []}, {"session": []}] if endpoint.auth else [],
    }
    if endpoint.auth:
        operation["x-role"] = endpoint.auth
    if endpoint.body is not None:
        schema = _schema(endpoint.body, named)
        content = {media: {"schema": schema} for media in endpoint.media or ("application/json",)}
        operation["requestBody"] = {"required": not endpoint.body_optional, "content": content}
    return operation


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = PLACE.findall(endpoint.path)
    return [{"name": n, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for n in names]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    schema = endpoint.query.model_json_schema(ref_template=REF)
    required = schema.get("required", [])
    properties = schema.get("properties", {})
    return [_query_parameter(name, name in required, dict(schema)) for name, schema in properties.items()]


def _query_parameter(name: str, is_required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": "query", "required": is_required, **described, "schema": schema}


def _answers(endpoint: Endpoint, named: Named) -> dict[str, Any]:
    return {str(status): _answer(status, kind, named) for status, kind in endpoint.answers.items()}


def _answer(status: int, kind: Any, named: Named) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if kind in TEXTS:
        answer["content"] = {TEXTS[kind]: {"schema": {"type": "string"}}}
    elif kind is not None:
        answer["content"] = {"application/json": {"schema": _schema(kind, named)}}
    return answer


def _problems(endpoint: Endpoint) -> dict[str, Any]:
    statuses = set(endpoint.problems)
    if endpoint.auth:
        statuses |= {401, 403, 503}
    if endpoint.body is not None:
        statuses |= {400, 413, 415, 422}
    if endpoint.query is not None:
        statuses.add(422)
    schema = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(s): {"description": HTTPStatus(s).phrase, "content": schema} for s in sorted(statuses)}


def _schema(kind: Any, named: Named) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return named[kind]
    return TypeAdapter(kind).json_schema(ref_template=REF)
