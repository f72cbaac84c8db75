"""``/resources`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.client.exchange import Flow, Request, path, preferences, read
from web.client.models import Job, Resource


def put(
    provider: str, type: str, name: str, properties: Mapping[str, Any], *, wait_s: float | None = None
) -> Flow[Job]:
    """Create or update a resource: the job that does it, whose result is the resource as stored.

    With ``wait_s`` (at most 30) it returns when the job has ended or after so many seconds.
    Raises NotFoundError for an unknown provider, APIError 422 if it refuses the properties.
    """
    response = yield Request("PUT", _address(provider, type, name), body=properties, **preferences(wait_s))
    return read(response, Job)


def get(provider: str, type: str, name: str) -> Flow[Resource]:
    """A resource as last stored. Raises NotFoundError."""
    response = yield Request("GET", _address(provider, type, name))
    return read(response, Resource)


def delete(provider: str, type: str, name: str, *, wait_s: float | None = None) -> Flow[Job]:
    """Delete a resource: the job that does it. One that is gone already is no error."""
    response = yield Request("DELETE", _address(provider, type, name), **preferences(wait_s))
    return read(response, Job)


def action(
    provider: str,
    type: str,
    name: str,
    action: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    wait_s: float | None = None,
    idempotency_key: str | None = None,
) -> Flow[Job]:
    """Run a provider's action on a resource: the job that does it, whose result is what the action returned.

    Raises NotFoundError for an unknown provider or action, APIError 422 if the arguments do not fit.
    """
    address = _address(provider, type, name) + path(action)
    response = yield Request("POST", address, body=arguments or {}, **preferences(wait_s, idempotency_key))
    return read(response, Job)


def _address(provider: str, type: str, name: str) -> str:
    return path("resources", provider, type, name)
