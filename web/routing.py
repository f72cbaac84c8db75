"""Typed endpoints: what goes in and out is declared once, checked on every request and told by OpenAPI.

A thin layer on Flask and pydantic; the Flask libraries for this accept or mislabel bad bodies. Bodies are
validated as JSON, strictly: ``"3"`` is no integer, a missing body no empty object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flask import Flask, Response, g, request
from pydantic import BaseModel, TypeAdapter, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from platform import serialization
from platform.settings import settings
from tasks.signatures import problems_of
from web.idempotency import reserve
from web.identity import require_caller
from web.problems import Problem, answer, from_exception

Role = Literal["user", "operator", "admin"]
Answers = Mapping[int, Any]


class JobId(BaseConverter):
    """``<job:job_id>``: any text but that of an address beside it."""

    regex = "(?!bulk$)[^/]+"
    part_isolating = True


@dataclass(frozen=True)
class Endpoint:
    """One method at one address. ``answers`` maps a status to the model of its body (None: no body).

    ``media`` are the bodies' content types; None: JSON under any name.
    ``tokens``: socket tokens serve as well. ``operation`` is its id in the description. ``most_bytes`` names the
    setting that bounds its body.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    tag: str
    summary: str
    description: str
    auth: Role | None
    body: Any
    body_optional: bool
    query: type[BaseModel] | None
    answers: Answers
    problems: tuple[int, ...]
    repeatable: bool
    media: tuple[str, ...] | None
    tokens: bool
    operation: str
    most_bytes: str


@dataclass
class Routes:
    """Endpoints of one topic; the application mounts them, ``/openapi.json`` describes them."""

    tag: str
    endpoints: list[Endpoint] = field(default_factory=list)

    def add(
        self,
        method: str,
        path: str,
        *,
        summary: str,
        answers: Answers,
        auth: Role | None = "user",
        body: Any = None,
        body_optional: bool = False,
        query: type[BaseModel] | None = None,
        problems: tuple[int, ...] = (),
        repeatable: bool = True,
        media: tuple[str, ...] | None = None,
        tokens: bool = False,
        most_bytes: str = "body_max_bytes",
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a handler: it gets the path's parts by name, and ``body`` and ``query`` where declared.

        A ``POST`` takes an Idempotency-Key unless it is not ``repeatable``: its answer would be kept for a day.

        It returns the answer's data, or ``(data, status)`` or ``(data, status, headers)``, or a Flask response.
        """

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            description = " ".join((handler.__doc__ or "").split())
            self.endpoints.append(
                Endpoint(
                    method,
                    path,
                    handler,
                    self.tag,
                    summary,
                    description,
                    auth,
                    body,
                    body_optional,
                    query,
                    answers,
                    problems,
                    repeatable,
                    media,
                    tokens,
                    f"{handler.__module__.rpartition('.')[2]}.{handler.__name__}",
                    most_bytes,
                )
            )
            return handler

        return register

    def get(self, path: str, **options: Any) -> Callable[..., Any]:
        return self.add("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[..., Any]:
        return self.add("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[..., Any]:
        return self.add("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[..., Any]:
        return self.add("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[..., Any]:
        return self.add("DELETE", path, **options)

    def described(self) -> list[Endpoint]:
        """The endpoints as the API's description has them; a topic may tell more than it mounts."""
        return self.endpoints

    def mount(self, app: Flask) -> None:
        app.url_map.converters["job"] = JobId
        for endpoint in self.endpoints:
            name = f"{endpoint.method} {endpoint.path}".replace(".", "_")
            app.add_url_rule(endpoint.path, name, _view(endpoint), methods=[endpoint.method])


def _view(endpoint: Endpoint) -> Callable[..., Response]:
    adapter = TypeAdapter(endpoint.body) if endpoint.body is not None else None

    def handle(path: Mapping[str, str]) -> Response:
        arguments: dict[str, Any] = dict(path)
        if endpoint.query is not None:
            arguments["query"] = read_query(endpoint.query)
        if adapter is not None:
            arguments["body"] = read_body(adapter, endpoint.body_optional, endpoint.media)
        return respond(endpoint.handler(**arguments))

    def view(**found: Any) -> Response:
        g.endpoint = endpoint
        request.max_content_length = getattr(settings(), endpoint.most_bytes)
        path = {name: str(value) for name, value in found.items()}
        if endpoint.auth is None:
            return handle(path)
        g.caller = require_caller(request, endpoint.auth, tokens=endpoint.tokens)
        if endpoint.method != "POST" or not endpoint.repeatable:
            return handle(path)
        return _once(path, handle)

    return view


def _once(path: Mapping[str, str], handle: Callable[[Mapping[str, str]], Response]) -> Response:
    """A ``POST`` under its Idempotency-Key, if it has one: a problem is an answer to keep as well."""
    hold = reserve(request, g.caller.account_id)
    if hold is None:
        return handle(path)
    if isinstance(hold, Response):
        return hold
    with hold:
        try:
            response = handle(path)
        except Exception as exc:
            hold.keep(answer(from_exception(exc)))
            raise
        hold.keep(response)
        return response


def read_body(adapter: TypeAdapter[Any], optional: bool = False, media: tuple[str, ...] | None = None) -> Any:
    """The request's body, validated. Problems: 415 not JSON, or not of ``media``; 400 unreadable, 422 invalid."""
    raw = request.get_data()
    if request.content_length is None and len(raw) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge  # werkzeug cuts a chunked body at the limit and says nothing
    if optional and not raw:
        return None
    _check_media(media)
    try:
        serialization.decode(raw)  # stricter than pydantic: no NaN, no number beyond a float, no bottomless nesting
    except ValueError as exc:
        raise Problem(400, f"the body is not readable JSON: {exc}") from exc
    try:
        return adapter.validate_json(raw, strict=True)
    except ValidationError as exc:
        if exc.errors()[0]["type"] == "json_invalid":
            raise Problem(400, f"the body is not readable JSON: {exc.errors()[0]['ctx']['error']}") from exc
        raise Problem(422, "the body does not fit", errors=problems_of(exc, ["body"])) from exc


def _check_media(media: tuple[str, ...] | None) -> None:
    found = request.mimetype
    if media is None and found != "application/json" and not found.endswith("+json"):
        raise Problem(415, "send JSON, with the header Content-Type: application/json")
    if media is not None and found not in media:
        accept = {"Accept-Patch": ", ".join(media)} if request.method == "PATCH" else {}
        raise Problem(415, f"send JSON, with the header Content-Type: {' or '.join(media)}", headers=accept)


def read_query(model: type[BaseModel]) -> Any:
    """The query string, validated; a name given twice is a list. Problem: 422."""
    values = {name: found if len(found) > 1 else found[0] for name, found in request.args.lists()}
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise Problem(422, "the query does not fit", errors=problems_of(exc, ["query"])) from exc


def respond(outcome: Any) -> Response:
    """A handler's outcome as a response: see ``Routes.add``."""
    if isinstance(outcome, Response):
        return outcome
    data, status, headers = (*outcome, {})[:3] if isinstance(outcome, tuple) else (outcome, 200, {})
    if status in (204, 304):
        return Response(status=status, headers=headers)
    if isinstance(data, BaseModel):
        data = data.model_dump(mode="json")
    return Response(serialization.encode(data), status, headers, content_type="application/json")
